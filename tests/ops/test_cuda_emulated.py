"""The CUDA kernels, run thread by thread on the CPU, against float64 in plain PyTorch."""

import ctypes
import shutil
import subprocess

import pytest
import torch
import torch.nn.functional as F

from . import cuda_library as lib

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
ULP = {torch.float32: 2e-6, torch.float64: 1e-13, torch.float16: 1e-3, torch.bfloat16: 8e-3}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return lib.build_emulated(tmp_path_factory.mktemp("emulated"))


WHOLE_GRID = 0x7FFFFFFF


@pytest.fixture(
    params=[(0, WHOLE_GRID), (1, WHOLE_GRID), (0, 3), (1, 2)], ids=["forward", "reverse", "3blocks", "2reverse"]
)
def order(request, library):
    """Both orders of a block's threads: a missing barrier changes the result in one of them. Few blocks: each loops."""
    library.emulation_configure(*request.param)
    yield
    library.emulation_configure(0, WHOLE_GRID)


def small_type(dtype):
    return torch.float64 if dtype == torch.float64 else torch.float32


def call(library, name, arguments):
    code = getattr(library, name)(ctypes.byref(arguments))
    assert code == 0, library.ops_error(code).decode()


def equal(got, expected, dtype, terms=1.0):
    torch.testing.assert_close(got, expected, rtol=ULP[dtype], atol=ULP[dtype] * terms)


# --- FIR ---


def fir_by_definition(x, taps, up, down, pad, flip, gain, out):
    """Zeros inserted, placed on a canvas with the padding, correlated, decimated."""
    n, c, h, w = x.shape
    if n * c * out[0] * out[1] == 0:
        return x.new_zeros([n, c, *out])
    (upx, upy), (downx, downy), (px, py) = up, down, pad
    kh, kw = taps.shape
    canvas = x.new_zeros([n, c, (out[0] - 1) * downy + kh, (out[1] - 1) * downx + kw])
    u = x.new_zeros([n, c, h * upy, w * upx])
    u[:, :, ::upy, ::upx] = x
    top, left = max(-py, 0), max(-px, 0)
    u = u[:, :, top : max(canvas.shape[2] - py, 0), left : max(canvas.shape[3] - px, 0)]
    y0, x0 = max(py, 0), max(px, 0)
    if u.shape[2] > 0 and u.shape[3] > 0:
        canvas[:, :, y0 : y0 + u.shape[2], x0 : x0 + u.shape[3]] = u
    kernel = taps if flip else taps.flip((0, 1))
    y = F.conv2d(canvas.reshape(n * c, 1, *canvas.shape[2:]), kernel[None, None])[:, :, ::downy, ::downx]
    return gain * y.reshape(n, c, *out)


def check_fir(
    library, shape, out, *, up=(1, 1), down=(1, 1), pad=(0, 0), taps=(4, 4), separable=True, flip=0, gain=1.0,
    dtype=torch.float32, channels_last=0, offsets=(0, 0),
):  # fmt: skip
    torch.manual_seed(0)
    col, row = (torch.randn(k, dtype=torch.float64).to(small_type(dtype)).double() for k in taps)
    two = torch.outer(col, row) if separable else torch.randn(taps, dtype=torch.float64)
    two = two.to(small_type(dtype))
    x = torch.randn(shape, dtype=torch.float64).to(dtype)
    given, weights = lib.Buffer(lib.stored(x, channels_last), offsets[0]), lib.Buffer(two)
    size = [*shape[:2], *out]
    result = lib.unwritten([size[0], *size[2:], size[1]] if channels_last else size, dtype, offsets[1])
    host = [(ctypes.c_double * len(v))(*v.tolist()) for v in (col, row)]
    arguments = lib.Fir(
        x=given.pointer, y=result.pointer, taps=weights.pointer, n=shape[0], c=shape[1], in_h=shape[2], in_w=shape[3],
        out_h=out[0], out_w=out[1], kh=taps[0], kw=taps[1], up_x=up[0], up_y=up[1], down_x=down[0], down_y=down[1],
        pad_x0=pad[0], pad_y0=pad[1], flip=flip, dtype=lib.CODES[dtype], channels_last=channels_last, gain=gain,
    )  # fmt: skip
    if separable:
        arguments.col, arguments.row = (ctypes.cast(v, ctypes.c_void_p) for v in host)
    call(library, "ops_fir", arguments)
    got = lib.restored(result.read(), channels_last)
    expected = fir_by_definition(x.double(), two.double(), up, down, pad, flip, gain, out)
    equal(got, expected, dtype, terms=abs(gain) * float(two.double().abs().sum()))


