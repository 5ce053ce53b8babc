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
        if torch.are_deterministic_algorithms_enabled():
            return added_in_order(g, x, grid)
        arguments = (_BILINEAR, _ZEROS, _ALIGN_CORNERS, [True, False])
        return torch.ops.aten.grid_sampler_2d_backward(g, x, grid, *arguments)[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Lookup.apply(grads[0], *ctx.saved_tensors), None, None


def added_in_order(g: Tensor, x: Tensor, grid: Tensor) -> Tensor:
    """What PyTorch's scatter of `g` into pictures like `x` gives, by `scatter_add`.

    That adds up in one order on a GPU, too, where PyTorch's deterministic algorithms are asked for. A position that is
    no number is in no picture.
    """
    n, c, height, width = x.shape
    added = x.new_zeros(n, c, height * width)
    for row, weight_y in _corners(grid[..., 1], height):
        for column, weight_x in _corners(grid[..., 0], width):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = torch.where(inside, row, 0).long() * width + torch.where(inside, column, 0).long()
            part = torch.where(inside[:, None], g * (weight_x * weight_y)[:, None], 0)
            added.scatter_add_(2, place.flatten(1)[:, None].expand(-1, c, -1), part.flatten(2))
    return added.reshape(x.shape)


def _corners(positions: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """The two pixels of an axis beside each position (its edges at -1 and 1), and their shares."""
    at = ((positions + 1) * size - 1) / 2
    first = at.floor()
    return [(first, 1 - (at - first)), (first + 1, at - first)]
