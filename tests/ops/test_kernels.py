"""The compiled CPU kernels beside the reference: values, first and second gradients, layouts, types and sizes."""

import itertools

import pytest
import torch

from src.networks import Discriminator, Generator
from src.ops import bias_act, epilogue, modulate, set_policy, setup_filter, upfirdn2d
from src.ops.backend import get_policy, kernels_for
from src.ops.build import build
from src.ops.filters import kernel_taps
from src.ops.kernels import Kernels

pytestmark = pytest.mark.usefixtures("library")

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 2**-7}  # bf16: a unit in the last place
RESAMPLING = [
    # up, down, padding
    (1, 1, (1, 1, 1, 1)),
    (1, 1, (2, 1, 2, 1)),
    (2, 1, (2, 1, 2, 1)),
    (1, 2, (1, 1, 1, 1)),
    (2, 2, (3, 2, 3, 2)),
    (1, 1, (-1, 3, 4, -1)),
    ((2, 1), (1, 3), (5, 4, 6, 5)),
    (3, 2, (7, 9, 8, 8)),
]
FILTERS = {
    "binomial": setup_filter([1, 3, 3, 1]),
    "separable": setup_filter(torch.outer(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 4.0]))),
    "full": setup_filter(torch.arange(1.0, 16.0).reshape(3, 5).square()),
    "with zeros": setup_filter([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]]),
    "one tap": setup_filter(3.0, normalize=False),
    "long": setup_filter(torch.arange(1.0, 13.0)),
}
SHAPES = [(2, 3, 8, 7), (1, 1, 5, 9), (2, 17, 4, 6), (1, 40, 3, 3), (3, 2, 1, 1), (1, 64, 33, 20)]


def both(run):
    """What `run()` returns on the reference and on the kernels."""
    results = []
    for name in ("reference", "required"):
        set_policy(name)
        results.append(run())
    set_policy("auto")
    return results


def assert_close(got, expected, dtype):
    scale = max(float(expected.detach().double().abs().max()), 1e-3) if expected.numel() else 1.0
    assert got.shape == expected.shape and got.dtype == expected.dtype
    torch.testing.assert_close(got.double() / scale, expected.double() / scale, atol=TOLERANCE[dtype], rtol=0)


def picture(shape, dtype, layout, seed=0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    return x.transpose(2, 3).contiguous().transpose(2, 3) if layout == "strided" else x


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", FILTERS)
def test_resampling(name, dtype, layout):
    for (up, down, padding), shape in itertools.product(RESAMPLING, SHAPES):
        f = FILTERS[name]
        x = picture(shape, dtype, layout)

        def run(x=x, f=f, up=up, down=down, padding=padding):
            if dtype == torch.bfloat16 and get_policy() == "reference":
                x = x.float()  # the kernels add up in float32
            try:
                return upfirdn2d(x, f, up=up, down=down, padding=padding, flip_filter=down == 1, gain=1.5)
            except ValueError as error:  # the filter is larger than what is left
                return str(error)

        expected, got = both(run)
        if isinstance(expected, str):
            assert got == expected
            continue
        assert_close(got, expected.to(dtype), dtype)
        if layout == "channels_last" and x.shape[1] > 1 and x.shape[2] * x.shape[3] > 1:
            assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize(("up", "down", "padding"), RESAMPLING)
def test_resampling_gradients(up, down, padding, layout):
    x = picture((2, 5, 9, 8), torch.float64, layout).requires_grad_(True)
    f = FILTERS["full"].double()

    def run():
        y = upfirdn2d(x, f, up=up, down=down, padding=padding)
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return first, torch.autograd.grad(first.pow(3).sum(), x)[0]

    for expected, got in zip(*both(run), strict=True):
        assert_close(got, expected, torch.float64)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["binomial", "full"])
