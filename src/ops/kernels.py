"""Calling the compiled kernels: the structures of csrc/ops.h, filled from tensors.

Nothing here knows about gradients. Tensors are dense, in one of the two layouts; results are new tensors in the layout
of their input. A CPU library and a CUDA library have the same functions.
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

ABI = 4
DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
WARP_TAPS = 12
CHUNK_ELEMENTS = 1 << 16  # of a sum's chunk on a CPU: small enough for two threads, large enough for the adding up


class Fir(Structure):
    """`OpsFir` of csrc/ops.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("x", "y", "add", "taps")),
        *((name, POINTER(c_double)) for name in ("col", "row")),
        *((name, c_int64) for name in ("n", "c", "in_h", "in_w", "out_h", "out_w")),
        *((name, c_int32) for name in ("kh", "kw", "up_x", "up_y", "down_x", "down_y", "pad_x0", "pad_y0")),
        *((name, c_int32) for name in ("flip", "dtype", "channels_last", "threads")),
        ("gain", c_double),
        ("stream", c_void_p),
    ]


class Epilogue(Structure):
    """`OpsEpilogue` of csrc/ops.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("x", "y", "z", "add", "scale", "noise", "bias", "style")),
        *((name, c_int64) for name in ("n", "c", "pixels", "noise_n")),
        *((name, c_double) for name in ("alpha", "gain", "clamp")),
        *((name, c_int32) for name in ("dtype", "channels_last", "threads")),
        ("stream", c_void_p),
    ]


class EpilogueGrad(Structure):
    """`OpsEpilogueGrad` of csrc/ops.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("dy", "dz", "y", "x", "scale", "noise", "bias", "style")),
        *((name, c_void_p) for name in ("dx", "dnoise", "sum_bias", "sum_scale", "sum_style")),
        *((name, c_void_p) for name in ("ddx", "ddscale", "ddnoise", "ddbias", "ddstyle", "ddy", "ddz")),
        *((name, c_int64) for name in ("n", "c", "pixels", "noise_n", "chunks")),
        *((name, c_double) for name in ("alpha", "gain", "clamp")),
        *((name, c_int32) for name in ("dtype", "channels_last", "threads")),
        ("stream", c_void_p),
    ]


class Warp(Structure):
    """`OpsWarp` of csrc/ops.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("x", "y", "affine", "margins")),
        ("taps", POINTER(c_double)),
        *((name, c_int64) for name in ("n", "c", "h", "w")),
        *((name, c_int32) for name in ("adjoint", "dtype", "threads")),
        ("stream", c_void_p),
    ]


class Taps(NamedTuple):
    """A FIR filter as the kernels take it: `[kh, kw]` on the device, its factors in host memory or None."""

    f: Tensor
    col: "ctypes.Array[c_double] | None"
    row: "ctypes.Array[c_double] | None"


class Shape(NamedTuple):
    """Of an activation: `gain · lrelu(v)` with slope `alpha` below zero, bounded by `clamp` (None: not)."""

    alpha: float
    gain: float
    clamp: float | None


class Small(NamedTuple):
    """Operands of an epilogue beside its picture, or gradients of them; None where there is none."""

    scale: Tensor | None  # [N, C]
    noise: Tensor | None  # [1 or N, 1, …], a gradient [N, 1, …]
    bias: Tensor | None  # [C]
    style: Tensor | None  # [N, C]

    def fitted(self, x: Tensor, *, shared_noise: bool = True) -> "Small":
        """Without gaps, of the type that the kernels take beside `x`; a ValueError for other shapes than its."""
        n, c, *pixels = x.shape
        maps = 1 if shared_noise and self.noise is not None and len(self.noise) == 1 else n
        shapes = ([n, c], [maps, 1, *pixels], [c], [n, c])
        for name, t, shape in zip(self._fields, self, shapes, strict=True):
            _require(name, t, shape, x)
        dtype = small_dtype(x.dtype)
        return Small(*(None if t is None else t.to(dtype).contiguous() for t in self))


class Incoming(NamedTuple):
    """What an epilogue's gradient is made of, beside the small operands."""

    dy: Tensor | None
    dz: Tensor | None
    y: Tensor | None  # gives the slope where x is not needed
    x: Tensor | None


class Gradients(NamedTuple):
    """What the gradient of an epilogue gives, and the second gradient; None where it was not asked for."""

    x: Tensor | None
    small: Small
    y: Tensor | None = None
    z: Tensor | None = None


FUNCTIONS = {
    "ops_fir": Fir,
    "ops_epilogue": Epilogue,
    "ops_epilogue_grad": EpilogueGrad,
    "ops_epilogue_grad_grad": EpilogueGrad,
    "ops_warp": Warp,
}


