"""upfirdn2d against its definition in NumPy, and its gradients of first and second order."""

import numpy as np
import pytest
import torch

from src.ops import downsample2d, fork2d, setup_filter, upfirdn2d, upsample2d

pytestmark = pytest.mark.usefixtures("policy")

CASES = [
    # up, down, padding, flip, gain, filter shape
    (1, 1, (0, 0, 0, 0), False, 1.0, (4, 4)),
    (2, 1, (2, 1, 2, 1), False, 4.0, (4, 4)),
    (1, 2, (1, 1, 1, 1), False, 1.0, (4, 4)),
    (2, 1, (1, 1, 1, 1), True, 4.0, (4, 4)),
    (1, 1, (-1, 2, 3, -2), True, 0.7, (3, 5)),
    ((2, 3), (3, 1), (4, 3, 2, 5), False, 1.3, (5, 2)),
    (2, 2, (3, 0, 1, 2), True, 1.0, (4, 3)),
    (3, 1, (-2, -1, 0, 4), False, 9.0, (2, 6)),
    (1, 2, (0, 1, 1, 0), False, 1.0, (8,)),
    ((2, 1), (1, 2), (2, 2, 1, 3), True, 2.0, (6,)),
]


def by_definition(x, f, up, down, padding, flip, gain):
    """Zero insertion, padding, true convolution, decimation, written with loops."""
    upx, upy = (up, up) if isinstance(up, int) else up
    downx, downy = (down, down) if isinstance(down, int) else down
    f = np.outer(f, f) if f.ndim == 1 else f
    n, c, h, w = x.shape
    big = np.zeros([n, c, h * upy, w * upx])
    big[:, :, ::upy, ::upx] = x
    x0, x1, y0, y1 = padding
    big = np.pad(big, [(0, 0), (0, 0), (max(y0, 0), max(y1, 0)), (max(x0, 0), max(x1, 0))])
    big = big[:, :, max(-y0, 0) : big.shape[2] - max(-y1, 0), max(-x0, 0) : big.shape[3] - max(-x1, 0)]
    kernel = (f if flip else f[::-1, ::-1]) * gain
    kh, kw = kernel.shape
    out = np.zeros([n, c, big.shape[2] - kh + 1, big.shape[3] - kw + 1])
    for i in range(kh):
        for j in range(kw):
            out += kernel[i, j] * big[:, :, i : i + out.shape[2], j : j + out.shape[3]]
    return out[:, :, ::downy, ::downx]


