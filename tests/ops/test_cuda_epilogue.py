"""The CUDA epilogue and its gradients, run thread by thread on the CPU, against float64 in plain PyTorch."""

import ctypes

import pytest
import torch
import torch.nn.functional as F

from src.ops import kernels
from src.ops.kernels import ABI

from . import cuda_library as lib


def wide(small):
    """A small operand [c] or [n, c] beside pictures."""
    return small.double()[(None,) * (2 - small.ndim) + (..., None, None)]


def shifted(x, scale, noise, bias):
    v = x.double()
    v = v if scale is None else v * wide(scale)
    v = v if noise is None else v + noise.double()
    return v if bias is None else v + wide(bias)


def epilogue_by_definition(x, scale, noise, bias, alpha, gain, clamp):
    v = shifted(x, scale, noise, bias)
    v = gain * torch.where(v > 0, v, alpha * v)
    return v if clamp < 0 else v.clamp(-clamp, clamp)


def operands(shape, dtype, noise_n=None):
    """x, scale, noise, bias, style."""
    torch.manual_seed(1)
    n, c, h, w = shape
    small = lib.small_type(dtype)
    x = torch.randn(shape, dtype=torch.float64).to(dtype)
    noise = torch.randn([n if noise_n is None else noise_n, 1, h, w], dtype=small)
    return (
        x,
        torch.rand([n, c], dtype=small) + 0.5,
        noise,
        torch.randn([c], dtype=small),
        torch.randn([n, c], dtype=small),
    )


def pointer(tensor, offset=0):
    """A guarded copy, and its address (none for None)."""
    if tensor is None:
        return None, None
    buffer = lib.Buffer(tensor, offset)
    return buffer, buffer.pointer


EPILOGUE_SHAPES = [(1, 1, 1, 1), (2, 3, 5, 7), (2, 16, 4, 4), (3, 8, 17, 8), (1, 40, 3, 24), (2, 5, 1, 1)]
SMALL = ("scale", "noise", "bias", "style")