class Kernels:
    """A loaded library, used for tensors of some types; OSError where it cannot be loaded or is another version's."""

    def __init__(self, path: Path, dtypes: frozenset[torch.dtype]) -> None:
        self.path, self.dtypes = path, dtypes
        self._library = ctypes.CDLL(str(path))
        if self._library.ops_abi() != ABI:
            raise OSError(f"{path} has interface {self._library.ops_abi()}, not {ABI}")
        self._library.ops_error.restype = c_char_p
        for name, structure in FUNCTIONS.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = [POINTER(structure)], c_int

    def fir(
        self,
        x: Tensor,
        taps: Taps,
        size: tuple[int, int],
        up: tuple[int, int],
        down: tuple[int, int],
        padding: tuple[int, int],
        flip: bool,
        gain: float,
        add: Tensor | None = None,
    ) -> Tensor:
        """Resample `x` `[N, C, H, W]` to `size` (height, width), and `add` to it what has that size.

        Factors and padding (before) are `(x, y)`.
        """
        x, channels_last = dense(x)
        channels_last = channels_last and not x.is_contiguous()
        n, c, in_h, in_w = x.shape
        layout = torch.channels_last if channels_last else torch.contiguous_format
        y = torch.empty([n, c, *size], dtype=x.dtype, device=x.device, memory_format=layout)
        _require("add", add, y.shape, x)
        add = None if add is None else add.to(x.dtype).contiguous(memory_format=layout)
        kh, kw = taps.f.shape
        arguments = Fir(
            x.data_ptr(), y.data_ptr(), _pointer(add), taps.f.data_ptr(), taps.col, taps.row,
            n, c, in_h, in_w, size[0], size[1],
            kh, kw, *up, *down, *padding,
            flip, DTYPES[x.dtype], channels_last, torch.get_num_threads(),
            gain, _stream(x),
        )  # fmt: skip
        self._call(self._library.ops_fir, arguments, x)
        return y

    def epilogue(
        self,
        x: Tensor,
        small: Small,
        shape: Shape,
        *,
        keep: bool = True,
        inplace: bool = False,
        add: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Compute `y = clamp(gain · lrelu(x·scale + noise + bias))`, if it is kept, and with a style `z = y·style`.

        Without a style y may have another picture added.
        """
        x, channels_last = dense(x)
        small = small.fitted(x)
        _require("add", add, x.shape, x)
        layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        add = None if add is None else add.to(x.dtype).contiguous(memory_format=layout)
        first = x if inplace else torch.empty_like(x)
        y = first if keep else None
        z = None if small.style is None else torch.empty_like(x) if keep else first
        arguments = Epilogue(
            x.data_ptr(), _pointer(y), _pointer(z), _pointer(add), *map(_pointer, small),
            *_extent(x), 1 if small.noise is None else small.noise.shape[0],
            shape.alpha, shape.gain, -1.0 if shape.clamp is None else shape.clamp,
            DTYPES[x.dtype], channels_last, torch.get_num_threads(), _stream(x),
        )  # fmt: skip
        self._call(self._library.ops_epilogue, arguments, x)
        return y, z

    def epilogue_grad(
        self,
        given: Incoming,
        small: Small,
        shape: Shape,
        *,
        wanted: Sequence[bool],
        second: tuple[Tensor | None, Small] | None = None,
    ) -> Gradients:
        """Gradients with respect to x, scale, noise (a sum over channels), bias and style, as `wanted`.

        With `second`, gradients of those five (the noise's `[N, 1, …]`), they are the second gradients, and `wanted`
        names those with respect to y's and z's gradient too.
        """
        like = next(t for t in (given.x, given.y, given.dy) if t is not None)
        like, channels_last = dense(like)
        layout = torch.contiguous_format if like.is_contiguous() else torch.channels_last
        ddx, dd = (None, Small(None, None, None, None)) if second is None else second
        for name, t in (*zip(given._fields, given, strict=True), ("ddx", ddx)):
            _require(name, t, like.shape, like)
        if given.dz is not None and small.style is None:
            raise ValueError("a gradient of what is times the style needs the style")
        pictures = [None if t is None else t.to(like.dtype).contiguous(memory_format=layout) for t in (*given, ddx)]
        n, c, pixels = _extent(like)
        dtype, chunks = small_dtype(like.dtype), _chunks(like, channels_last)
        small, dd = small.fitted(like), dd.fitted(like, shared_noise=False)
        dx, ddy, ddz = (torch.empty_like(like) if w else None for w in (wanted[0], *(*wanted[5:], False, False)[:2]))
        noise = torch.empty([n, 1, *like.shape[2:]], dtype=dtype, device=like.device) if wanted[2] else None
        kinds = [i for i, w in enumerate((wanted[3], wanted[1], wanted[4])) if w]  # bias, scale, style
        parts = torch.empty([len(kinds), n, chunks, c], dtype=dtype, device=like.device)
        places: list[int | None] = [None] * 3
        for k, i in enumerate(kinds):
            places[i] = parts[k].data_ptr()
        arguments = EpilogueGrad(
            *map(_pointer, pictures[:4]), *map(_pointer, small), _pointer(dx), _pointer(noise), *places,
            _pointer(pictures[4]), *map(_pointer, dd), _pointer(ddy), _pointer(ddz),
            n, c, pixels, 1 if small.noise is None else small.noise.shape[0], chunks,
            shape.alpha, shape.gain, -1.0 if shape.clamp is None else shape.clamp,
            DTYPES[like.dtype], channels_last, torch.get_num_threads(), _stream(like),
        )  # fmt: skip
        library = self._library
        self._call(library.ops_epilogue_grad if second is None else library.ops_epilogue_grad_grad, arguments, like)
        sums: list[Tensor | None] = [None] * 3
        if kinds == [0]:
            sums[0] = parts[0].sum(dim=(0, 1))
        elif kinds:
            added = parts[:, :, 0] if chunks == 1 else parts.sum(dim=2)
            for i, found in zip(kinds, added, strict=True):
                sums[i] = found.sum(dim=0) if i == 0 else found
        return Gradients(dx, Small(sums[1], noise, sums[0], sums[2]), ddy, ddz)

    def warp(self, x: Tensor, affine: Tensor, margins: Tensor, taps: Sequence[float], *, adjoint: bool) -> Tensor:
        """Resample `x` `[N, C, H, W]` (float32 or float64) through its maps, or take a gradient back (csrc/ops.h)."""
        _require("affine", affine, [len(x), 2, 3], x)
        _require("margins", margins, [4], x)
        if len(taps) != WARP_TAPS:
            raise ValueError(f"the kernels' wavelet has {WARP_TAPS} taps, not {len(taps)}")
        x, affine, margins = x.contiguous(), affine.to(x.dtype).contiguous(), margins.to(x.dtype).contiguous()
        y = torch.zeros_like(x) if adjoint else torch.empty_like(x)
        arguments = Warp(
            x.data_ptr(), y.data_ptr(), affine.data_ptr(), margins.data_ptr(), (c_double * len(taps))(*taps),
            *x.shape, adjoint, DTYPES[x.dtype], torch.get_num_threads(), _stream(x),
        )  # fmt: skip
        self._call(self._library.ops_warp, arguments, x)
        return y

    def _call(self, function: object, arguments: Structure, x: Tensor) -> None:
        if x.is_cuda:
            with torch.cuda.device(x.device):
                code = function(byref(arguments))  # type: ignore[operator]
        else:
            code = function(byref(arguments))  # type: ignore[operator]
        if code:
            raise RuntimeError(f"{self.path.name}: {self._library.ops_error(code).decode()}")


def dense(x: Tensor) -> tuple[Tensor, bool]:
    """`x` in memory without gaps, and whether that is channels_last; other strides are copied to contiguous."""
    if x.is_contiguous():
        return x, x[:1, :1].numel() == 1  # one pixel a map: both layouts, and channels are the long side
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x, True
    return x.contiguous(), False


def small_dtype(dtype: torch.dtype) -> torch.dtype:
    """Type of scales, noise, biases and sums beside elements of `dtype`."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _require(name: str, operand: Tensor | None, shape: Sequence[int], x: Tensor) -> None:
    """The kernels read as much of an operand, and where, as `x` says: a ValueError for another."""
    if operand is not None and (operand.shape != torch.Size(shape) or operand.device != x.device):
        raise ValueError(
            f"{name} {list(operand.shape)} on {operand.device} does not fit {list(x.shape)} on {x.device}: "
            f"it is to be {list(shape)}"
        )


def _chunks(y: Tensor, channels_last: bool) -> int:
    """Into how many parts the pixels of a sum go: a function of the shape alone, for the same sums every time."""
    n, c, pixels = _extent(y)
    if not y.is_cuda:
        return min(max(c * pixels // CHUNK_ELEMENTS, 1), 64)
    # about a thousand blocks, of no fewer pixels than keep a block's threads at work
    most = max(min(1024 // max(n, 1), pixels // (64 if channels_last else 256)), 1)
    return 1 << (most.bit_length() - 1)


def _extent(x: Tensor) -> tuple[int, int, int]:
    pixels = 1
    for size in x.shape[2:]:
        pixels *= size
    return x.shape[0], x.shape[1], pixels


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _stream(x: Tensor) -> int | None:
    return torch.cuda.current_stream(x.device).cuda_stream if x.is_cuda else None
