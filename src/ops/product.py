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
    return _Linear.apply(x, weight, bias, gain)


def product(a: Tensor, b: Tensor, gain: float = 1.0) -> Tensor:
    """Compute `gain · a b`, of `[N, K]` and `[K, M]`; gradients of any order."""
    return _Product.apply(a, b, gain)


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
        return torch.addmm(a.new_empty(()), a, b, beta=0, alpha=gain)  # of what beta = 0 multiplies nothing is read

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (a, b), wanted = grads, ctx.saved_tensors, used(ctx)
        da = product(g, b.t(), ctx.gain) if wanted[0] else None
        return da, product(a.t(), g, ctx.gain) if wanted[1] else None, None