def test_resampling_beside_a_picture(name, dtype, layout):
    """That is added before the result is rounded."""
    kernels = Kernels(build("cpu"), frozenset())
    shapes = [(2, 3, 8, 7), (1, 40, 5, 6), (1, 64, 33, 20)]
    for (up, down), shape in itertools.product([(1, 1), (2, 1), (1, 2)], shapes):
        size = (shape[2] * up // down, shape[3] * up // down)
        x, add = picture(shape, dtype, layout), picture((*shape[:2], *size), dtype, "contiguous", seed=1)
        how = (size, (up, up), (down, down), (2, 1), False, 1.5)
        got = kernels.fir(x, kernel_taps(FILTERS[name], dtype), *how, add)
        alone = kernels.fir(x.double(), kernel_taps(FILTERS[name], torch.float64), *how)
        assert_close(got, (alone + add.double()).to(dtype), dtype)
    with pytest.raises(ValueError, match=r"add .* does not fit"):
        kernels.fir(x, kernel_taps(FILTERS[name], dtype), *how, add[:, :1])


def operands(shape, dtype, layout, which, per_sample_noise):
    """x, scale, noise, bias as leaves; those not in `which` are None."""
    n, c, h, w = shape
    small = torch.float64 if dtype == torch.float64 else torch.float32
    rng = torch.Generator().manual_seed(1)
    x = picture(shape, dtype, layout).detach().requires_grad_(True)
    made = {
        "scale": torch.rand([n, c], generator=rng, dtype=small) + 0.5,
        "noise": torch.randn([n if per_sample_noise else 1, 1, h, w], generator=rng, dtype=small),
        "bias": torch.randn([c], generator=rng, dtype=small),
    }
    return [x, *(made[k].requires_grad_(True) if k in which else None for k in made)]


SUBSETS = [(), ("scale",), ("bias",), ("noise", "bias"), ("scale", "noise", "bias")]


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("which", SUBSETS, ids="+".join)
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_epilogue(which, clamp, dtype, layout):
    for shape, per_sample in itertools.product([*SHAPES, (2, 24, 130, 70)], (False, True)):
        given = operands(shape, dtype, layout, which, per_sample)
        leaves = [t for t in given if t is not None]

        def run(given=given, leaves=leaves, shape=shape):
            y, _ = epilogue(given[0] * 1, *given[1:], gain=1.4, clamp=clamp)
            dy = torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(dtype)
            return y, *torch.autograd.grad(y, leaves, dy)

        for expected, got in zip(*both(run), strict=True):
            assert_close(got, expected, dtype)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided"])
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_epilogue_in_bf16(clamp, layout):
    """The value to its rounding; the gradient, whose slope is that of the value before its rounding, by definition."""
    set_policy("required")
    for shape, per_sample in itertools.product([*SHAPES, (2, 24, 130, 70)], (False, True)):
        given = operands(shape, torch.bfloat16, layout, ("scale", "noise", "bias"), per_sample)
        x, scale, noise, bias = (t.detach().double() for t in given)
        y, _ = epilogue(given[0] * 1, *given[1:], gain=1.4, clamp=clamp)
        dy = torch.randn(shape, generator=torch.Generator().manual_seed(2)).bfloat16()
        got = torch.autograd.grad(y, given, dy)
        plain = 1.4 * torch.nn.functional.leaky_relu(x * scale[:, :, None, None] + noise + bias[:, None, None], 0.2)
        expected = plain if clamp is None else plain.clamp(-clamp, clamp)
        assert_close(y, expected.bfloat16(), torch.bfloat16)
        g = dy.double() * 1.4 * torch.where(plain > 0, 1.0, 0.2)
        if clamp is not None:
            g = g * (plain.abs() < clamp)
        assert_close(got[0], (g * scale[:, :, None, None]).bfloat16(), torch.bfloat16)
        assert_close(got[1], (g * x).sum(dim=(2, 3)).float(), torch.float32)
        assert_close(got[2], g.sum(dim=(1,) if per_sample else (0, 1)).reshape(noise.shape).float(), torch.float32)
        assert_close(got[3], g.sum(dim=(0, 2, 3)).float(), torch.float32)
    set_policy("auto")


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("which", SUBSETS, ids="+".join)
def test_epilogue_second_gradients(which, layout):
    given = operands((2, 3, 5, 4), torch.float64, layout, which, False)
    leaves = [t for t in given if t is not None]

    def run():
        y, _ = epilogue(given[0] * 1, *given[1:], gain=1.4, clamp=1.5)
        first = torch.autograd.grad(y.pow(3).sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves, allow_unused=True)
        return *first, *second

    for expected, got in zip(*both(run), strict=True):
        assert_close(got, expected, torch.float64)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("clamp", [None, 1.5])
def test_epilogue_with_the_next_style(clamp, keep, layout):
    """Both results, and gradients up to the third order, by all operands and by some."""
    given = operands((2, 5, 4, 3), torch.float64, layout, ("scale", "noise", "bias"), False)
    style = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
    leaves = [*given, style]

    def run():
        y, z = epilogue(given[0] * 1, *given[1:], style, gain=1.4, clamp=clamp, keep=keep)
        found = [z] if y is None else [y, z]
        value = sum(t.pow(3).sum() * (1 + i) for i, t in enumerate(found))
        first = torch.autograd.grad(value, leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves, create_graph=True)
        third = torch.autograd.grad(sum(g.square().sum() for g in second), leaves, retain_graph=True)
        codes = torch.autograd.grad(value, [given[1], style], create_graph=True)
        penalty = torch.autograd.grad(sum(g.square().sum() for g in codes), leaves)
        return *found, *first, *second, *third, *penalty

    for expected, got in zip(*both(run), strict=True):
        assert_close(got, expected, torch.float64)


def test_gradients_that_nobody_asks_for_are_not_made(monkeypatch):
    made, gradient = [], Kernels.epilogue_grad
    monkeypatch.setattr(
        Kernels,
        "epilogue_grad",
        lambda *args, wanted, **how: made.append(wanted) or gradient(*args, wanted=wanted, **how),
    )
    set_policy("required")
    x, *small = operands((2, 5, 4, 3), torch.float32, "contiguous", ("scale", "noise", "bias"), False)
    y, _ = epilogue(x * 1, *small)
    torch.autograd.grad(y.sum(), x, create_graph=True)
    y.sum().backward()
    set_policy("auto")
    assert made == [(True, False, False, False, False), (True, True, True, True, False)]


def test_in_bf16_both_results_come_of_one_value():
    x, scale, noise, bias = operands((2, 24, 9, 7), torch.bfloat16, "channels_last", ("scale", "noise", "bias"), True)
    style = torch.randn(2, 24, generator=torch.Generator().manual_seed(3))
    set_policy("required")
    y, z = epilogue(x * 1, scale, noise, bias, style)
    set_policy("auto")
    plain = torch.nn.functional.leaky_relu(
        x.double() * scale[:, :, None, None] + noise + bias[:, None, None].double(), 0.2
    )
    assert_close(y, plain.bfloat16(), torch.bfloat16)
    assert_close(z, (plain * style[:, :, None, None]).bfloat16(), torch.bfloat16)


@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
@pytest.mark.parametrize("shape", [(3, 5), (2, 5, 7), (2, 5, 3, 4), (1, 5, 1, 1), (2, 5, 2, 3, 2), (0, 5, 4, 4)])
@pytest.mark.parametrize(("alpha", "gain", "clamp"), [(None, None, None), (0.1, 2.0, 1.0), (None, -1.5, None)])
def test_bias_act(act, shape, alpha, gain, clamp):
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    b = torch.randn([5], dtype=torch.float64, requires_grad=True)

    def run():
        y = bias_act(x, b, act=act, alpha=alpha, gain=gain, clamp=clamp)
        return y, *torch.autograd.grad(y.square().sum(), [x, b])

    for expected, got in zip(*both(run), strict=True):
        assert_close(got, expected, torch.float64)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided"])
@pytest.mark.parametrize(("act", "clamp"), [("lrelu", None), ("lrelu", 0.7), ("linear", None), ("linear", 0.7)])
def test_bias_act_beside_a_picture(act, clamp, layout):
    """Values, and gradients up to the third order, by all operands and by the picture alone."""
    for shape in ((2, 5, 4, 3), (1, 24, 9, 7)):
        x, bias = operands(shape, torch.float64, layout, ("bias",), False)[::3]
        add = picture(shape, torch.float64, "contiguous", seed=4).requires_grad_(True)

        def run(leaves=(x, bias, add)):
            x, bias, add = leaves
            y = bias_act(x * 1, bias, act=act, clamp=clamp, add=add.square())
            first = torch.autograd.grad(y.pow(3).sum(), leaves, create_graph=True)
            second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves, create_graph=True)
            third = torch.autograd.grad(sum(g.square().sum() for g in second), leaves, retain_graph=True)
            (alone,) = torch.autograd.grad(y.sum(), add)
            return y, *first, *second, *third, alone

        for expected, got in zip(*both(run), strict=True):
            assert_close(got, expected, torch.float64)


