"""Warping pictures: exact maps, fixed buffers, matrix products, derivatives of second order."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from src.augment import geometry as augment_geometry
from src.augment.geometry import inverse_affine, padding_margins, warp
from src.augment.pipe import AugmentPipe
from src.ops import backend, set_policy, upfirdn2d
from tests.augment.augmentation import geometry, noise_images, rng, single


@pytest.fixture(params=["compiled", "dense", "filtered"])
def form(request, monkeypatch):
    """The three ways of resampling: one kernel, matrix products, filters."""
    use(request.param, monkeypatch)


def use(name, monkeypatch):
    monkeypatch.setattr(backend, "_policy", None)
    set_policy("required" if name == "compiled" else "reference")
    monkeypatch.setitem(augment_geometry.DENSE_MAX_PX, "cpu", 0 if name == "filtered" else 512)


def test_flips_and_turns_are_exact_maps_of_the_pixel_grid():
    affine = inverse_affine(geometry(flip=1, quarter_turns=1, shift_x=0.1, shift_y=0.05), 40, 40)
    expected = torch.tensor([[[0.0, 1, -2], [1, 0, -4]]])
    torch.testing.assert_close(affine, expected, rtol=0, atol=1e-5)


def test_inverse_affine_is_the_product_of_the_inverted_matrices():
    values = {
        "flip": 1,
        "quarter_turns": 3,
        "shift_x": 0.11,
        "shift_y": -0.07,
        "log2_scale": 0.3,
        "pre_angle": 0.4,
    }
    values |= {"log2_aniso": -0.25, "post_angle": -1.1, "move_x": 0.05, "move_y": -0.13}
    height, width = 32, 48

    def rotation(a):
        return np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])

    def shift(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    forward = np.diag([-1.0, 1, 1])
    forward = rotation(3 * np.pi / 2) @ forward
    forward = shift(round(0.11 * width), round(-0.07 * height)) @ forward
    forward = np.diag([2**0.3, 2**0.3, 1]) @ forward
    forward = rotation(0.4) @ forward
    forward = np.diag([2**-0.25, 2**0.25, 1]) @ forward
    forward = rotation(-1.1) @ forward
    forward = shift(0.05 * width, -0.13 * height) @ forward
    affine = inverse_affine(geometry(**values), height, width)
    np.testing.assert_allclose(affine[0].numpy(), np.linalg.inv(forward)[:2], rtol=0, atol=2e-5)


def test_a_warp_follows_the_map_on_a_linear_picture():
    y, x = torch.meshgrid(torch.arange(64.0) - 31.5, torch.arange(64.0) - 31.5, indexing="ij")
    picture = (0.01 * x - 0.02 * y).expand(1, 3, 64, 64)
    affine = inverse_affine(geometry(log2_scale=0.4, pre_angle=0.3, move_x=0.03), 64, 64)
    out = warp(picture, affine)[0, 0]
    a, b = affine[0, 0], affine[0, 1]
    expected = 0.01 * (a[0] * x + a[1] * y + a[2]) - 0.02 * (b[0] * x + b[1] * y + b[2])
    inner = slice(20, 44)
    torch.testing.assert_close(out[inner, inner], expected[inner, inner], rtol=0, atol=5e-4)


class NothingReadBack(TorchDispatchMode):
    """Refuse every op whose result the host, or a shape, would have to wait for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default), func
        return func(*args, **(kwargs or {}))


def test_fixed_buffers_read_nothing_back(form):
    pipe = AugmentPipe.preset("bgcfnc", static=True)
    pipe.p.fill_(0.5)
    images = noise_images().requires_grad_()
    pipe(images, generator=rng())  # the compiled ops look at a filter's taps once
    with NothingReadBack():
        pipe(images, generator=rng()).square().sum().backward()
    pipe.static = False
    with pytest.raises(AssertionError, match="aten"), NothingReadBack():
        pipe(images, generator=rng())


def test_fixed_and_needed_buffers_give_the_same(form):
    images = noise_images(num=4, height=32, width=24, dtype=torch.float64)
    pipe = AugmentPipe.preset("bg", static=True)
    pipe.p.fill_(1.0)
    static = pipe(images, generator=rng(2))
    pipe.static = False
    torch.testing.assert_close(static, pipe(images, generator=rng(2)), rtol=0, atol=1e-6)


MAPS = {
    "all at once": {"log2_scale": -0.6, "pre_angle": 0.5, "log2_aniso": 0.3, "move_x": 0.2},
    "a shift and a turn": {"quarter_turns": 1, "shift_x": 0.2, "flip": 1},
    "as it is": {},
    "far smaller": {"log2_scale": -3.0, "post_angle": 2.0},  # more than one reflection: the picture ends
    "far larger": {"log2_scale": 2.5, "move_y": 0.4},
    "out of sight": {"move_x": 3.0},
}


