"""The public ops on a CUDA device against the reference on the CPU: values, first and second gradients."""

import pytest
import torch

from src.augment.geometry import warp
from src.ops import backend_info, bias_act, epilogue, set_policy, setup_filter, upfirdn2d
from src.ops.backend import COMPILED

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# relative to the largest value of a tensor
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
SIZES = [(2, 3, 1, 1), (2, 16, 4, 4), (3, 5, 7, 9), (2, 32, 33, 64), (1, 8, 257, 129), (0, 4, 8, 8)]
RESAMPLING = [
    {"padding": (2, 1, 2, 1)},
    {"up": 2, "padding": (2, 1, 2, 1), "gain": 4.0},
    {"down": 2, "padding": (2, 1, 1, 2), "flip_filter": True},
    {"up": (2, 3), "down": (3, 1), "padding": (4, 3, 5, 5)},
    {"padding": (3, 3, 5, 4), "flip_filter": True},
]
LAYOUTS = ["contiguous", "channels_last", "strided"]


def laid_out(x, layout):
    """The same values in another order of memory; strided: every other column of a wider tensor."""
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "strided":
        wide = torch.empty([*x.shape[:3], 2 * x.shape[3]], dtype=x.dtype, device=x.device)
        wide[..., ::2] = x
        return wide[..., ::2]
    return x.contiguous()


def derivatives(op, tensors, layout):
    """The value, the gradients of a sum of products with it, and the gradients of the squares of those gradients."""
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    y = op(laid_out(leaves[0], layout), *leaves[1:])
    weights = torch.linspace(-1.0, 1.5, max(y.numel(), 1), device=y.device)[: y.numel()].reshape(y.shape).to(y.dtype)
    loss = (y.double().square() * weights.double()).sum() / max(y[:, :1].numel(), 1) ** 0.75  # in float16's range
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    second = torch.autograd.grad(sum(g.double().square().sum() for g in first), leaves, allow_unused=True)
    return [y, *first, *(g for g in second if g is not None)]


def compare(op, tensors, layout, dtype):
    """`op` on the device in `dtype` against float64 on the CPU, from the same rounded operands."""
    on_device = derivatives(op, [t.cuda() for t in tensors], layout)
    expected = derivatives(op, [t.double() for t in tensors], layout)
    assert len(on_device) == len(expected)
    assert on_device[0].dtype == dtype
    for got, want in zip(on_device, expected, strict=True):
        assert got.shape == want.shape and got.is_cuda
        if want.numel() > 0:
            scale = max(float(want.abs().max()), 1e-2)
            error = float((got.double().cpu() - want).abs().max()) / scale
            assert error <= TOLERANCE[dtype], f"{error:.2e}"


def random(shape, dtype, *, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)