@pytest.mark.parametrize(("up", "down", "padding", "flip", "gain", "shape"), CASES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_equals_definition(up, down, padding, flip, gain, shape, channels_last):
    rng = np.random.default_rng(0)
    x, f = rng.standard_normal([2, 3, 9, 8]), rng.standard_normal(shape)
    given = torch.tensor(x)
    if channels_last:
        given = given.contiguous(memory_format=torch.channels_last)
    got = upfirdn2d(
        given, torch.tensor(f, dtype=torch.float64), up=up, down=down, padding=padding, flip_filter=flip, gain=gain
    )
    np.testing.assert_allclose(got.numpy(), by_definition(x, f, up, down, padding, flip, gain), atol=1e-10)


@pytest.mark.parametrize(("up", "down", "padding", "flip", "gain", "shape"), CASES)
def test_first_and_second_gradients(up, down, padding, flip, gain, shape):
    torch.manual_seed(0)
    f = torch.randn(shape, dtype=torch.float64)
    x = torch.randn([1, 2, 8, 7], dtype=torch.float64, requires_grad=True)

    def run(t):
        return upfirdn2d(t, f, up=up, down=down, padding=padding, flip_filter=flip, gain=gain)

    assert torch.autograd.gradcheck(run, (x,))
    assert torch.autograd.gradgradcheck(run, (x,))


def test_backward_of_a_backward_is_not_zero():
    f = setup_filter([1, 3, 3, 1])
    x = torch.randn([1, 2, 8, 8], requires_grad=True)
    (gradient,) = torch.autograd.grad(upfirdn2d(x, f, down=2, padding=1).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert second.abs().sum() > 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_fork_has_the_gradients_of_its_branches(layout):
    """Up to the third order; and of one branch alone."""
    f = setup_filter([1, 3, 3, 1]).double()
    x = torch.randn([2, 3, 8, 6], dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()

    def found(branches):
        a, b = branches(x)
        values = [a.pow(3).sum() + (a[..., ::2, 1::2] * b).pow(2).sum(), a.pow(3).sum(), b.pow(3).sum()]
        made = [a, b]
        for value in values:
            for _ in range(3):
                made += torch.autograd.grad(value, x, create_graph=True)
                value = made[-1].square().sum()
        return made

    plain, forked = found(lambda t: (t, downsample2d(t, f))), found(lambda t: fork2d(t, f))
    for expected, got in zip(plain, forked, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)
    assert torch.autograd.gradgradcheck(lambda t: fork2d(t, f), x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("taps", [(4, 4), (4,)])
def test_a_picture_is_added_to_an_upsampled_one(layout, taps):
    """With the gradients of the sum, up to the third order."""
    f = setup_filter(torch.rand(taps), separable=len(taps) == 1).double()
    x, add = (torch.randn([2, 3, *size], dtype=torch.float64) for size in ((4, 3), (8, 6)))
    x, add = (t.contiguous(memory_format=layout).requires_grad_() for t in (x, add))

    def found(y):
        made, value = [y], y.pow(3).sum()
        for _ in range(3):
            grads = torch.autograd.grad(value, (x, add), create_graph=True)
            made += grads
            value = sum(g.square().sum() for g in grads)
        return made

    plain, ours = found(upsample2d(x, f) + add), found(upsample2d(x, f, add=add))
    for expected, got in zip(plain, ours, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)
    assert torch.autograd.gradgradcheck(lambda a, b: upsample2d(a, f, add=b), (x, add))


def test_channels_last_stays_channels_last():
    x = torch.randn([2, 8, 16, 16]).contiguous(memory_format=torch.channels_last)
    f = setup_filter([1, 3, 3, 1])
    for y in (upsample2d(x, f), downsample2d(x, f), upfirdn2d(x, f, padding=2)):
        assert y.is_contiguous(memory_format=torch.channels_last)


def test_resampling_keeps_a_constant_picture_inside():
    f = setup_filter([1, 3, 3, 1])
    x = torch.full([1, 1, 8, 8], 0.5)
    torch.testing.assert_close(upsample2d(x, f)[..., 2:-2, 2:-2], torch.full([1, 1, 12, 12], 0.5))
    torch.testing.assert_close(downsample2d(x, f)[..., 1:-1, 1:-1], torch.full([1, 1, 2, 2], 0.5))


def test_filter_set_up():
    f = setup_filter([1, 3, 3, 1])
    assert f.shape == (4, 4)
    assert f.sum().item() == pytest.approx(1.0)
    assert f[0, 1].item() == pytest.approx(3 / 64)
    assert setup_filter(torch.arange(1.0, 13.0)).shape == (12,)  # long filters stay separable
    assert setup_filter(None).tolist() == [[1.0]]
    assert setup_filter([1.0, 2.0], normalize=False, gain=4.0).sum().item() == pytest.approx(36.0)
    with pytest.raises(ValueError, match="dimensions"):
        setup_filter(torch.zeros([2, 2, 2]))


def test_no_filter_is_the_identity_and_an_empty_batch_is_empty():
    x = torch.randn([2, 3, 5, 5])
    torch.testing.assert_close(upfirdn2d(x, None), x)
    assert upfirdn2d(x[:0], setup_filter([1, 3, 3, 1]), down=2, padding=1).shape == (0, 3, 2, 2)


def test_what_cannot_be_is_refused():
    x, f = torch.zeros([1, 1, 2, 2]), setup_filter([1, 3, 3, 1])
    with pytest.raises(ValueError, match="leaves nothing"):
        upfirdn2d(x, f)
    with pytest.raises(ValueError, match="padding"):
        upfirdn2d(x, f, padding=(1, 2, 3))
    with pytest.raises(ValueError, match="up is"):
        upfirdn2d(x, f, up=0, padding=3)
