"""What follows a convolution in StyleGAN2: demodulate, add noise and bias, activate, scale, clamp.

leaky ReLU is positively homogeneous, g·lrelu(x) = lrelu(g·x) for g > 0, so the gain goes into the small tensors
(demodulation, noise strength, bias). The compiled kernels read and write the big one once; the reference twice.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .backend import kernels_for
from .gradients import used
from .kernels import Kernels, Shape

LRELU_SLOPE = 0.2


def epilogue(
    x: Tensor,
    scale: Tensor | None = None,
    noise: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    gain: float = 1.0,
    clamp: float | None = None,
) -> Tensor:
    """Compute `clamp(gain · lrelu(x·scale + noise + bias))`, slope 0.2.

    Args:
        x: `[N, C, H, W]`, a convolution's output. It may be overwritten: pass a tensor that is not needed again.
        scale: `[N, C]` demodulation coefficients, or None.
        noise: `[1, 1, H, W]` or `[N, 1, H, W]`, strength applied, or None.
        bias: `[C]`, or None.
        gain: positive factor after the activation.
        clamp: bound on the absolute value, or None.

    Returns:
        `[N, C, H, W]`, gradients of any order.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return _reference(x, scale, noise, bias, gain, clamp)
    return run_kernels(kernels, x, scale, noise, bias, Shape(LRELU_SLOPE, gain, clamp), overwrite=True)


def run_kernels(
    kernels: Kernels,
    x: Tensor,
    scale: Tensor | None,
    noise: Tensor | None,
    bias: Tensor | None,
    shape: Shape,
    *,
    overwrite: bool,
) -> Tensor:
    """The compiled form, for any slope; without gradients it works in place where `overwrite` allows."""
    operands = (x, scale, noise, bias)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands):
        return _Epilogue.apply(kernels, *operands, shape)
    return kernels.epilogue(x, scale, noise, bias, shape, inplace=overwrite)


class _Epilogue(torch.autograd.Function):
    """One pass forward, one pass backward; a gradient that will be differentiated again is made of simple ops."""

    @staticmethod
    def forward(
        ctx: Any,
        kernels: Kernels,
        x: Tensor,
        scale: Tensor | None,
        noise: Tensor | None,
        bias: Tensor | None,
        shape: Shape,
    ) -> Tensor:
        y = kernels.epilogue(x, scale, noise, bias, shape)
        needs_x = scale is not None and scale.requires_grad
        ctx.save_for_backward(y, x if needs_x else None, scale)
        ctx.kernels, ctx.shape = kernels, shape
        ctx.small = [None if t is None else (t.shape, t.dtype) for t in (scale, noise, bias)]
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        y, x, scale = ctx.saved_tensors
        needs = used(ctx)
        wanted = (needs[1], needs[2], needs[3], needs[4])
        if not torch.is_grad_enabled():
            found = ctx.kernels.epilogue_grad(grads[0], y, x, scale, ctx.shape, wanted=wanted)
            dx, small = found.x, [found.scale, found.noise, found.bias]
        else:
            g = _Masked.apply(ctx.kernels, grads[0], y.detach(), ctx.shape)
            dx = None
            if wanted[0]:
                dx = g if scale is None else g * scale.to(g.dtype)[:, :, None, None]
            small = [
                (g * x).sum(dim=(2, 3)) if wanted[1] else None,
                g.sum(dim=1, keepdim=True) if wanted[2] else None,
                g.sum(dim=[d for d in range(g.ndim) if d != 1]) if wanted[3] else None,
            ]
        fitted = [None if t is None else t.sum_to_size(to[0]).to(to[1]) for t, to in zip(small, ctx.small, strict=True)]
        return (None, dx, *fitted, None)


class _Masked(torch.autograd.Function):
    """`dy · gain · slope` where y says which side of the kink (and of the clamp) it is on: linear in dy."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, dy: Tensor, y: Tensor, shape: Shape) -> Tensor:
        ctx.save_for_backward(y)
        ctx.kernels, ctx.shape = kernels, shape
        dx = kernels.epilogue_grad(dy, y, None, None, shape, wanted=(True, False, False, False)).x
        assert dx is not None
        return dx

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return None, _Masked.apply(ctx.kernels, grads[0], *ctx.saved_tensors, ctx.shape), None, None


def _reference(
    x: Tensor, scale: Tensor | None, noise: Tensor | None, bias: Tensor | None, gain: float, clamp: float | None
) -> Tensor:
    shift = None if bias is None else (bias * gain).to(x.dtype)[None, :, None, None]
    factor = None if scale is None else (scale * gain).to(x.dtype)[:, :, None, None]
    if noise is not None:
        noise = (noise * gain).to(x.dtype)
    if factor is not None and shift is not None:
        x = torch.addcmul(shift, x, factor)
    elif factor is not None:
        x = x * factor
    else:
        x = x * gain if gain != 1.0 else x
        x = x if shift is None else x + shift
    if noise is not None:
        x = x + noise
    x = F.leaky_relu(x, LRELU_SLOPE)
    return x if clamp is None else x.clamp(-clamp, clamp)
