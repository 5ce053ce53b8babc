"""The CUDA epilogue and its gradients, run thread by thread on the CPU, against float64 in plain PyTorch."""

import ctypes

import pytest
import torch
import torch.nn.functional as F

from src.ops import kernels
from src.ops.kernels import ABI

from . import cuda_library as lib


def epilogue_by_definition(x, scale, noise, bias, alpha, gain, clamp):
    v = x.double()
    v = v if scale is None else v * scale.double()[:, :, None, None]
    v = v if noise is None else v + noise.double()
    v = v if bias is None else v + bias.double()[None, :, None, None]
    v = gain * torch.where(v > 0, v, alpha * v)
    return v if clamp < 0 else v.clamp(-clamp, clamp)


def operands(shape, dtype, noise_n=None):
    torch.manual_seed(1)
    n, c, h, w = shape
    small = lib.small_type(dtype)
    x = torch.randn(shape, dtype=torch.float64).to(dtype)
    noise = torch.randn([n if noise_n is None else noise_n, 1, h, w], dtype=small)
    return x, torch.rand([n, c], dtype=small) + 0.5, noise, torch.randn([c], dtype=small)


def pointer(tensor, offset=0):
    """A guarded copy, and its address (none for None)."""
    if tensor is None:
        return None, None
    buffer = lib.Buffer(tensor, offset)
    return buffer, buffer.pointer


EPILOGUE_SHAPES = [(1, 1, 1, 1), (2, 3, 5, 7), (2, 16, 4, 4), (3, 8, 17, 8), (1, 40, 3, 24), (2, 5, 1, 1)]


