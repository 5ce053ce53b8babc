"""What follows a convolution in StyleGAN2: demodulate, add noise and bias, activate, scale, clamp.

And what the next one begins with: its style. leaky ReLU is positively homogeneous, g·lrelu(x) = lrelu(g·x) for g > 0,
so the reference puts the gain into the small tensors (demodulation, noise strength, bias). The compiled kernels read
the big one once; so do its gradient and the gradient of that.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .backend import kernels_for
from .gradients import used
from .kernels import Incoming, Kernels, Shape, Small

LRELU_SLOPE = 0.2


def epilogue(
    x: Tensor,
    scale: Tensor | None = None,
    noise: Tensor | None = None,
    bias: Tensor | None = None,
    style: Tensor | None = None,
    *,
    gain: float = 1.0,
    clamp: float | None = None,
    keep: bool = True,
) -> tuple[Tensor | None, Tensor | None]:
    """Compute y = `clamp(gain · lrelu(x·scale + noise + bias))`, slope 0.2, and that times the next layer's style.

    Args:
        x: `[N, C, H, W]`, a convolution's output. It may be overwritten: pass a tensor that is not needed again.
        scale: `[N, C]` demodulation coefficients, or None.
        noise: `[1, 1, H, W]` or `[N, 1, H, W]`, strength applied, or None.
        bias: `[C]`, or None.
        style: `[N, C]` of the convolution that comes next, or None.
        gain: positive factor after the activation.
        clamp: bound on the absolute value, or None.
        keep: whether y itself is needed.

    Returns:
        y, None unless it is to be kept; y·style, None without a style. Gradients of any order.
    """
    kernels = kernels_for(x)
    if kernels is None:
        y = _reference(x, scale, noise, bias, gain, clamp)
        return y if keep else None, None if style is None else y * style.to(y.dtype)[:, :, None, None]
    shape = Shape(LRELU_SLOPE, gain, clamp)
    return run_kernels(kernels, x, Small(scale, noise, bias, style), shape, keep=keep, overwrite=True)


def run_kernels(
    kernels: Kernels,
    x: Tensor,
    small: Small,
    shape: Shape,
    *,
    keep: bool = True,
    overwrite: bool,
    add: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """The compiled form, for any slope; without gradients it works in place where `overwrite` allows.

    Without a style another picture may be added.
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, add, *small)):
        return _Epilogue.apply(kernels, shape, keep, add, x, *small)
    return kernels.epilogue(x, small, shape, keep=keep, inplace=overwrite, add=add)


class _Epilogue(torch.autograd.Function):
    """One pass forward, one pass backward."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, shape: Shape, keep: bool, add: Tensor | None, x: Tensor, *small: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        operands = Small(*small)
        y, z = kernels.epilogue(x, operands, shape, keep=keep, add=add)
        # the slope comes from x again where x is needed or y is a sum, otherwise from y; a line without bound has one
        bends = shape.alpha != 1 or shape.clamp is not None
        sums_x = operands.scale is not None and operands.scale.requires_grad
        needs_x = z is not None or sums_x or (bends and add is not None)
        ctx.save_for_backward(x if needs_x else None, y if bends and not needs_x else None, *small)
        ctx.set_materialize_grads(False)
        ctx.kernels, ctx.shape, ctx.sums_x = kernels, shape, sums_x
        return y, z

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        if all(t is None for t in grads):
            return (None,) * len(ctx.needs_input_grad)
        x, y, *small = ctx.saved_tensors
        scale, noise, bias, style = small
        if grads[1] is None:  # from these and y, and from x without a sum of it, the slope alone is taken
            noise, bias = (None if t is None else t.detach() for t in (noise, bias))
            x = x if x is None or ctx.sums_x else x.detach()
        y = None if y is None else y.detach()
        wanted = tuple(used(ctx)[4:])
        given = (ctx.kernels, ctx.shape, wanted, *grads, y, x, scale, noise, bias, style)
        found = _Gradient.apply(*given) if torch.is_grad_enabled() else _by_kernel(*given)
        of_add = grads[0] if ctx.needs_input_grad[3] else None
        return None, None, None, of_add, found[0], *_fitted(found[1:], small)


class _Gradient(torch.autograd.Function):
    """The gradient: with respect to x and the small operands. Its own is one pass again, third ones are simple ops."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, shape: Shape, wanted: tuple[bool, ...], *given: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        ctx.save_for_backward(*given)
        ctx.set_materialize_grads(False)
        ctx.kernels, ctx.shape, ctx.wanted = kernels, shape, wanted
        return _by_kernel(kernels, shape, wanted, *given)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        if all(t is None for t in grads):
            return (None,) * len(ctx.needs_input_grad)
        given = ctx.saved_tensors
        dy, dz, _, x, *small = used(ctx)[3:]
        if torch.is_grad_enabled():
            return None, None, None, *_by_formula(given, ctx.shape, grads)
        incoming = Incoming(*given[:4])
        bends = incoming.x is not None or incoming.y is not None
        if bends and incoming.dz is None and not (x or any(small)):
            incoming = incoming._replace(dy=None)  # dy's own second gradient does not depend on it
        second = (grads[0], Small(*grads[1:]))
        wanted = (x, *small, dy, dz)
        found = ctx.kernels.epilogue_grad(incoming, Small(*given[4:]), ctx.shape, wanted=wanted, second=second)
        return None, None, None, found.y, found.z, None, found.x, *_fitted(found.small, given[4:])


