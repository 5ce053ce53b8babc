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
    """What PyTorch's scatter of `g` into pictures like `x` gives, by `index_add`.

    That adds up in one order on a GPU, too, where PyTorch's deterministic algorithms are asked for.
    """
    n, c, height, width = x.shape
    size = torch.stack([torch.full_like(grid[0, 0, 0, 0], side) for side in (width, height)])
    at = ((grid + 1) * size - 1) / 2
    first = at.floor()
    beyond = at - first
    planes = torch.arange(n, device=x.device)[:, None, None] * (height * width)
    given = g.movedim(1, -1)
    added = torch.zeros([n * height * width, c], dtype=g.dtype, device=g.device)
    for step_y in (0, 1):
        for step_x in (0, 1):
            column, row = (first + torch.stack([size.new_full((), s) for s in (step_x, step_y)])).unbind(-1)
            weight_x, weight_y = (b if s else 1 - b for b, s in zip(beyond.unbind(-1), (step_x, step_y), strict=True))
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = planes + row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            part = given * (weight_x * weight_y * inside)[..., None]
            added.index_add_(0, place.flatten(), part.reshape(-1, c))
    return added.reshape(n, height, width, c).movedim(-1, 1).contiguous()