def away_from_kinks(x):
    """Values whose sign no rounding of the operands changes."""
    return x + torch.where(x >= 0, 0.25, -0.25).to(x.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("settings", RESAMPLING, ids=lambda s: "-".join(map(str, s)))
@pytest.mark.parametrize("shape", SIZES)
def test_upfirdn2d(shape, settings, layout, dtype):
    taps = setup_filter([1, 3, 3, 1])

    def op(x):
        return upfirdn2d(x, taps.to(x.device), **settings)

    compare(op, [random(shape, dtype, seed=0)], layout, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_upfirdn2d_with_other_filters(layout, dtype):
    filters = [
        setup_filter([0.2, -0.4, 1.0, 0.6, 0.1]),
        setup_filter(torch.linspace(-0.5, 1.0, 12)),  # long: one pass an axis
        setup_filter(torch.linspace(-1.0, 2.0, 28).reshape(4, 7)),
        None,
    ]
    x = random((2, 6, 19, 23), dtype, seed=1)
    for taps in filters:

        def op(x, taps=taps):
            return upfirdn2d(x, None if taps is None else taps.to(x.device), up=2, padding=(7, 6, 5, 8))

        compare(op, [x], layout, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("act", ["linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish"])
def test_bias_act(act, layout, dtype):
    for shape in ((2, 16, 4, 4), (3, 5, 7, 9), (0, 4, 8, 8)):
        tensors = [away_from_kinks(random(shape, dtype, seed=2)), random([shape[1]], dtype, seed=3) * 0.05]
        compare(lambda x, b: bias_act(x, b, act=act), tensors, layout, dtype)


def test_bias_act_on_rows_and_with_a_clamp():
    x, b = random((9, 33), torch.float32, seed=4), random([33], torch.float32, seed=5)
    got = bias_act(x.cuda(), b.cuda(), act="lrelu", clamp=0.8).cpu()
    torch.testing.assert_close(got, bias_act(x, b, act="lrelu", clamp=0.8))
    torch.testing.assert_close(bias_act(x.cuda(), act="relu").cpu(), bias_act(x, act="relu"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("per_sample", [False, True])
def test_epilogue(per_sample, shape, layout, dtype):
    n, c, h, w = shape
    small = torch.float64 if dtype == torch.float64 else torch.float32
    tensors = [
        away_from_kinks(random(shape, dtype, seed=6)),
        random([n, c], small, seed=7).abs() * 0.2 + 0.8,
        random([n if per_sample else 1, 1, h, w], small, seed=8).clamp(-1, 1) * 0.05,
        random([c], small, seed=9).clamp(-1, 1) * 0.05,
    ]

    def op(x, scale, noise, bias):
        return epilogue(x * 1.0, scale, noise, bias, gain=1.4)[0]  # a copy: the op may overwrite its input

    def both(x, scale, noise, bias, style):
        return torch.cat(epilogue(x * 1.0, scale, noise, bias, style, gain=1.4), dim=1)

    compare(op, tensors, layout, dtype)
    compare(both, [*tensors, random([n, c], small, seed=21).clamp(-1, 1)], layout, dtype)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("present", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1)])
def test_epilogue_with_operands_left_out(present, channels_last):
    shape = (2, 24, 18, 16)
    x = away_from_kinks(random(shape, torch.float32, seed=10))
    operands = [
        random(shape[:2], torch.float32, seed=11).abs() * 0.2 + 0.8,
        random([2, 1, *shape[2:]], torch.float32, seed=12).clamp(-1, 1) * 0.05,
        random([24], torch.float32, seed=13).clamp(-1, 1) * 0.05,
    ]
    given = [t for t, use in zip(operands, present, strict=True) if use]

    def op(x, *tensors):
        rest = iter(tensors)
        return epilogue(x * 1.0, *(next(rest) if use else None for use in present))[0]

    compare(op, [x, *given], "channels_last" if channels_last else "contiguous", torch.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bound", [0.7, 256.0])
def test_the_clamp_of_the_epilogue_stops_gradients(bound, dtype):
    """Also where the bound, rounded to the type, is below itself."""
    x = random((2, 8, 16, 16), dtype, seed=14)
    leaf = x.cuda().requires_grad_()
    y, _ = epilogue(leaf * 1.0, clamp=bound)
    (gradient,) = torch.autograd.grad(y.double().sum(), leaf)
    outside = torch.nn.functional.leaky_relu(x.double(), 0.2).abs() > bound * 1.02
    inside = torch.nn.functional.leaky_relu(x.double(), 0.2).abs() < bound * 0.98
    assert (gradient.cpu()[outside] == 0).all() and (gradient.cpu()[inside] != 0).all()
    assert outside.any() == (bound < 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(4, 3, 256, 256), (3, 3, 40, 33), (2, 1, 8, 8)])
def test_warp(shape, dtype):
    """Also far out: a small picture with a large one around it, and one that is out of sight."""
    affine = torch.eye(2, 3, dtype=torch.float64) + 0.6 * random([shape[0], 2, 3], torch.float64, seed=19)
    affine[:, :, 2] *= shape[3] / 8
    affine[-1, :, 2] = 5 * shape[3]
    affine = affine.to(dtype)
    leaves = [random(shape, dtype, seed=20).requires_grad_(), random(shape, dtype, seed=20).cuda().requires_grad_()]
    found = []
    for x in leaves:
        set_policy("required" if x.is_cuda else "reference")
        y = warp(x, affine.to(x.device), static=True)
        (first,) = torch.autograd.grad((y + y.square()).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        found.append([y.detach().cpu(), first.detach().cpu(), second.cpu()])
    for expected, got in zip(*found, strict=True):
        error = float((got - expected).norm() / expected.norm())
        assert error < (1e-11 if dtype == torch.float64 else 1e-3), error


@pytest.mark.parametrize("channels_last", [False, True])
def test_every_run_gives_the_same_gradients(channels_last):
    layout = "channels_last" if channels_last else "contiguous"
    tensors = [random((4, 64, 64, 64), torch.float16, seed=15), random([4, 64], torch.float32, seed=16)]
    tensors += [random([4, 1, 64, 64], torch.float32, seed=17), random([64], torch.float32, seed=18)]
    leaves = [t.cuda().requires_grad_() for t in tensors]

    def gradients():
        y, _ = epilogue(laid_out(leaves[0], layout) * 1.0, *leaves[1:])
        return torch.autograd.grad(y.float().sum(), leaves)

    for a, b in zip(gradients(), gradients(), strict=True):
        assert torch.equal(a, b)


def test_a_cuda_graph_replays_the_ops():
    """No allocation, copy or wait inside the kernels' calls: all of it can be captured."""
    taps = setup_filter([1, 3, 3, 1]).cuda()
    x, scale = torch.randn([2, 16, 32, 32], device="cuda"), torch.rand([2, 16], device="cuda")

    def run():
        return epilogue(upfirdn2d(x, taps, up=2, padding=(2, 1, 2, 1), gain=4.0), scale, gain=1.4, clamp=256.0)[0]

    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = run()
        x.copy_(torch.randn_like(x))
        graph.replay()
        torch.testing.assert_close(captured, run())


def test_the_kernels_serve_the_ops():
    """On a device that can build them nothing falls back in silence."""
    info = backend_info("cuda")
    assert info["policy"] == "required" and info["cuda"] != "none"
    assert {info[op] for op in COMPILED} == {"cuda"}, info["reason"]
