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
from .gradients import used
from .kernels import Shape, Small
from .product import product
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


def demodulation(energy: Tensor, styles: Tensor) -> Tensor:
    """Demodulation coefficients (Eq. 3): 1 / ‖style-scaled filter‖ for each sample and output channel.

    Args:
        energy: `[C_out, C_in]`, sums of squares of the filters (`filters_and_energy`).
        styles: `[N, C_in]`.

    Returns:
        `[N, C_out]`; gradients of any order.
    """
    if torch.is_autocast_enabled(styles.device.type):  # which gives each operand a type of its own
        return (styles.square() @ energy.t() + DEMODULATION_EPS).rsqrt()
    return _Demodulation.apply(energy, styles)


class _Demodulation(torch.autograd.Function):
    """(s² Eᵀ + ε)^-½, by a gradient of fewer simple operations than PyTorch's."""

    @staticmethod
    def forward(ctx: Any, energy: Tensor, styles: Tensor) -> Tensor:
        squares = styles.square()
        scale = (squares @ energy.t() + DEMODULATION_EPS).rsqrt()  # not in place, for the compiler of torch 2.11
        ctx.save_for_backward(energy, styles, scale)
        ctx.squares = squares
        return scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (energy, styles, scale), wanted = ctx.saved_tensors, used(ctx)
        squares = styles.square() if torch.is_grad_enabled() else ctx.squares
        g = grads[0] * scale.pow(3)
        of_energy = product(g.t(), squares, -0.5) if wanted[0] else None
        return of_energy, product(g, energy, -1.0) * styles if wanted[1] else None


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