@pytest.mark.parametrize("dtype", lib.TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("present", [(1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_epilogue(emulated, order, present, channels_last, dtype):
    for i, shape in enumerate(EPILOGUE_SHAPES):
        x, *small = operands(shape, dtype, noise_n=1 if i % 2 else None)
        scale, noise, bias = (t if use else None for t, use in zip(small, present, strict=True))
        alpha, gain, clamp = [(0.2, 1.5, 1.25), (0.0, 1.0, -1.0), (1.0, 0.5, 0.0)][i % 3]
        for unaligned in (None, "x", "y", "scale", "noise", "bias", "in place"):
            kept = [pointer(t, unaligned == name) for t, name in ((scale, "scale"), (noise, "noise"), (bias, "bias"))]
            given = lib.Buffer(lib.stored(x, channels_last), unaligned == "x")
            result = given if unaligned == "in place" else lib.unwritten(given.shape, dtype, unaligned == "y")
            arguments = kernels.Epilogue(
                given.pointer, result.pointer, *(p for _, p in kept), shape[0], shape[1], shape[2] * shape[3],
                1 if noise is None else noise.shape[0], alpha, gain, clamp, kernels.DTYPES[dtype], channels_last,
            )  # fmt: skip
            lib.call(emulated, "ops_epilogue", arguments)
            got = lib.restored(result.read(), channels_last)
            lib.equal(got, epilogue_by_definition(x, scale, noise, bias, alpha, gain, clamp), dtype, terms=4.0)


@pytest.mark.parametrize("channels_last", [0, 1])
def test_nan_and_infinity_pass_the_epilogue(emulated, channels_last):
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]).repeat(4).reshape(1, 4, 2, 2)
    given = lib.Buffer(lib.stored(x, channels_last))
    arguments = kernels.Epilogue(
        given.pointer, given.pointer, None, None, None, 1, 4, 4, 1, 0.2, 1.0, 256.0, 0, channels_last
    )
    lib.call(emulated, "ops_epilogue", arguments)
    got = lib.restored(given.read(), channels_last).reshape(4, 4)
    expected = torch.tensor([float("nan"), 256.0, -256.0, 1.0], dtype=torch.float64).expand(4, 4)
    torch.testing.assert_close(got, expected, equal_nan=True)


def test_epilogue_of_nothing(emulated):
    for n, c, pixels in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        lib.call(
            emulated, "ops_epilogue", kernels.Epilogue(None, None, None, None, None, n, c, pixels, 1, 0.2, 1.0, -1.0)
        )


def check_grad(
    emulated, shape, chunks, dtype, channels_last, present, *, with_scale=True, unaligned=None, in_place=False
):
    """Every output that `present` (dx, dnoise, sum_g, sum_gx) asks for, the others null."""
    n, c, h, w = shape
    small, alpha, gain, clamp = lib.small_type(dtype), 0.2, 1.5, 1.3
    x, scale, noise, bias = operands(shape, dtype)
    y = epilogue_by_definition(x, scale, noise, bias, alpha, gain, clamp).to(dtype)
    bound = torch.tensor(clamp, dtype=torch.float64).to(dtype).double()
    dy = torch.randn(shape, dtype=torch.float64).to(dtype)
    slope = torch.full_like(x, alpha, dtype=torch.float64).masked_fill(y > 0, 1.0)
    g = dy.double() * gain * slope * (y.double().abs() < bound)
    length = -(-h * w // chunks)
    sums = []
    for v in (g, g * x.double()):
        padded = F.pad(v.flatten(2), (0, length * chunks - h * w))
        sums.append(padded.reshape(n, c, chunks, length).sum(3).transpose(1, 2))
    factor = scale.double()[:, :, None, None] if with_scale else 1.0

    named = {"dy": dy, "y": y, "x": x}
    given = [lib.Buffer(lib.stored(t, channels_last), unaligned == name) for name, t in named.items()]
    factors, factors_at = pointer(scale if with_scale else None, unaligned == "scale")
    outputs = [
        given[0] if in_place else lib.unwritten(given[0].shape, dtype, unaligned == "dx"),
        lib.unwritten([n, 1, h, w], small),
        lib.unwritten([n, chunks, c], small),
        lib.unwritten([n, chunks, c], small),
    ]
    places = [buffer.pointer if use else None for buffer, use in zip(outputs, present, strict=True)]
    x_at = given[2].pointer if present[3] else None
    arguments = kernels.EpilogueGrad(
        given[0].pointer, given[1].pointer, x_at, factors_at, *places, n, c, h * w, chunks, alpha, gain, clamp,
        kernels.DTYPES[dtype], channels_last,
    )  # fmt: skip
    lib.call(emulated, "ops_epilogue_grad", arguments)
    results = [buffer.read() for buffer in outputs]
    results[0] = lib.restored(results[0], channels_last)
    expected = [g * factor, g.sum(1, keepdim=True), *sums]
    accuracies = [dtype, small, small, small]
    for i, use in enumerate(present):
        if use:
            lib.equal(results[i], expected[i], accuracies[i], terms=4.0 if i == 0 else 20.0)
        else:
            assert (i == 0 and in_place) or results[i].isnan().all()
    assert factors is None or factors.read().isfinite().all()
    return results


ALL = (1, 1, 1, 1)
GRAD_SHAPES = [  # with chunks: odd channels, more chunks than pixels, several vectors a lane, more channels than lanes
    ((1, 1, 1, 1), 1),
    ((2, 3, 5, 7), 3),
    ((1, 3, 2, 2), 9),
    ((2, 16, 8, 8), 2),
    ((1, 8, 8, 13), 5),
    ((1, 100, 3, 3), 2),
]


@pytest.mark.parametrize("dtype", lib.TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_gradient(emulated, order, channels_last, dtype):
    for shape, chunks in GRAD_SHAPES:
        check_grad(emulated, shape, chunks, dtype, channels_last, ALL)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize(
    "present", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0), (1, 0, 1, 0), (0, 1, 1, 1)]
)
def test_each_output_of_the_gradient_can_be_left_out(emulated, present, channels_last):
    for shape, chunks in (((2, 8, 6, 8), 3), ((2, 5, 3, 3), 1)):
        check_grad(emulated, shape, chunks, torch.float32, channels_last, present, with_scale=False)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gradient_in_place_and_misaligned(emulated, channels_last, dtype):
    for shape, chunks in (((2, 16, 4, 8), 2), ((2, 3, 3, 3), 1), ((1, 300, 2, 4), 1)):
        check_grad(emulated, shape, chunks, dtype, channels_last, ALL, in_place=True)
        for name in ("dy", "y", "x", "scale", "dx"):
            check_grad(emulated, shape, chunks, dtype, channels_last, ALL, unaligned=name)


@pytest.mark.parametrize("dtype", lib.TYPES)
def test_wide_channels_last_rows(emulated, order, dtype):
    """One, two and four vectors a lane, and more channels than one warp takes, with and without dnoise."""
    per_lane = 32 * 16 // torch.empty([], dtype=dtype).element_size()
    for c in (per_lane, per_lane + 8, 3 * per_lane, 4 * per_lane + 8):
        check_grad(emulated, (1, c, 3, 3), 2, dtype, 1, ALL)
        check_grad(emulated, (1, c, 2, 2), 1, dtype, 1, (1, 0, 1, 1))


@pytest.mark.parametrize("dtype", lib.TYPES)
def test_large_planes(emulated, order, dtype):
    """A block for a chunk of a plane; with enough chunks of pixels, all outputs in one pass, of several tiles each."""
    check_grad(emulated, (1, 2, 64, 70), 1, dtype, 0, ALL)
    check_grad(emulated, (1, 2, 64, 72), 2, dtype, 0, (1, 0, 1, 1))
    check_grad(emulated, (1, 2, 64, 72), 1, dtype, 0, (1, 0, 0, 0))
    per_tile = 32 * 16 // torch.empty([], dtype=dtype).element_size()
    pixels = {torch.float64: 160, torch.float32: 288}.get(dtype, 544)  # two tiles and a part
    assert pixels > per_tile
    check_grad(emulated, (128, 3, 1, pixels), 2, dtype, 0, ALL)
    check_grad(emulated, (256, 1, 1, pixels), 1, dtype, 0, ALL)
    per_vector = per_tile // 32
    check_grad(emulated, (64, 3, 1, 65 * per_vector), 4, dtype, 0, ALL)  # chunks that begin inside a vector
    check_grad(emulated, (64, 2, 16, pixels // 16 * 4), 4, dtype, 0, ALL, with_scale=False)


@pytest.mark.parametrize("chunks", [1, 3])
def test_sums_are_the_same_in_every_run(emulated, chunks):
    first = check_grad(emulated, (2, 24, 9, 11), chunks, torch.float32, 1, ALL)
    second = check_grad(emulated, (2, 24, 9, 11), chunks, torch.float32, 1, ALL)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("channels_last", [0, 1])
def test_gradient_of_nothing(emulated, channels_last):
    check_grad(emulated, (0, 3, 2, 2), 2, torch.float32, channels_last, ALL)
    check_grad(emulated, (2, 0, 2, 2), 2, torch.float32, channels_last, ALL)
    check_grad(emulated, (2, 3, 0, 2), 2, torch.float32, channels_last, ALL)


def test_errors_are_worded(emulated):
    assert emulated.ops_abi() == ABI
    wrong = kernels.Epilogue(None, None, None, None, None, 1, 1, 1, 1, 0.2, 1.0, -1.0, 9)
    assert b"element type" in emulated.ops_error(emulated.ops_epilogue(ctypes.byref(wrong)))
    fir = kernels.Fir(n=1, c=1, in_h=1, in_w=1, out_h=1, out_w=1, kh=1, kw=1, up_x=0, up_y=1, down_x=1, down_y=1)
    assert b"out of range" in emulated.ops_error(emulated.ops_fir(ctypes.byref(fir)))
    grad = kernels.EpilogueGrad(sum_g=16, n=1, c=1, pixels=1, chunks=0)
    assert b"out of range" in emulated.ops_error(emulated.ops_epilogue_grad(ctypes.byref(grad)))
    grad = kernels.EpilogueGrad(sum_gx=16, n=1, c=1, pixels=1, chunks=1)
    assert b"needs x" in emulated.ops_error(emulated.ops_epilogue_grad(ctypes.byref(grad)))
    assert emulated.ops_error(0)