RESAMPLING = [  # up, down, pad
    ((1, 1), (1, 1), (2, 1)),
    ((2, 2), (1, 1), (2, 1)),
    ((1, 1), (2, 2), (1, 2)),
]
SIZES = [  # n, c, in_h, in_w, out_h, out_w: single elements, small planes, several tiles, odd channels
    (1, 1, 1, 1, 1, 1),
    (2, 3, 5, 4, 6, 7),
    (1, 16, 7, 9, 8, 5),
    (1, 2, 40, 37, 35, 70),
    (2, 1, 70, 131, 34, 65),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize(("up", "down", "pad"), RESAMPLING)
def test_separable_fir(library, order, up, down, pad, channels_last, dtype):
    for n, c, in_h, in_w, out_h, out_w in SIZES:
        check_fir(
            library, (n, c, in_h, in_w), (out_h, out_w), up=up, down=down, pad=pad, dtype=dtype,
            channels_last=channels_last, gain=4.0, flip=n % 2,
        )  # fmt: skip


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize(("up", "down", "_pad"), RESAMPLING)
@pytest.mark.parametrize("pad", [(0, 3), (-1, -2), (-3, 4), (9, -60), (70, 33), (-90, 2)])
def test_padding_of_every_parity_crop_and_beyond_the_picture(library, up, down, _pad, pad, channels_last):
    check_fir(library, (1, 4, 12, 10), (19, 50), up=up, down=down, pad=pad, channels_last=channels_last, flip=1)


@pytest.mark.parametrize(
    ("up", "down", "pad", "taps"),
    [
        ((1, 1), (1, 1), (0, 0), (1, 1)),
        ((2, 3), (3, 1), (4, 2), (5, 2)),
        ((3, 1), (2, 2), (-2, 5), (4, 4)),
        ((2, 2), (2, 2), (3, 1), (4, 4)),
        ((1, 1), (1, 1), (6, 0), (1, 12)),
        ((1, 2), (1, 1), (0, 11), (12, 1)),
        ((2, 2), (1, 1), (20, 17), (32, 31)),
        ((5, 4), (1, 3), (2, -7), (3, 3)),
        ((1, 1), (2, 2), (1, 1), (8, 8)),
    ],
)
@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_general_fir(library, order, up, down, pad, taps, channels_last, dtype):
    for flip, separable in ((0, False), (1, False), (0, True)):
        check_fir(
            library, (2, 3, 9, 11), (13, 12), up=up, down=down, pad=pad, taps=taps, separable=separable, flip=flip,
            gain=0.7, dtype=dtype, channels_last=channels_last,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_fir_of_a_buffer_that_no_vector_can_read(library, dtype):
    for up, down, pad in RESAMPLING:
        for offsets in ((1, 0), (0, 1)):
            check_fir(
                library, (1, 16, 5, 6), (7, 5), up=up, down=down, pad=pad, dtype=dtype, channels_last=1, offsets=offsets
            )


def test_fir_of_nothing(library):
    for shape, out in [((0, 3, 5, 5), (5, 5)), ((2, 0, 5, 5), (5, 5)), ((2, 3, 5, 5), (0, 5)), ((1, 2, 0, 0), (3, 3))]:
        check_fir(library, shape, out, pad=(1, 1))


# --- epilogue ---


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
    small = small_type(dtype)
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("present", [(1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_epilogue(library, order, present, channels_last, dtype):
    for i, shape in enumerate(EPILOGUE_SHAPES):
        x, *small = operands(shape, dtype, noise_n=1 if i % 2 else None)
        scale, noise, bias = (t if use else None for t, use in zip(small, present, strict=True))
        alpha, gain, clamp = [(0.2, 1.5, 1.25), (0.0, 1.0, -1.0), (1.0, 0.5, 0.0)][i % 3]
        for unaligned in (None, "x", "y", "scale", "noise", "bias", "in place"):
            kept = [pointer(t, unaligned == name) for t, name in ((scale, "scale"), (noise, "noise"), (bias, "bias"))]
            given = lib.Buffer(lib.stored(x, channels_last), unaligned == "x")
            result = given if unaligned == "in place" else lib.unwritten(given.shape, dtype, unaligned == "y")
            arguments = lib.Epilogue(
                given.pointer, result.pointer, *(p for _, p in kept), shape[0], shape[1], shape[2] * shape[3],
                1 if noise is None else noise.shape[0], alpha, gain, clamp, lib.CODES[dtype], channels_last,
            )  # fmt: skip
            call(library, "ops_epilogue", arguments)
            got = lib.restored(result.read(), channels_last)
            equal(got, epilogue_by_definition(x, scale, noise, bias, alpha, gain, clamp), dtype, terms=4.0)


@pytest.mark.parametrize("channels_last", [0, 1])
def test_nan_and_infinity_pass_the_epilogue(library, channels_last):
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]).repeat(4).reshape(1, 4, 2, 2)
    given = lib.Buffer(lib.stored(x, channels_last))
    arguments = lib.Epilogue(
        given.pointer, given.pointer, None, None, None, 1, 4, 4, 1, 0.2, 1.0, 256.0, 0, channels_last
    )
    call(library, "ops_epilogue", arguments)
    got = lib.restored(given.read(), channels_last).reshape(4, 4)
    expected = torch.tensor([float("nan"), 256.0, -256.0, 1.0], dtype=torch.float64).expand(4, 4)
    torch.testing.assert_close(got, expected, equal_nan=True)


def test_epilogue_of_nothing(library):
    for n, c, pixels in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        call(library, "ops_epilogue", lib.Epilogue(None, None, None, None, None, n, c, pixels, 1, 0.2, 1.0, -1.0))


# --- gradient of the epilogue ---


def check_grad(
    library, shape, chunks, dtype, channels_last, present, *, with_scale=True, unaligned=None, in_place=False
):
    """Every output that `present` (dx, dnoise, sum_g, sum_gx) asks for, the others null."""
    n, c, h, w = shape
    small, alpha, gain, clamp = small_type(dtype), 0.2, 1.5, 1.3
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
    arguments = lib.EpilogueGrad(
        given[0].pointer, given[1].pointer, x_at, factors_at, *places, n, c, h * w, chunks, alpha, gain, clamp,
        lib.CODES[dtype], channels_last,
    )  # fmt: skip
    call(library, "ops_epilogue_grad", arguments)
    results = [buffer.read() for buffer in outputs]
    results[0] = lib.restored(results[0], channels_last)
    expected = [g * factor, g.sum(1, keepdim=True), *sums]
    accuracies = [dtype, small, small, small]
    for i, use in enumerate(present):
        if use:
            equal(results[i], expected[i], accuracies[i], terms=4.0 if i == 0 else 20.0)
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_gradient(library, order, channels_last, dtype):
    for shape, chunks in GRAD_SHAPES:
        check_grad(library, shape, chunks, dtype, channels_last, ALL)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize(
    "present", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0), (1, 0, 1, 0), (0, 1, 1, 1)]
)
def test_each_output_of_the_gradient_can_be_left_out(library, present, channels_last):
    for shape, chunks in (((2, 8, 6, 8), 3), ((2, 5, 3, 3), 1)):
        check_grad(library, shape, chunks, torch.float32, channels_last, present, with_scale=False)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gradient_in_place_and_misaligned(library, channels_last, dtype):
    for shape, chunks in (((2, 16, 4, 8), 2), ((2, 3, 3, 3), 1), ((1, 300, 2, 4), 1)):
        check_grad(library, shape, chunks, dtype, channels_last, ALL, in_place=True)
        for name in ("dy", "y", "x", "scale", "dx"):
            check_grad(library, shape, chunks, dtype, channels_last, ALL, unaligned=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_wide_channels_last_rows(library, order, dtype):
    """One, two and four vectors a lane, and more channels than one warp takes, with and without dnoise."""
    per_lane = 32 * 16 // torch.empty([], dtype=dtype).element_size()
    for c in (per_lane, per_lane + 8, 3 * per_lane, 4 * per_lane + 8):
        check_grad(library, (1, c, 3, 3), 2, dtype, 1, ALL)
        check_grad(library, (1, c, 2, 2), 1, dtype, 1, (1, 0, 1, 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_planes(library, order, dtype):
    """A block for a chunk of a plane; with enough chunks of pixels, all outputs in one pass, of several tiles each."""
    check_grad(library, (1, 2, 64, 70), 1, dtype, 0, ALL)
    check_grad(library, (1, 2, 64, 72), 2, dtype, 0, (1, 0, 1, 1))
    check_grad(library, (1, 2, 64, 72), 1, dtype, 0, (1, 0, 0, 0))
    per_tile = 32 * 16 // torch.empty([], dtype=dtype).element_size()
    pixels = {torch.float64: 160, torch.float32: 288}.get(dtype, 544)  # two tiles and a part
    assert pixels > per_tile
    check_grad(library, (128, 3, 1, pixels), 2, dtype, 0, ALL)
    check_grad(library, (256, 1, 1, pixels), 1, dtype, 0, ALL)
    per_vector = per_tile // 32
    check_grad(library, (64, 3, 1, 65 * per_vector), 4, dtype, 0, ALL)  # chunks that begin inside a vector
    check_grad(library, (64, 2, 16, pixels // 16 * 4), 4, dtype, 0, ALL, with_scale=False)


@pytest.mark.parametrize("chunks", [1, 3])
def test_sums_are_the_same_in_every_run(library, chunks):
    first = check_grad(library, (2, 24, 9, 11), chunks, torch.float32, 1, ALL)
    second = check_grad(library, (2, 24, 9, 11), chunks, torch.float32, 1, ALL)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("channels_last", [0, 1])
def test_gradient_of_nothing(library, channels_last):
    check_grad(library, (0, 3, 2, 2), 2, torch.float32, channels_last, ALL)
    check_grad(library, (2, 0, 2, 2), 2, torch.float32, channels_last, ALL)
    check_grad(library, (2, 3, 0, 2), 2, torch.float32, channels_last, ALL)


# --- the library ---


def test_errors_are_worded(library):
    assert library.ops_abi() == 1
    wrong = lib.Epilogue(None, None, None, None, None, 1, 1, 1, 1, 0.2, 1.0, -1.0, 9)
    assert b"element type" in library.ops_error(library.ops_epilogue(ctypes.byref(wrong)))
    fir = lib.Fir(n=1, c=1, in_h=1, in_w=1, out_h=1, out_w=1, kh=1, kw=1, up_x=0, up_y=1, down_x=1, down_y=1)
    assert b"out of range" in library.ops_error(library.ops_fir(ctypes.byref(fir)))
    grad = lib.EpilogueGrad(sum_g=16, n=1, c=1, pixels=1, chunks=0)
    assert b"out of range" in library.ops_error(library.ops_epilogue_grad(ctypes.byref(grad)))
    grad = lib.EpilogueGrad(sum_gx=16, n=1, c=1, pixels=1, chunks=1)
    assert b"needs x" in library.ops_error(library.ops_epilogue_grad(ctypes.byref(grad)))
    assert library.ops_error(0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, the compiler of the CUDA toolkit")
@pytest.mark.parametrize("source", sorted(lib.SOURCES.glob("*.cu")), ids=lambda path: path.stem)
def test_nvcc_compiles_without_spills(source, tmp_path):
    command = ["nvcc", "-std=c++17", "-O3", "-c", "-Xptxas", "-v", "-o", str(tmp_path / "object.o"), str(source)]
    for architecture in (80, 90):
        command += ["-gencode", f"arch=compute_{architecture},code=sm_{architecture}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    spilling = [line for line in done.stderr.splitlines() if "spill" in line and " 0 bytes spill stores" not in line]
    assert not spilling, done.stderr