# no thread of it waits for another: both directions, with all blocks and with few that loop
@pytest.mark.parametrize(
    "order", [lib.ORDERS["forward"], lib.ORDERS["2reverse"]], ids=["forward", "2reverse"], indirect=True
)
@pytest.mark.parametrize("dtype", lib.TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("present", [(1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
@pytest.mark.parametrize("results", ["y", "z", "yz"])
def test_epilogue(emulated, order, results, present, channels_last, dtype):
    for i, shape in enumerate(EPILOGUE_SHAPES):
        x, *small = operands(shape, dtype, noise_n=1 if i % 2 else None)
        small = dict(zip(SMALL, small, strict=True))
        given = {k: v if use else None for (k, v), use in zip(small.items(), (*present, "z" in results), strict=True)}
        alpha, gain, clamp = [(0.2, 1.5, 1.25), (0.0, 1.0, -1.0), (1.0, 0.5, 0.0)][i % 3]
        for unaligned in (None, "x", *results, *SMALL, "in place"):
            kept = {name: pointer(t, unaligned == name) for name, t in given.items()}
            picture = lib.Buffer(lib.stored(x, channels_last), unaligned == "x")
            made = {name: lib.unwritten(picture.shape, dtype, unaligned == name) for name in results}
            made |= {results[0]: picture} if unaligned == "in place" else {}
            arguments = kernels.Epilogue(
                x=picture.pointer, **{k: p for k, (_, p) in kept.items()}, **{k: m.pointer for k, m in made.items()},
                n=shape[0], c=shape[1], pixels=shape[2] * shape[3],
                noise_n=1 if given["noise"] is None else given["noise"].shape[0],
                alpha=alpha, gain=gain, clamp=clamp, dtype=kernels.DTYPES[dtype], channels_last=channels_last,
            )  # fmt: skip
            lib.call(emulated, "ops_epilogue", arguments)
            y = epilogue_by_definition(x, given["scale"], given["noise"], given["bias"], alpha, gain, clamp)
            expected = {"y": y, "z": y * wide(small["style"])}
            for name, buffer in made.items():
                lib.equal(lib.restored(buffer.read(), channels_last), expected[name], dtype, terms=8.0)


@pytest.mark.parametrize("dtype", lib.TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_a_picture_is_added_after_the_clamp(emulated, channels_last, dtype):
    for shape in EPILOGUE_SHAPES:
        x, scale, noise, bias, _ = operands(shape, dtype)
        add = torch.randn(shape, dtype=torch.float64).to(dtype)
        for unaligned in (None, "add", "in place"):
            picture = lib.Buffer(lib.stored(x, channels_last))
            beside = lib.Buffer(lib.stored(add, channels_last), unaligned == "add")
            made = picture if unaligned == "in place" else lib.unwritten(picture.shape, dtype)
            small = {name: lib.Buffer(t) for name, t in (("scale", scale), ("noise", noise), ("bias", bias))}
            arguments = kernels.Epilogue(
                x=picture.pointer, y=made.pointer, add=beside.pointer, **{k: b.pointer for k, b in small.items()},
                n=shape[0], c=shape[1], pixels=shape[2] * shape[3], noise_n=shape[0], alpha=0.2, gain=1.5, clamp=1.25,
                dtype=kernels.DTYPES[dtype], channels_last=channels_last,
            )  # fmt: skip
            lib.call(emulated, "ops_epilogue", arguments)
            expected = epilogue_by_definition(x, scale, noise, bias, 0.2, 1.5, 1.25) + add.double()
            lib.equal(lib.restored(made.read(), channels_last), expected, dtype, terms=8.0)
    with_both = kernels.Epilogue(x=16, z=16, style=16, add=16, n=1, c=1, pixels=1, noise_n=1, gain=1.0, clamp=-1.0)
    assert b"y alone" in emulated.ops_error(emulated.ops_epilogue(ctypes.byref(with_both)))


@pytest.mark.parametrize("channels_last", [0, 1])
def test_nan_and_infinity_pass_the_epilogue(emulated, channels_last):
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]).repeat(4).reshape(1, 4, 2, 2)
    given = lib.Buffer(lib.stored(x, channels_last))
    arguments = kernels.Epilogue(
        x=given.pointer, y=given.pointer, n=1, c=4, pixels=4, noise_n=1, alpha=0.2, gain=1.0, clamp=256.0,
        channels_last=channels_last,
    )  # fmt: skip
    lib.call(emulated, "ops_epilogue", arguments)
    got = lib.restored(given.read(), channels_last).reshape(4, 4)
    expected = torch.tensor([float("nan"), 256.0, -256.0, 1.0], dtype=torch.float64).expand(4, 4)
    torch.testing.assert_close(got, expected, equal_nan=True)


def test_epilogue_of_nothing(emulated):
    for n, c, pixels in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        lib.call(emulated, "ops_epilogue", kernels.Epilogue(n=n, c=c, pixels=pixels, noise_n=1, gain=1.0, clamp=-1.0))


PICTURES, CHANNELS = ("dx", "ddy", "ddz"), ("sum_bias", "sum_scale", "sum_style")
FIRST, SECOND = ("dx", "dnoise", *CHANNELS), (*PICTURES, "dnoise", *CHANNELS)


def gradients_by_definition(t, alpha, gain, clamp, second):
    """The formulas of csrc/ops.h on the tensors `t` by name; sums as what is added up, `[n, c, h, w]`."""
    zero = torch.zeros(1, dtype=torch.float64)
    v = shifted(t["x"], t["scale"], t["noise"], t["bias"]) if "x" in t else t.get("y", zero).double()
    slope = gain * torch.where(v > 0, torch.ones_like(v), alpha)
    y = v * slope if "x" in t else v
    if clamp >= 0:
        bound = clamp if "x" in t else torch.tensor(clamp, dtype=torch.float64).to(t["y"].dtype).double()
        slope = slope * (y.abs() < bound)
        y = y.clamp(-clamp, clamp)
    dy, dz, x = (t[name].double() if name in t else zero for name in ("dy", "dz", "x"))
    scale = wide(t["scale"]) if t["scale"] is not None else 1.0
    style = wide(t["style"])
    g = slope * (dy + style * dz)
    if not second:
        return {"dx": g * scale, "dnoise": g, "sum_bias": g, "sum_scale": g * x, "sum_style": dz * y}
    ddx, ddnoise = t["ddx"].double(), t["ddnoise"].double()
    ddscale, ddbias, ddstyle = (wide(t[name]) for name in ("ddscale", "ddbias", "ddstyle"))
    q = slope * (scale * ddx + ddscale * x + ddnoise + ddbias)
    h = slope * ddstyle * dz
    found = {"ddy": q, "ddz": style * q + ddstyle * y, "dx": ddscale * g + scale * h, "dnoise": h}
    return found | {"sum_bias": h, "sum_scale": ddx * g + h * x, "sum_style": q * dz}


def check_grad(
    emulated, shape, chunks, dtype, channels_last, wanted=FIRST, *, given=("dy", "dz", "x"), with_scale=True,
    unaligned=None, in_place=False, second=False
):  # fmt: skip
    """Every result that is `wanted`, the others null, of the operands that are `given`."""
    n, c, h, w = shape
    small, alpha, gain, clamp = lib.small_type(dtype), 0.2, 1.5, 1.3
    x, *others = operands(shape, dtype)
    t = dict(zip(SMALL, others, strict=True)) | {"x": x}
    t["y"] = epilogue_by_definition(x, t["scale"], t["noise"], t["bias"], alpha, gain, clamp).to(dtype)
    t |= {name: torch.randn(shape, dtype=torch.float64).to(dtype) for name in ("dy", "dz", "ddx")}
    t |= {f"dd{name}": torch.randn_like(t[name]) for name in SMALL}
    if not with_scale:
        t["scale"] = None
    t = {name: v for name, v in t.items() if name not in ("dy", "dz", "x", "y") or name in given}
    t = {name: v for name, v in t.items() if second or not name.startswith("dd")}
    found = gradients_by_definition(t, alpha, gain, clamp, second)
    length = -(-h * w // chunks)
    for name in CHANNELS:
        padded = F.pad(found[name].expand(n, c, h, w).flatten(2), (0, length * chunks - h * w))
        found[name] = padded.reshape(n, c, chunks, length).sum(3).transpose(1, 2)
    found["dnoise"] = found["dnoise"].sum(1, keepdim=True)

    pictures = {name: lib.stored(v, channels_last) for name, v in t.items() if v is not None and v.shape == x.shape}
    read = {k: lib.Buffer(pictures.get(k, v), unaligned == k) for k, v in t.items() if v is not None}
    shapes = {"dnoise": [n, 1, h, w]} | {name: [n, chunks, c] for name in CHANNELS}
    dense = lib.stored(x, channels_last).shape
    made = {k: lib.unwritten(shapes.get(k, dense), dtype if k in PICTURES else small, unaligned == k) for k in wanted}
    if in_place:
        made["dx"] = read["dy"]
    arguments = kernels.EpilogueGrad(
        **{k: buffer.pointer for k, buffer in (read | made).items()},
        n=n, c=c, pixels=h * w, noise_n=n, chunks=chunks, alpha=alpha, gain=gain, clamp=clamp,
        dtype=kernels.DTYPES[dtype], channels_last=channels_last,
    )  # fmt: skip
    lib.call(emulated, "ops_epilogue_grad_grad" if second else "ops_epilogue_grad", arguments)
    results = {k: buffer.read() for k, buffer in made.items()}
    for k, got in results.items():
        got = lib.restored(got, channels_last) if k in PICTURES else got
        lib.equal(got, found[k].expand_as(got), dtype if k in PICTURES else small, terms=8.0 if k in PICTURES else 80.0)
    for buffer in read.values():
        buffer.read()
    return results


GRAD_SHAPES = [  # with chunks: odd channels, more chunks than pixels, several vectors a lane, more channels than lanes
    ((1, 1, 1, 1), 1),
    ((2, 3, 5, 7), 3),
    ((1, 3, 2, 2), 9),
    ((2, 16, 8, 8), 2),
    ((1, 8, 8, 13), 5),
    ((1, 100, 3, 3), 2),
]


FROM_Y = {"given": ("dy", "y"), "wanted": ("dx", "dnoise", "sum_bias")}


@pytest.mark.parametrize("dtype", lib.TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_gradient(emulated, order, channels_last, dtype):
    for shape, chunks in GRAD_SHAPES:
        check_grad(emulated, shape, chunks, dtype, channels_last)
        check_grad(emulated, shape, chunks, dtype, channels_last, **FROM_Y)
        check_grad(emulated, shape, chunks, dtype, channels_last, SECOND, second=True)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("given", [("dy", "x"), ("dz", "x")])
def test_gradient_of_one_result(emulated, given, channels_last):
    for second in (False, True):
        wanted = [name for name in (SECOND if second else FIRST) if name != "ddz" or "dz" in given]
        check_grad(emulated, (2, 8, 6, 8), 3, torch.float32, channels_last, wanted, given=given, second=second)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("wanted", [*((name,) for name in SECOND), ("dx", "dnoise"), ("dx", "sum_bias"), SECOND[3:]])
def test_each_result_can_be_left_out(emulated, wanted, channels_last):
    for shape, chunks in (((2, 8, 6, 8), 3), ((2, 5, 3, 3), 1)):
        check_grad(emulated, shape, chunks, torch.float32, channels_last, wanted, with_scale=False, second=True)
        if not set(wanted) - set(FIRST):
            check_grad(emulated, shape, chunks, torch.float32, channels_last, wanted, with_scale=False)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gradient_in_place_and_misaligned(emulated, channels_last, dtype):
    for shape, chunks in (((2, 16, 4, 8), 2), ((2, 3, 3, 3), 1), ((1, 300, 2, 4), 1)):
        check_grad(emulated, shape, chunks, dtype, channels_last, in_place=True)
        check_grad(emulated, shape, chunks, dtype, channels_last, in_place=True, **FROM_Y)
        for name in ("dy", "dz", "x", *SMALL, "dx"):
            check_grad(emulated, shape, chunks, dtype, channels_last, unaligned=name)
    for name in ("ddx", "ddscale", "ddnoise", "ddbias", "ddstyle", "ddy", "ddz"):
        check_grad(emulated, (2, 16, 4, 8), 2, dtype, channels_last, SECOND, unaligned=name, second=True)


@pytest.mark.parametrize("dtype", lib.TYPES)
def test_wide_channels_last_rows(emulated, order, dtype):
    """One, two and four vectors a lane, and more channels than one warp takes, with and without dnoise."""
    per_lane = 32 * 16 // torch.empty([], dtype=dtype).element_size()
    for c in (per_lane, per_lane + 8, 3 * per_lane, 4 * per_lane + 8):
        check_grad(emulated, (1, c, 3, 3), 2, dtype, 1)
        check_grad(emulated, (1, c, 2, 2), 1, dtype, 1, ("dx", *CHANNELS))


@pytest.mark.parametrize("dtype", lib.TYPES)
def test_large_planes(emulated, order, dtype):
    """A block for a chunk of a plane; with enough chunks of pixels, all outputs in one pass, of several tiles each."""
    check_grad(emulated, (1, 2, 64, 70), 1, dtype, 0)
    check_grad(emulated, (1, 2, 64, 72), 2, dtype, 0, ("dx", *CHANNELS))
    check_grad(emulated, (1, 2, 64, 72), 1, dtype, 0, ("dx",))
    per_tile = 32 * 16 // torch.empty([], dtype=dtype).element_size()
    pixels = {torch.float64: 160, torch.float32: 288}.get(dtype, 544)  # two tiles and a part
    assert pixels > per_tile
    check_grad(emulated, (128, 3, 1, pixels), 2, dtype, 0)
    check_grad(emulated, (256, 1, 1, pixels), 1, dtype, 0)
    per_vector = per_tile // 32
    check_grad(emulated, (64, 3, 1, 65 * per_vector), 4, dtype, 0)  # chunks that begin inside a vector
    check_grad(emulated, (64, 2, 16, pixels // 16 * 4), 4, dtype, 0, with_scale=False)


@pytest.mark.parametrize("chunks", [1, 3])
def test_sums_are_the_same_in_every_run(emulated, chunks):
    first = check_grad(emulated, (2, 24, 9, 11), chunks, torch.float32, 1)
    second = check_grad(emulated, (2, 24, 9, 11), chunks, torch.float32, 1)
    for name, a in first.items():
        assert torch.equal(a, second[name])


@pytest.mark.parametrize("channels_last", [0, 1])
def test_gradient_of_nothing(emulated, channels_last):
    for shape in ((0, 3, 2, 2), (2, 0, 2, 2), (2, 3, 0, 2)):
        check_grad(emulated, shape, 2, torch.float32, channels_last)
        check_grad(emulated, shape, 2, torch.float32, channels_last, SECOND, second=True)


def test_errors_are_worded(emulated):
    assert emulated.ops_abi() == ABI
    wrong = kernels.Epilogue(n=1, c=1, pixels=1, noise_n=1, gain=1.0, clamp=-1.0, dtype=9)
    assert b"element type" in emulated.ops_error(emulated.ops_epilogue(ctypes.byref(wrong)))
    fir = kernels.Fir(n=1, c=1, in_h=1, in_w=1, out_h=1, out_w=1, kh=1, kw=1, up_x=0, up_y=1, down_x=1, down_y=1)
    assert b"out of range" in emulated.ops_error(emulated.ops_fir(ctypes.byref(fir)))
    grad = kernels.EpilogueGrad(sum_bias=16, n=1, c=1, pixels=1, chunks=0)
    assert b"out of range" in emulated.ops_error(emulated.ops_epilogue_grad(ctypes.byref(grad)))
    grad = kernels.EpilogueGrad(sum_scale=16, n=1, c=1, pixels=1, chunks=1)
    assert b"need x" in emulated.ops_error(emulated.ops_epilogue_grad(ctypes.byref(grad)))
    grad = kernels.EpilogueGrad(dz=16, x=16, sum_bias=16, n=1, c=1, pixels=1, chunks=1)
    assert b"the style" in emulated.ops_error(emulated.ops_epilogue_grad(ctypes.byref(grad)))
    unstyled = kernels.Epilogue(x=16, z=16, n=1, c=1, pixels=1, noise_n=1, gain=1.0, clamp=-1.0)
    assert b"the style" in emulated.ops_error(emulated.ops_epilogue(ctypes.byref(unstyled)))
    assert emulated.ops_error(0)
