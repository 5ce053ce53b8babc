"""Convolutions whose derivatives of any order are again convolution, input-gradient and weight-gradient kernels.

A convolution is linear in the picture and in the weight, and so are both of its gradients: the three form a family that
differentiation does not leave. PyTorch's own second derivative of a convolution is a convolution with kernels as large
as the picture instead, which no GPU does well (R1 and path length would have some thirty of them).
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .gradients import used

FILTERS_IN_LAYOUT = ("cuda",)  # devices whose library brings filters to channels_last at each call, if not they are

#: Channels from which on, and those from which on with so many numbers a picture, see `_in_planes`.
MANY_CHANNELS, SOME_CHANNELS, MANY_NUMBERS = 256, 64, 2**18


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 0, gain: float = 1.0
) -> Tensor:
    """Convolve, as `torch.nn.functional.conv2d`.

    Args:
        x: `[N, C_in, H, W]`.
        weight: `[C_out, C_in, kh, kw]`, of any float type; it is brought to that of `x`.
        bias: `[C_out]`, or None.
        stride: of both axes.
        padding: zeros on each side.
        gain: factor on the weight.

    Returns:
        `[N, C_out, H', W']`; gradients of any order.
    """
    weight = _filters(weight, x, gain)
    if not _differentiated(x, weight, bias):
        return F.conv2d(x, weight, bias, stride, padding)
    return _Convolution.apply(x, weight, bias, _Geometry(stride, padding, False))


def conv_transpose2d(x: Tensor, weight: Tensor, *, stride: int = 1) -> Tensor:
    """Convolve transposed, as `torch.nn.functional.conv_transpose2d`.

    Args:
        x: `[N, C_in, H, W]`.
        weight: `[C_in, C_out, kh, kw]`, likewise.
        stride: of both axes.

    Returns:
        `[N, C_out, (H - 1)·stride + kh, …]`; gradients of any order.
    """
    weight = _filters(weight, x)
    if not _differentiated(x, weight):
        return F.conv_transpose2d(x, weight, stride=stride)
    return _Convolution.apply(x, weight, None, _Geometry(stride, 0, True))


class _Geometry(NamedTuple):
    """How a convolution goes over its picture."""

    stride: int
    padding: int
    transposed: bool

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The convolution."""
        return torch.ops.aten.convolution(x, weight, bias, *self._arguments())

    def gradients(self, g: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]) -> list[Tensor | None]:
        """Those of picture, weight and bias that are wanted; an operand none needs gives shape and layout alone."""
        if not (wanted[1] and _in_planes(x, weight)):
            return self._gradients(g, x, weight, wanted)
        dx, db = None, None
        if wanted[0] or wanted[2]:
            dx, _, db = self._gradients(g, x, weight, (wanted[0], False, wanted[2]))
        return [dx, self._gradients(g.contiguous(), x.contiguous(), weight, (False, True, False))[1], db]

    def _gradients(self, g: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]) -> list[Tensor | None]:
        sizes = [weight.shape[1 if self.transposed else 0]]
        return torch.ops.aten.convolution_backward(g, x, weight, sizes, *self._arguments(), list(wanted))

    def _arguments(self) -> tuple[Any, ...]:
        return [self.stride] * 2, [self.padding] * 2, [1, 1], self.transposed, [0, 0], 1


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return geometry.convolve(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (x, weight), geometry, wanted = grads, ctx.saved_tensors, ctx.geometry, used(ctx)[:3]
        if not torch.is_grad_enabled():
            return (*geometry.gradients(g, x, weight, wanted), None)
        dx = _InputGradient.apply(g, x.detach(), weight, geometry) if wanted[0] else None
        dw = _WeightGradient.apply(g, x, weight.detach(), geometry) if wanted[1] else None
        return dx, dw, g.sum(dim=(0, 2, 3)) if wanted[2] else None, None


class _InputGradient(torch.autograd.Function):
    """Linear in the result's gradient and in the weight; of the picture it takes the shape."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.geometry, ctx.layout = geometry, _layout(x)
        dx = geometry.gradients(g, x, weight, (True, False, False))[0]
        assert dx is not None
        return dx

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (ddx,), (g, weight), geometry, wanted = grads, ctx.saved_tensors, ctx.geometry, used(ctx)
        ddx = ddx.contiguous(memory_format=ctx.layout)  # a picture's may come as the picture did, the features' not
        dg = _Convolution.apply(ddx, weight, None, geometry) if wanted[0] else None
        return dg, None, _WeightGradient.apply(g, ddx, weight.detach(), geometry) if wanted[2] else None, None


class _WeightGradient(torch.autograd.Function):
    """Linear in the result's gradient and in the picture; of the weight it takes the shape."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(g, x)
        ctx.geometry = geometry
        dw = geometry.gradients(g, x, weight, (False, True, False))[1]
        assert dw is not None
        return dw

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (ddw,), (g, x), geometry, wanted = grads, ctx.saved_tensors, ctx.geometry, used(ctx)
        dg = _Convolution.apply(x, ddw, None, geometry) if wanted[0] else None
        return dg, _InputGradient.apply(g, x.detach(), ddw, geometry) if wanted[1] else None, None, None


class _Filters(torch.autograd.Function):
    """`gain · weight` of another type and layout, in one pass; linear, and its gradient is this the other way."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, gain: float, dtype: torch.dtype, strides: tuple[int, ...]) -> Tensor:
        ctx.gain, ctx.before = gain, (weight.dtype, torch.empty_like(weight, device="meta").stride())
        return torch.mul(weight, gain, out=weight.new_empty_strided(weight.shape, strides, dtype=dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Filters.apply(grads[0], ctx.gain, *ctx.before), None, None, None


class _FiltersAndEnergy(torch.autograd.Function):
    """The filters, and the sum of squares of each: gradients of both in one pass over the weight."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, dtype: torch.dtype, strides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(weight)
        ctx.set_materialize_grads(False)
        filters = weight.view_as(weight)
        if (dtype, strides) != (weight.dtype, weight.stride()):
            filters = weight.new_empty_strided(weight.shape, strides, dtype=dtype).copy_(weight)
        # not in place: the compiler of torch 2.11 would lose the gradient
        return filters, torch.linalg.vector_norm(weight, dim=(2, 3)).square()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        (of_filters, of_energy), (weight,) = grads, ctx.saved_tensors
        if of_energy is None:
            return None if of_filters is None else of_filters.to(weight.dtype), None, None
        each = of_energy[:, :, None, None]
        if of_filters is None:
            return 2 * each * weight, None, None
        if torch.is_grad_enabled():
            return torch.addcmul(of_filters.to(weight.dtype), weight, each, value=2), None, None
        return torch.addcmul(of_filters, weight, each, value=2, out=torch.empty_like(weight)), None, None


def filters_and_energy(weight: Tensor, x: Tensor, *, transposed: bool = False) -> tuple[Tensor, Tensor]:
    """A weight as the convolution of a picture reads it, and the energy of its filters, which demodulation takes.

    Args:
        weight: `[C_out, C_in, kh, kw]`.
        x: the picture `[N, C_in, H, W]`, whose type and layout decide.
        transposed: the convolution is a transposed one and reads `weight.transpose(0, 1)`.

    Returns:
        The filters, of the weight's shape, and their sums of squares `[C_out, C_in]`; gradients of any order.
    """
    if torch.compiler.is_compiling():  # it brings filters to type and layout itself
        return _FiltersAndEnergy.apply(weight, weight.dtype, weight.stride())
    read = weight.transpose(0, 1) if transposed else weight
    a, b, *rest = torch.empty_like(read, device="meta", memory_format=_filter_layout(x)).stride()
    return _FiltersAndEnergy.apply(weight, x.dtype, (b, a, *rest) if transposed else (a, b, *rest))


def _filters(weight: Tensor, x: Tensor, gain: float = 1.0) -> Tensor:
    """The weight times `gain` in the type of a picture and, once for all kernels that read it, in its layout."""
    if torch.compiler.is_compiling():
        return (weight * gain).to(x.dtype)
    layout = _filter_layout(x)
    fits = layout == torch.preserve_format or weight.is_contiguous(memory_format=layout)
    if weight.dtype == x.dtype and fits and gain == 1.0:
        return weight
    return _Filters.apply(weight, gain, x.dtype, torch.empty_like(weight, device="meta", memory_format=layout).stride())


def _filter_layout(x: Tensor) -> torch.memory_format:
    """The layout in which kernels read the filters of a picture."""
    brought = x.device.type in FILTERS_IN_LAYOUT and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if brought else torch.preserve_format


def _in_planes(x: Tensor, weight: Tensor) -> bool:
    """Whether a weight's gradient is sooner there by way of pictures in planes, with the time to bring them there.

    Of many channels oneDNN's kernel for AVX2 takes up to three times as long with channels_last as with planes.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or _computes_in() != "AVX2" or max(weight.shape[2:]) == 1:
        return False
    channels = min(weight.shape[:2])
    return channels >= MANY_CHANNELS or (channels >= SOME_CHANNELS and math.prod(x.shape[1:]) >= MANY_NUMBERS)


@functools.cache
def _computes_in() -> str:
    """Which vector instructions PyTorch uses, as oneDNN does unless one of them has been told otherwise."""
    return torch.backends.cpu.get_cpu_capability()


def _layout(x: Tensor) -> torch.memory_format:
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def _differentiated(*operands: Tensor | None) -> bool:
    """Whether autograd will ask; a compiler knows PyTorch's own convolution best."""
    wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands)
    return wanted and not torch.compiler.is_compiling()
