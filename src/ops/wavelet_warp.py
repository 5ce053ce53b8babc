"""Affine resampling by an orthogonal wavelet's filter in one compiled kernel: gather, and its adjoint by scatter.

Both are linear in their picture and each is the other's gradient, so there are gradients of any order.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .backend import kernels_for
from .kernels import Kernels


def wavelet_warp(images: Tensor, affine: Tensor, margins: Tensor, taps: Sequence[float]) -> Tensor | None:
    """Reflect, upsample by 2, look up bilinearly, downsample by 2 (arXiv 2006.06676, Appendix B) in one pass.

    Args:
        images: `[N, C, H, W]`.
        affine: `[N, 2, 3]` inverse maps in centred pixels; they get no gradient.
        margins: `[4]` whole pixels (left, top, right, bottom), each below the size: what lies further out is 0.
        taps: the twelve of the wavelet's low-pass analysis filter, sum √2.

    Returns:
        Like `images`; None where no compiled kernel serves them, or PyTorch's deterministic algorithms are asked for.

    Raises:
        ValueError: for maps, margins or taps of another shape.
    """
    if images.dtype not in (torch.float32, torch.float64) or torch.are_deterministic_algorithms_enabled():
        return None  # the scatter adds up in any order on a GPU
    kernels = kernels_for(images)
    return None if kernels is None else _Warp.apply(kernels, images, affine, margins, tuple(taps), False)


class _Warp(torch.autograd.Function):
    """One direction; backward is the other."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, x: Tensor, affine: Tensor, margins: Tensor, taps: tuple[float, ...], adjoint: bool
    ) -> Tensor:
        ctx.save_for_backward(affine, margins)
        ctx.kernels, ctx.taps, ctx.adjoint = kernels, taps, adjoint
        return kernels.warp(x, affine, margins, taps, adjoint=adjoint)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        dx = _Warp.apply(ctx.kernels, grads[0], *ctx.saved_tensors, ctx.taps, not ctx.adjoint)
        return None, dx, None, None, None, None