def _by_kernel(
    kernels: Kernels, shape: Shape, wanted: tuple[bool, ...], *given: Tensor | None
) -> tuple[Tensor | None, ...]:
    """The gradient with respect to x and the small operands."""
    found = kernels.epilogue_grad(Incoming(*given[:4]), Small(*given[4:]), shape, wanted=wanted)
    return found.x, *found.small


def _fitted(found: Sequence[Tensor | None], to: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Gradients in the shapes and types of their operands."""
    pairs = zip(found, to, strict=True)
    return [None if t is None or like is None else t.sum_to_size(like.shape).to(like.dtype) for t, like in pairs]


def _by_formula(
    given: Sequence[Tensor | None], shape: Shape, grads: Sequence[Tensor | None]
) -> Iterator[Tensor | None]:
    """The second gradient in simple ops, which autograd differentiates further."""
    apart = [None if t is None else t.view_as(t) for t in given]  # dy may come from x: that way is not this one's
    inputs = [t for t in apart if t is not None and t.requires_grad]
    told = [(v, g) for v, g in zip(_gradient(shape, *apart), grads, strict=True) if v is not None and g is not None]
    values, outer = zip(*told, strict=True)
    found = iter(torch.autograd.grad(values, inputs, outer, create_graph=True, allow_unused=True))
    return (next(found) if t is not None and t.requires_grad else None for t in apart)


def _gradient(
    shape: Shape,
    dy: Tensor | None,
    dz: Tensor | None,
    y: Tensor | None,
    x: Tensor | None,
    scale: Tensor | None,
    noise: Tensor | None,
    bias: Tensor | None,
    style: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """What the kernels call the gradient, by its formula (csrc/ops.h)."""
    like = next(t for t in (x, y, dy) if t is not None)
    pixels = list(range(2, like.ndim))
    wide = [t if t is None else t.reshape(*t.shape, *(1 for _ in pixels)) for t in (scale, bias, style)]
    v = y
    if x is not None:
        v = x if wide[0] is None else x * wide[0]
        v = v if noise is None else v + noise
        v = v if wide[1] is None else v + wide[1]
    slope = torch.full_like(like, shape.gain)
    if v is not None:
        slope = torch.where(v > 0, slope, slope * shape.alpha)
        v = v if x is None else v * slope
        if shape.clamp is not None:
            slope = slope * (v.abs() < torch.tensor(shape.clamp).to(like.dtype))
            v = v.clamp(-shape.clamp, shape.clamp)
    g = torch.zeros_like(like) if dy is None else dy
    g = g if dz is None or wide[2] is None else g + wide[2] * dz
    g = slope * g
    return (
        g if wide[0] is None else g * wide[0],
        None if x is None or scale is None else (g * x).sum(dim=pixels),
        g.sum(dim=1, keepdim=True),
        g.sum(dim=[0, *pixels]),
        None if dz is None or v is None else (dz * v).sum(dim=pixels),
    )


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