def test_in_bf16_a_picture_is_added_before_rounding():
    x, add = (picture((2, 24, 9, 7), torch.bfloat16, "channels_last", seed) for seed in (0, 1))
    b = torch.linspace(-1, 1, 24)
    set_policy("required")
    y = bias_act(x, b, act="lrelu", gain=1.0, add=add)
    kept = x.clone()
    inplace = bias_act(kept, b, act="lrelu", gain=1.0, add=add, overwrite=True)
    set_policy("auto")
    plain = torch.nn.functional.leaky_relu(x.double() + b.double()[:, None, None], 0.2) + add.double()
    assert_close(y, plain.bfloat16(), torch.bfloat16)
    assert torch.equal(inplace, y) and inplace.data_ptr() == kept.data_ptr()


def test_kernels_pass_numbers_that_are_none_through():
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0]).reshape(1, 1, 1, 6)
    for dtype in (torch.float32, torch.bfloat16):
        expected, got = both(lambda dtype=dtype: epilogue(x.to(dtype), None, None, torch.zeros(1))[0])
        torch.testing.assert_close(got, expected, equal_nan=True)


def test_an_operand_is_overwritten_only_where_nobody_needs_it():
    set_policy("required")
    x, s = torch.randn(1, 4, 5, 5), torch.rand(1, 4)
    kept = x.clone()
    modulate(x, s)
    bias_act(x, torch.ones(4), act="lrelu")
    upfirdn2d(x, FILTERS["binomial"], padding=1)
    assert torch.equal(x, kept)
    epilogue(x, s.clone().requires_grad_(True))
    assert torch.equal(x, kept), "a gradient needs it"
    assert modulate(x, s, overwrite=True).data_ptr() == x.data_ptr()
    set_policy("auto")


