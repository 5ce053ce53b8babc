"""The CUDA FIR kernels, run thread by thread on the CPU, against float64 in plain PyTorch."""

import ctypes

import pytest
import torch
import torch.nn.functional as F

from src.ops import kernels

from . import cuda_library as lib


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
    emulated, shape, out, *, up=(1, 1), down=(1, 1), pad=(0, 0), taps=(4, 4), separable=True, flip=0, gain=1.0,
    dtype=torch.float32, channels_last=0, offsets=(0, 0), added=False,
):  # fmt: skip
    torch.manual_seed(0)
    col, row = (torch.randn(k, dtype=torch.float64).to(lib.small_type(dtype)).double() for k in taps)
    two = torch.outer(col, row) if separable else torch.randn(taps, dtype=torch.float64)
    two = two.to(lib.small_type(dtype))
    x = torch.randn(shape, dtype=torch.float64).to(dtype)
    given, weights = lib.Buffer(lib.stored(x, channels_last), offsets[0]), lib.Buffer(two)
    size = [*shape[:2], *out]
    result = lib.unwritten([size[0], *size[2:], size[1]] if channels_last else size, dtype, offsets[1])
    host = [(ctypes.c_double * len(v))(*v.tolist()) for v in (col, row)]
    arguments = kernels.Fir(
        x=given.pointer, y=result.pointer, taps=weights.pointer, n=shape[0], c=shape[1], in_h=shape[2], in_w=shape[3],
        out_h=out[0], out_w=out[1], kh=taps[0], kw=taps[1], up_x=up[0], up_y=up[1], down_x=down[0], down_y=down[1],
        pad_x0=pad[0], pad_y0=pad[1], flip=flip, dtype=kernels.DTYPES[dtype], channels_last=channels_last, gain=gain,
    )  # fmt: skip
    addend = torch.randn(size, dtype=torch.float64).to(dtype) if added else torch.zeros(1, dtype=dtype)
    beside = lib.Buffer(lib.stored(addend, channels_last) if added else addend, offsets[1])
    arguments.add = beside.pointer if added else None
    if separable:
        arguments.col, arguments.row = host
    lib.call(emulated, "ops_fir", arguments)
    got = lib.restored(result.read(), channels_last)
    expected = addend.double() + fir_by_definition(x.double(), two.double(), up, down, pad, flip, gain, out)
    lib.equal(got, expected, dtype, terms=abs(gain) * float(two.double().abs().sum()))


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


@pytest.mark.parametrize("dtype", lib.TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize(("up", "down", "pad"), RESAMPLING)
def test_separable_fir(emulated, order, up, down, pad, channels_last, dtype):
    for n, c, in_h, in_w, out_h, out_w in SIZES:
        check_fir(
            emulated, (n, c, in_h, in_w), (out_h, out_w), up=up, down=down, pad=pad, dtype=dtype,
            channels_last=channels_last, gain=4.0, flip=n % 2,
        )  # fmt: skip


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize(("up", "down", "_pad"), RESAMPLING)
@pytest.mark.parametrize("pad", [(0, 3), (-1, -2), (-3, 4), (9, -60), (70, 33), (-90, 2)])
def test_padding_of_every_parity_crop_and_beyond_the_picture(emulated, up, down, _pad, pad, channels_last):
    check_fir(emulated, (1, 4, 12, 10), (19, 50), up=up, down=down, pad=pad, channels_last=channels_last, flip=1)


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
@pytest.mark.parametrize("dtype", lib.TYPES)
def test_general_fir(emulated, order, up, down, pad, taps, channels_last, dtype):
    for flip, separable in ((0, False), (1, False), (0, True)):
        check_fir(
            emulated, (2, 3, 9, 11), (13, 12), up=up, down=down, pad=pad, taps=taps, separable=separable, flip=flip,
            gain=0.7, dtype=dtype, channels_last=channels_last,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", lib.TYPES)
def test_fir_of_a_buffer_that_no_vector_can_read(emulated, dtype):
    for up, down, pad in RESAMPLING:
        for offsets in ((1, 0), (0, 1)):
            check_fir(
                emulated,
                (1, 16, 5, 6),
                (7, 5),
                up=up,
                down=down,
                pad=pad,
                dtype=dtype,
                channels_last=1,
                offsets=offsets,
            )


@pytest.mark.parametrize("dtype", lib.TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_fir_adds_a_picture(emulated, channels_last, dtype):
    how = {"dtype": dtype, "channels_last": channels_last, "added": True}
    for up, down, pad in RESAMPLING:
        for n, c, in_h, in_w, out_h, out_w in SIZES:
            check_fir(emulated, (n, c, in_h, in_w), (out_h, out_w), up=up, down=down, pad=pad, **how)
        check_fir(emulated, (1, 16, 5, 6), (7, 5), up=up, down=down, pad=pad, offsets=(0, 1), **how)
    check_fir(emulated, (2, 3, 9, 11), (13, 12), up=(2, 3), pad=(4, 2), taps=(5, 2), separable=False, gain=0.7, **how)


def test_fir_of_nothing(emulated):
    for shape, out in [((0, 3, 5, 5), (5, 5)), ((2, 0, 5, 5), (5, 5)), ((2, 3, 5, 5), (0, 5)), ((1, 2, 0, 0), (3, 3))]:
        check_fir(emulated, shape, out, pad=(1, 1))