def results(images, affine, name, monkeypatch):
    """The warped images, a gradient, and the gradient of a function of it."""
    use(name, monkeypatch)
    x = images.clone().requires_grad_()
    y = warp(x, affine)
    (first,) = torch.autograd.grad((y + y.square()).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    return y.detach(), first.detach(), second


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("shape", [(40, 32), (17, 23), (8, 8)])
def test_all_forms_are_the_same_map(name, shape, monkeypatch):
    images = noise_images(num=3, height=shape[0], width=shape[1], dtype=torch.float64)
    affine = inverse_affine(geometry(3, **MAPS[name]), *shape).double()
    expected = results(images, affine, "dense", monkeypatch)
    # filters are kept in float32, and so are positions of float32 pictures
    found = {form: results(images, affine, form, monkeypatch) for form in ("compiled", "filtered")}
    found["float32"] = results(images.float(), affine.float(), "compiled", monkeypatch)
    for form, bound in {"compiled": 1e-12, "filtered": 1e-6, "float32": 1e-4}.items():
        for ours, theirs in zip(found[form], expected, strict=True):
            assert float((ours - theirs).norm()) <= bound * float(theirs.norm()) + 1e-9, form


def test_one_kernel_serves_any_number_of_channels(monkeypatch):
    images = noise_images(num=2, height=16, width=16)[:, :2]
    affine = inverse_affine(geometry(2, pre_angle=0.3), 16, 16)
    for parts in (images, torch.cat([images, images], dim=1)):
        ours = results(parts, affine, "compiled", monkeypatch)[0]
        torch.testing.assert_close(ours, results(parts, affine, "dense", monkeypatch)[0], rtol=0, atol=1e-5)


def test_up_operator_is_reflection_and_upfirdn2d():
    row = noise_images(num=1, height=1, width=20, dtype=torch.float64)
    margins = torch.tensor([5.0, 9.0], dtype=torch.float64)
    operator = augment_geometry._up_operator(20, 5, 9, *margins)
    padded = F.pad(row, [5, 9, 0, 0], mode="reflect")
    taps = torch.tensor([augment_geometry.SYM6], dtype=torch.float64) * 2**0.5
    expected = upfirdn2d(padded, taps, up=(2, 1), padding=[6, 5, 0, 0])
    torch.testing.assert_close(row @ operator.T, expected)


def test_margins_cover_the_picture_and_are_capped():
    torch.testing.assert_close(padding_margins(inverse_affine(geometry(), 32, 48), 32, 48), torch.full([4], 6.0))
    moved = padding_margins(inverse_affine(geometry(shift_x=0.25), 32, 48), 32, 48)
    assert moved.tolist() == [18, 6, 0, 6]
    small = padding_margins(inverse_affine(geometry(log2_scale=-4), 32, 48), 32, 48)
    assert small.tolist() == [47, 31, 47, 31]


def test_images_without_a_draw_are_untouched_when_others_are_warped():
    images = noise_images(num=32)
    out = single("rotate", p=0.5)(images, generator=rng())
    same = (out == images).all(dim=3).all(dim=2).all(dim=1)
    assert 5 < same.sum() < 27
    reference = single("rotate", p=0.5)
    reference.static = True
    torch.testing.assert_close(out, reference(images, generator=rng()), rtol=0, atol=2e-3)


# --- gradients


def test_constants_made_in_inference_mode_serve_training_later():
    pipe = AugmentPipe.preset("bgcf")
    pipe.p.fill_(1.0)
    with torch.inference_mode():
        pipe(noise_images(height=22, width=22), generator=rng())
    images = noise_images(height=22, width=22).requires_grad_()
    pipe(images, generator=rng()).square().sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


@pytest.mark.parametrize("static", [False, True])
def test_second_derivatives_match_finite_differences(static, form):
    pipe = AugmentPipe.preset("bgcfnc", static=static)
    pipe.p.fill_(0.8)
    images = noise_images(num=3, height=10, width=10, dtype=torch.float64)
    weight = torch.randn(images.shape, generator=rng(5), dtype=torch.float64)

    def penalty(x):  # as R1: the squared gradient of a curved function of the augmented images
        value = (pipe(x, generator=rng(1)) * weight).sum(dim=(1, 2, 3)).sin().sum() + pipe(x, generator=rng(2)).pow(
            3
        ).sum()
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        return gradient.square().sum()

    x = images.clone().requires_grad_()
    (analytic,) = torch.autograd.grad(penalty(x), x)
    direction = torch.randn(images.shape, generator=rng(6), dtype=torch.float64)
    step = 1e-5
    ends = [penalty((images + sign * step * direction).requires_grad_()).item() for sign in (1, -1)]
    assert (analytic * direction).sum().item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)
