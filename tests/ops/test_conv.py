"""Convolutions and lookups with derivatives of their own: equal to PyTorch's, to any order, by the right kernels."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from src.networks import Discriminator, Generator
from src.ops import conv, conv2d, conv_transpose2d, grid_sample
from src.ops.grid_sample import added_in_order
from src.training.losses import path_lengths, r1_penalty

aten = torch.ops.aten
CASES = {
    "3x3": (lambda x, w, b: conv2d(x, w, b, padding=1), lambda x, w, b: F.conv2d(x, w, b, padding=1)),
    "stride 2": (lambda x, w, b: conv2d(x, w, b, stride=2), lambda x, w, b: F.conv2d(x, w, b, stride=2)),
    "gain": (
        lambda x, w, b: conv2d(x, w, b, padding=1, gain=0.3),
        lambda x, w, b: F.conv2d(x, 0.3 * w, b, padding=1),
    ),
    "without bias": (lambda x, w, b: conv2d(x, w, padding=1), lambda x, w, b: F.conv2d(x, w, padding=1)),
    "transposed": (
        lambda x, w, b: conv_transpose2d(x, w.transpose(0, 1), stride=2),
        lambda x, w, b: F.conv_transpose2d(x, w.transpose(0, 1), stride=2),
    ),
}


def operands(side=8, dtype=torch.float64):
    """A side of 8 with stride 2 leaves a row of the picture over: its gradient must still be there."""
    generator = torch.Generator().manual_seed(0)
    shapes = ([2, 3, side, side], [4, 3, 3, 3], [4])
    return [torch.randn(s, generator=generator, dtype=dtype).requires_grad_() for s in shapes]


def derivatives(op, tensors):
    """Value, gradients, gradients of the gradients, and once more."""
    found = [op(*tensors)]
    for _ in range(3):
        value = sum((t.square() * (1 + 0.1 * t)).sum() for t in found[-1:])
        grads = torch.autograd.grad(value, tensors, create_graph=True, allow_unused=True)
        found += [torch.cat([g.flatten() for g in grads if g is not None])]
    return found


@pytest.mark.parametrize("name", CASES)
def test_derivatives_equal_pytorchs(name):
    ours, theirs = CASES[name]
    for a, b in zip(derivatives(ours, operands()), derivatives(theirs, operands()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-8)


class _WeightGradientLayouts(TorchDispatchMode):
    """Whether the operands of weight gradients are in planes."""

    def __init__(self):
        super().__init__()
        self.planes = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is aten.convolution_backward.default and args[-1][1]:
            self.planes |= {args[0].is_contiguous(), args[1].is_contiguous()}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("instructions", "planes"), [("AVX2", True), ("AVX512", False)])
@pytest.mark.parametrize("name", CASES)
def test_weight_gradients_by_way_of_planes_are_the_same(name, instructions, planes, monkeypatch):
    monkeypatch.setattr(conv, "_computes_in", lambda: instructions)
    monkeypatch.setattr(conv, "MANY_CHANNELS", 3)
    ours, theirs = CASES[name]

    def op(x, w, b):
        return ours(x.contiguous(memory_format=torch.channels_last), w, b)

    def assert_close(a, b):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * b.detach().abs().max().item())

    plain, tensors = derivatives(theirs, operands()), [t.detach().float().requires_grad_() for t in operands()]
    with _WeightGradientLayouts() as seen:
        found = derivatives(op, tensors)
    assert seen.planes == {planes}
    for a, b in zip(found[:3], plain[:3], strict=True):
        assert_close(a, b)
    with _WeightGradientLayouts() as seen:  # as in training: all gradients at once, with none of theirs
        found = torch.autograd.grad(op(*tensors).square().sum(), tensors, allow_unused=True)
    assert seen.planes == {planes}
    expected = operands()
    for a, b in zip(
        found, torch.autograd.grad(theirs(*expected).square().sum(), expected, allow_unused=True), strict=True
    ):
        assert (a is None) == (b is None)
        if a is not None:
            assert_close(a, b)


@pytest.mark.parametrize(
    ("picture", "weight", "dtype", "planes"),
    [
        ((2, 256, 4, 4), (256, 256, 3, 3), torch.float32, True),
        ((2, 256, 4, 4), (256, 255, 3, 3), torch.float32, False),
        ((2, 64, 64, 64), (64, 64, 3, 3), torch.float32, True),
        ((2, 64, 64, 63), (64, 64, 3, 3), torch.float32, False),
        ((2, 63, 99, 99), (64, 63, 3, 3), torch.float32, False),
        ((0, 64, 64, 64), (64, 64, 3, 3), torch.float32, True),
        ((2, 256, 4, 4), (256, 256, 1, 1), torch.float32, False),
        ((2, 256, 4, 4), (256, 256, 3, 3), torch.bfloat16, False),
        ((2, 256, 4, 4), (256, 256, 3, 3), torch.float64, False),
    ],
)
def test_weight_gradients_go_by_way_of_planes_where_that_was_measured_to_pay(
    picture, weight, dtype, planes, monkeypatch
):
    monkeypatch.setattr(conv, "_computes_in", lambda: "AVX2")
    assert conv._in_planes(torch.empty(picture, dtype=dtype), torch.empty(weight, dtype=dtype)) == planes
    assert not conv._in_planes(torch.empty(picture, dtype=dtype, device="meta"), torch.empty(weight, dtype=dtype))


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_match_finite_differences(name):
    assert torch.autograd.gradgradcheck(CASES[name][0], operands(side=4))


@pytest.mark.parametrize("name", CASES)
def test_filters_come_in_the_layout_of_the_picture_once(name, monkeypatch):
    """As on a CUDA device: no kernel of value and gradients meets others; the numbers stay."""
    monkeypatch.setattr(conv, "FILTERS_IN_LAYOUT", ("cpu",))
    ours, theirs = CASES[name]
    tensors = operands()
    tensors[0] = tensors[0].detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    with Convolutions() as seen:
        y = ours(*tensors)
        torch.autograd.grad(y.square().sum(), tensors, allow_unused=True)
    assert seen.layouts == [True, True]
    for a, b in zip(derivatives(ours, tensors), derivatives(theirs, operands()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_filters_of_another_type_get_gradients_in_their_own(gain):
    x, w, _ = operands()
    filters = w.detach().float().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()

    def derivatives(y):
        (first,) = torch.autograd.grad(y.pow(3).sum(), filters, create_graph=True)
        return first, *torch.autograd.grad(first.pow(2).sum(), filters)

    found = derivatives(conv2d(x, filters, gain=gain))
    expected = derivatives(F.conv2d(x, filters.double() * gain))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found[0].dtype == torch.float32 and found[0].stride() == filters.stride()


def test_operands_without_gradient_get_none():
    x, w, b = operands()
    assert not conv2d(x.detach(), w.detach(), b.detach()).requires_grad
    (g,) = torch.autograd.grad(conv2d(x, w.detach(), None, padding=1).sum(), x, create_graph=True)
    assert not g.requires_grad, "a gradient of the picture depends on the weight alone, which is constant"


class Convolutions(TorchDispatchMode):
    """Largest kernel side and the layouts of what runs."""

    def __init__(self):
        super().__init__()
        self.sides, self.groups, self.layouts, self.of_weights = [], [], [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (aten.convolution.default, aten.convolution_backward.default):
            weight = args[2] if func is aten.convolution_backward.default else args[1]
            self.sides.append(max(weight.shape[2:]))
            self.layouts.append(weight.is_contiguous(memory_format=torch.channels_last))
            self.of_weights += func is aten.convolution_backward.default and args[10][1]
            self.groups.append(args[9] if func is aten.convolution_backward.default else args[8])
        return func(*args, **(kwargs or {}))


def test_a_gradient_of_pictures_alone_costs_none_of_weights():
    x, w, b = operands()
    with Convolutions() as seen:
        y = conv2d(conv2d(x, w[:3], b[:3], padding=1), w, b, padding=1)
        (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        assert len(seen.sides) == 4 and seen.of_weights == 0
        g.square().sum().backward(inputs=[w])
    assert seen.of_weights == 4, "both layers', of the value and of the gradient"


def test_no_regulariser_convolves_with_picture_sized_kernels():
    size = {"resolution": 32, "channel_base": 256, "channel_max": 8}
    G, D = Generator(z_dim=8, w_dim=8, num_mapping_layers=2, **size), Discriminator(**size)
    images = torch.randn(4, 3, 32, 32, requires_grad=True)
    ws = G.mapping(torch.randn(2, 8))
    with Convolutions() as seen:
        r1_penalty(D(images), images).mean().backward()
        made = G.synthesis(ws)
        path_lengths(made, ws, torch.randn_like(made)).mean().backward()
    assert len(seen.sides) > 100
    assert max(side for side, groups in zip(seen.sides, seen.groups, strict=True) if groups == 1) == 3


def grid(dtype=torch.float64):
    theta = torch.tensor([[[0.8, 0.3, 0.1], [-0.2, 1.1, 0.6]], [[1.3, 0.0, -0.4], [0.1, 0.7, 0.0]]], dtype=dtype)
    return F.affine_grid(theta, [2, 3, 6, 5], align_corners=False)


def test_lookups_equal_pytorchs():
    x = torch.randn(2, 3, 7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    theirs = F.grid_sample(x, grid(), align_corners=False)
    assert torch.equal(grid_sample(x, grid()), theirs)
    ours, expected = (torch.autograd.grad(y.pow(3).sum(), x)[0] for y in (grid_sample(x, grid()), theirs))
    assert torch.equal(ours, expected)
    g = torch.randn_like(theirs)
    (expected,) = torch.autograd.grad(F.grid_sample(x, grid(), align_corners=False), x, g)
    assert torch.allclose(added_in_order(g, x, grid()), expected, rtol=0, atol=1e-12)


def test_positions_that_are_no_numbers_add_nothing():
    """In order as in PyTorch's scatter; nor does a gradient that is none, where its position is outside."""
    places = grid(torch.float32)
    for i, value in enumerate((float("nan"), float("inf"), -float("inf"), 1e30)):
        places[0, i, i, i % 2] = value
    g = torch.ones(2, 3, 6, 5)
    g[0, :, 1, 1] = float("nan")
    x = torch.randn(2, 3, 7, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(F.grid_sample(x, places, align_corners=False), x, g)
    assert expected.isfinite().all()
    torch.testing.assert_close(added_in_order(g, x.detach(), places), expected)


def test_lookups_have_derivatives_of_any_order():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda t: grid_sample(t, grid()).pow(3), x)
    with pytest.raises(ValueError, match="positions get no gradient"):
        grid_sample(x, grid().requires_grad_())
