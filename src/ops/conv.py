"""Convolutions whose derivatives of any order are again convolution, input-gradient and weight-gradient kernels.

A convolution is linear in the picture and in the weight, and so are both of its gradients: the three form a family that
differentiation does not leave. PyTorch's own second derivative of a convolution is a convolution with kernels as large
as the picture instead, which no GPU does well (R1 and path length would have some thirty of them).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FILTERS_IN_LAYOUT = ("cuda",)  # devices whose library brings filters to channels_last at each call, if not they are


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolve, as `torch.nn.functional.conv2d`.

    Args:
        x: `[N, C_in, H, W]`.
        weight: `[C_out, C_in, kh, kw]`, of any float type; it is brought to that of `x`.
        bias: `[C_out]`, or None.
        stride: of both axes.
        padding: zeros on each side.

    Returns:
        `[N, C_out, H', W']`; gradients of any order.
    """
    weight = _filters(weight, x)
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
        (g,), (x, weight), geometry, wanted = grads, ctx.saved_tensors, ctx.geometry, ctx.needs_input_grad[:3]
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
        (ddx,), (g, weight), geometry, wanted = grads, ctx.saved_tensors, ctx.geometry, ctx.needs_input_grad
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
        (ddw,), (g, x), geometry, wanted = grads, ctx.saved_tensors, ctx.geometry, ctx.needs_input_grad
        dg = _Convolution.apply(x, ddw, None, geometry) if wanted[0] else None
        return dg, _InputGradient.apply(g, x.detach(), ddw, geometry) if wanted[1] else None, None, None


def _filters(weight: Tensor, x: Tensor) -> Tensor:
    """The weight in the type of a picture and, once for all kernels that read it, in its layout."""
    if x.device.type in FILTERS_IN_LAYOUT and x.is_contiguous(memory_format=torch.channels_last):
        return weight.to(x.dtype, memory_format=torch.channels_last)
    return weight.to(x.dtype)


def _layout(x: Tensor) -> torch.memory_format:
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def _differentiated(*operands: Tensor | None) -> bool:
    """Whether autograd will ask; a compiler knows PyTorch's own convolution best."""
    wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands)
    return wanted and not torch.compiler.is_compiling()
