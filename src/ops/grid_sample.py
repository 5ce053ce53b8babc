"""Bilinear lookup in pictures, differentiable any number of times.

The lookup is linear in its picture, so its gradient is a scatter whose own gradient is the lookup again. PyTorch has
that second derivative in some versions only (2.13 has it, 2.11 has not).
"""

from typing import Any

import torch
from torch import Tensor

_BILINEAR, _ZEROS, _ALIGN_CORNERS = 0, 0, False


def grid_sample(x: Tensor, grid: Tensor) -> Tensor:
    """Look pictures up between their pixels, zero outside, as `torch.nn.functional.grid_sample` without align_corners.

    Args:
        x: `[N, C, H, W]`.
        grid: `[N, H', W', 2]` positions (x, y), the picture's edges at -1 and 1; it gets no gradient.

    Returns:
        `[N, C, H', W']`; gradients of any order with respect to `x`.

    Raises:
        ValueError: when the grid requires a gradient.
    """
    if grid.requires_grad:
        raise ValueError("grid_sample: positions get no gradient here; detach the grid")
    return _Lookup.apply(x, grid)


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(x, grid)
        return torch.ops.aten.grid_sampler_2d(x, grid, _BILINEAR, _ZEROS, _ALIGN_CORNERS)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, grid = ctx.saved_tensors
        return _Scatter.apply(grads[0], x.detach(), grid), None


class _Scatter(torch.autograd.Function):
    """The adjoint of the lookup; of the picture it takes the shape."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        arguments = (_BILINEAR, _ZEROS, _ALIGN_CORNERS, [True, False])
        return torch.ops.aten.grid_sampler_2d_backward(g, x, grid, *arguments)[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Lookup.apply(grads[0], *ctx.saved_tensors), None, None