def test_sums_do_not_depend_on_the_number_of_threads():
    set_policy("required")
    given = operands((2, 32, 64, 64), torch.float32, "channels_last", ("scale", "bias"), False)
    found = []
    for threads in (1, 2, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        y, _ = epilogue(given[0] * 1, *given[1:])
        found.append(torch.autograd.grad(y.sum(), given[1])[0])
        torch.set_num_threads(before)
    set_policy("auto")
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_changing_a_filter_in_place_is_noticed():
    set_policy("required")
    f = setup_filter([1, 3, 3, 1])
    x = torch.randn(1, 2, 8, 8)
    before = upfirdn2d(x, f)
    f.mul_(2)
    torch.testing.assert_close(upfirdn2d(x, f), 2 * before)
    set_policy("auto")


def test_types_without_a_kernel_take_the_reference():
    set_policy("required")
    assert kernels_for(torch.zeros(1, dtype=torch.float16)) is None
    x = torch.randn(1, 2, 6, 6).half()
    assert upfirdn2d(x, FILTERS["binomial"]).dtype == torch.float16
    set_policy("auto")


@pytest.mark.parametrize("clamp", [None, 256.0])
def test_networks(clamp):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)  # no unit stands so near its kink that a sum in another order turns it, as of 0 on AVX2
        G = Generator(resolution=64, channel_base=1024, channel_max=48, num_mapping_layers=2, conv_clamp=clamp)
        D = Discriminator(resolution=64, channel_base=1024, channel_max=48, conv_clamp=clamp)
        ws = torch.randn(4, G.num_ws, G.w_dim)

    def run():
        with torch.no_grad():
            plain = G.synthesis(ws)
        codes = ws.clone().requires_grad_(True)
        images = G.synthesis(codes)
        parameters = [*G.synthesis.parameters(), *D.parameters()]
        gradients = torch.autograd.grad(D(images).sum(), [codes, *parameters])
        picture = images.detach().requires_grad_(True)
        (of_picture,) = torch.autograd.grad(D(picture).sum(), picture, create_graph=True)
        penalty = torch.autograd.grad(of_picture.square().sum(), list(D.parameters()), allow_unused=True)
        return [plain, images, *gradients, *(p for p in penalty if p is not None)]

    for expected, got in zip(*both(run), strict=True):
        scale = expected.abs().max().clamp(min=1e-6)
        torch.testing.assert_close(got / scale, expected / scale, atol=2e-4, rtol=0)
