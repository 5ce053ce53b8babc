"""Modulated convolution (StyleGAN2, arXiv 1912.04958, Sec. 2.2, Eq. 1-3) without per-sample weights.

Scaling the weights by a style per input channel equals scaling the input, and the demodulation factor of sample n and
output channel o is rsqrt(Σ_i s_ni² Σ_k W_oik² + ε): a matrix product of s² with the summed squares. So one convolution
with shared weights serves the whole batch.
"""

from typing import Any

import torch
from torch import Tensor

from .backend import kernels_for
from .conv import conv_transpose2d
from .epilogue import run_kernels
from .kernels import Shape, Small
from .upfirdn2d import upfirdn2d

DEMODULATION_EPS = 1e-8
_IDENTITY = Shape(alpha=1.0, gain=1.0, clamp=None)


def modulate(x: Tensor, styles: Tensor, *, overwrite: bool = False) -> Tensor:
    """Scale each feature map by its style (Eq. 1, on the input instead of the weights).

    Args:
        x: `[N, C, H, W]`.
        styles: `[N, C]`.
        overwrite: `x` is not needed again: without gradients the result may take its place.

    Returns:
        `[N, C, H, W]` of `x`'s type; gradients of any order.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return x * styles.to(x.dtype)[:, :, None, None]
    y, _ = run_kernels(kernels, x, Small(styles, None, None, None), _IDENTITY, overwrite=overwrite)
    assert y is not None
    return y


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """Demodulation coefficients (Eq. 3): 1 / ‖style-scaled filter‖ for each sample and output channel.

    Args:
        weight: `[C_out, C_in, kh, kw]`.
        styles: `[N, C_in]`.

    Returns:
        `[N, C_out]`.
    """
    return (styles.square() @ _Energy.apply(weight).t() + DEMODULATION_EPS).rsqrt()


class _Energy(torch.autograd.Function):
    """Sum of squares of each filter `[C_out, C_in, kh, kw]`: one pass over the weight, and one for its gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        # not in place: the compiler of torch 2.11 would lose the gradient
        return torch.linalg.vector_norm(weight, dim=(2, 3)).square()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (weight,) = ctx.saved_tensors
        return weight * (2 * grads[0])[:, :, None, None]


def upsample_conv2d(x: Tensor, weight: Tensor, resample_filter: Tensor) -> Tensor:
    """Upsample by 2 and convolve: a transposed convolution of stride 2 followed by the FIR filter.

    Args:
        x: `[N, C_in, H, W]`.
        weight: `[C_out, C_in, k, k]`, k odd; applied as a true convolution on the upsampled picture.
        resample_filter: `[kh, kw]` with DC gain 1.

    Returns:
        `[N, C_out, 2H, 2W]`.
    """
    kernel = weight.shape[2]
    kh, kw = resample_filter.shape
    x = conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    # A k-tap convolution on the picture upsampled by `upsample2d`, padded by k//2, needs these margins in all; the
    # transposed convolution has taken k - 1 of them before and k - 2 behind.
    half = kernel // 2
    padding = (
        half + (kw + 1) // 2 - (kernel - 1),
        half + (kw - 2) // 2 - (kernel - 2),
        half + (kh + 1) // 2 - (kernel - 1),
        half + (kh - 2) // 2 - (kernel - 2),
    )
    return upfirdn2d(x, resample_filter, padding=padding, gain=4.0)
