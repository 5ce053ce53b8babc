"""Matrix products times a number, whose derivatives of any order are matrix products times the same number.

PyTorch's own derivative multiplies each gradient by the number in a pass of its own.
"""

from typing import Any

import torch
from torch import Tensor

from .gradients import used


def linear(x: Tensor, weight: Tensor, bias: Tensor, *, gain: float = 1.0) -> Tensor:
    """Compute `gain · x Wᵀ + bias`.

    Args:
        x: `[N, I]`.
        weight: `[O, I]`.
        bias: `[O]`.
        gain: factor on the product.

    Returns:
        `[N, O]`; gradients of any order.
    """
    if torch.is_autocast_enabled(x.device.type):  # which gives each operand a type of its own
        return torch.addmm(bias, x, weight.t(), alpha=gain)
    return _Linear.apply(x, weight, bias, gain)


def product(a: Tensor, b: Tensor, gain: float = 1.0) -> Tensor:
    """Compute `gain · a b`, of one pair of matrices or of a batch.

    Args:
        a: `[N, K]` or `[B, N, K]`.
        b: `[K, M]` or `[B, K, M]`.
        gain: factor on the product.

    Returns:
        `[N, M]` or `[B, N, M]`; gradients of any order, each in the layout of its operand, row by row or transposed.
    """
    return _multiplied(a, b, gain) if torch.is_autocast_enabled(a.device.type) else _Product.apply(a, b, gain)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, gain: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.gain = gain
        return torch.addmm(bias, x, weight.t(), alpha=gain)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (x, weight), wanted = grads, ctx.saved_tensors, used(ctx)
        dx = product(g, weight, ctx.gain) if wanted[0] else None
        dw = product(g.t(), x, ctx.gain) if wanted[1] else None
        return dx, dw, g.sum(dim=0) if wanted[2] else None, None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, gain: float) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.gain = gain
        return _multiplied(a, b, gain)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (a, b), wanted = grads, ctx.saved_tensors, used(ctx)
        da = _product_like(a, g, b.mT, ctx.gain) if wanted[0] else None
        return da, _product_like(b, a.mT, g, ctx.gain) if wanted[1] else None, None


def _multiplied(a: Tensor, b: Tensor, gain: float) -> Tensor:
    multiply = torch.addmm if a.ndim == 2 else torch.baddbmm
    return multiply(a.new_empty(()), a, b, beta=0, alpha=gain)  # of what beta = 0 multiplies nothing is read


def _product_like(operand: Tensor, a: Tensor, b: Tensor, gain: float) -> Tensor:
    """The product in the layout of an operand."""
    return product(a, b, gain) if operand.is_contiguous() else product(b.mT, a.mT, gain).mT
