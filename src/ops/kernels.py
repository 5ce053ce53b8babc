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

ABI = 2
DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
CHUNK_ELEMENTS = 1 << 16  # of a sum's chunk on a CPU: small enough for two threads, large enough for the adding up


class Fir(Structure):
    """`OpsFir` of csrc/ops.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("x", "y", "taps")),
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
        *((name, c_void_p) for name in ("x", "y", "scale", "noise", "bias")),
        *((name, c_int64) for name in ("n", "c", "pixels", "noise_n")),
        *((name, c_double) for name in ("alpha", "gain", "clamp")),
        *((name, c_int32) for name in ("dtype", "channels_last", "threads")),
        ("stream", c_void_p),
    ]


class EpilogueGrad(Structure):
    """`OpsEpilogueGrad` of csrc/ops.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("dy", "y", "x", "scale", "dx", "dnoise", "sum_g", "sum_gx")),
        *((name, c_int64) for name in ("n", "c", "pixels", "chunks")),
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


class Gradients(NamedTuple):
    """What `Kernels.epilogue_grad` computes; None where it was not asked for."""

    x: Tensor | None
    scale: Tensor | None
    noise: Tensor | None
    bias: Tensor | None


FUNCTIONS = {"ops_fir": Fir, "ops_epilogue": Epilogue, "ops_epilogue_grad": EpilogueGrad, "ops_warp": Warp}


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
    ) -> Tensor:
        """Resample `x` `[N, C, H, W]` to `size` (height, width); factors and padding (before) are `(x, y)`."""
        x, channels_last = dense(x)
        channels_last = channels_last and not x.is_contiguous()
        n, c, in_h, in_w = x.shape
        layout = torch.channels_last if channels_last else torch.contiguous_format
        y = torch.empty([n, c, *size], dtype=x.dtype, device=x.device, memory_format=layout)
        kh, kw = taps.f.shape
        arguments = Fir(
            x.data_ptr(), y.data_ptr(), taps.f.data_ptr(), taps.col, taps.row,
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
        scale: Tensor | None,
        noise: Tensor | None,
        bias: Tensor | None,
        shape: Shape,
        *,
        inplace: bool = False,
    ) -> Tensor:
        """Compute `clamp(gain · lrelu(x·scale + noise + bias))`: `[N, C, …]`, `[N, C]`, `[1 or N, 1, …]`, `[C]`."""
        x, channels_last = dense(x)
        y = x if inplace else torch.empty_like(x)
        small = small_dtype(x.dtype)
        scale, noise, bias = (None if t is None else t.to(small).contiguous() for t in (scale, noise, bias))
        arguments = Epilogue(
            x.data_ptr(), y.data_ptr(), _pointer(scale), _pointer(noise), _pointer(bias),
            *_extent(x), 1 if noise is None else noise.shape[0],
            shape.alpha, shape.gain, -1.0 if shape.clamp is None else shape.clamp,
            DTYPES[x.dtype], channels_last, torch.get_num_threads(), _stream(x),
        )  # fmt: skip
        self._call(self._library.ops_epilogue, arguments, x)
        return y

    def epilogue_grad(
        self,
        dy: Tensor,
        y: Tensor,
        x: Tensor | None,
        scale: Tensor | None,
        shape: Shape,
        *,
        wanted: tuple[bool, bool, bool, bool],
    ) -> Gradients:
        """Gradients with respect to x, scale, noise (a sum over channels, `[N, 1, …]`) and bias, as `wanted`."""
        y, channels_last = dense(y)
        layout = torch.contiguous_format if y.is_contiguous() else torch.channels_last
        dy = dy.to(y.dtype).contiguous(memory_format=layout)
        x = None if x is None or not wanted[1] else x.contiguous(memory_format=layout)
        n, c, pixels = _extent(y)
        small = small_dtype(y.dtype)
        scale = None if scale is None else scale.to(small).contiguous()
        chunks = _chunks(y, channels_last)
        dx = torch.empty_like(y) if wanted[0] else None
        noise = torch.empty([n, 1, *y.shape[2:]], dtype=small, device=y.device) if wanted[2] else None
        sums = [
            torch.empty([n, chunks, c], dtype=small, device=y.device) if w else None for w in (wanted[3], wanted[1])
        ]
        arguments = EpilogueGrad(
            dy.data_ptr(), y.data_ptr(), _pointer(x), _pointer(scale),
            _pointer(dx), _pointer(noise), _pointer(sums[0]), _pointer(sums[1]),
            n, c, pixels, chunks,
            shape.alpha, shape.gain, -1.0 if shape.clamp is None else shape.clamp,
            DTYPES[y.dtype], channels_last, torch.get_num_threads(), _stream(y),
        )  # fmt: skip
        self._call(self._library.ops_epilogue_grad, arguments, y)
        bias_grad = None if sums[0] is None else sums[0].sum(dim=(0, 1))
        scale_grad = None if sums[1] is None else sums[1].sum(dim=1)
        return Gradients(dx, scale_grad, noise, bias_grad)

    def warp(self, x: Tensor, affine: Tensor, margins: Tensor, taps: Sequence[float], *, adjoint: bool) -> Tensor:
        """Resample `x` `[N, C, H, W]` (float32 or float64) through its maps, or take a gradient back (csrc/ops.h)."""
        x, affine, margins = x.contiguous(), affine.contiguous(), margins.contiguous()
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
