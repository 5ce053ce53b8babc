"""Bias, activation, gain and clamp in one call (StyleGAN2, arXiv 1912.04958, Sec. 4; gains keep unit variance)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .backend import kernels_for
from .epilogue import run_kernels
from .kernels import Shape, Small


class Activation(NamedTuple):
    """How `bias_act` evaluates one activation: `function(x, alpha)`, and its defaults."""

    function: Callable[[Tensor, float], Tensor]
    alpha: float
    gain: float


PIECEWISE_LINEAR = ("linear", "relu", "lrelu")  # what the networks use, and the compiled kernels compute

SQRT2 = math.sqrt(2.0)

ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x, _: x, 0.0, 1.0),
    "relu": Activation(lambda x, _: F.relu(x), 0.0, SQRT2),
    "lrelu": Activation(lambda x, alpha: F.leaky_relu(x, alpha), 0.2, SQRT2),
    "tanh": Activation(lambda x, _: torch.tanh(x), 0.0, 1.0),
    "sigmoid": Activation(lambda x, _: torch.sigmoid(x), 0.0, 1.0),
    "elu": Activation(lambda x, _: F.elu(x), 0.0, 1.0),
    "selu": Activation(lambda x, _: F.selu(x), 0.0, 1.0),
    "softplus": Activation(lambda x, _: F.softplus(x), 0.0, 1.0),
    "swish": Activation(lambda x, _: torch.sigmoid(x) * x, 0.0, SQRT2),
}


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    *,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    overwrite: bool = False,
    add: Tensor | None = None,
) -> Tensor:
    """Compute `clamp(gain · act(x + b)) + add`.

    Args:
        x: any shape.
        b: bias `[x.shape[dim]]`, or None.
        dim: the dimension of `x` that the bias runs along.
        act: one of `ACTIVATIONS`.
        alpha: slope of `lrelu` below zero; None for the activation's default (0.2).
        gain: factor after the activation; None for the default that keeps unit variance (√2 for relu, lrelu, swish).
        clamp: bound on the absolute value of the result (at least 0), or None.
        overwrite: `x` is not needed again: without gradients the result may take its place.
        add: like `x`, or None for nothing.

    Returns:
        Same shape and type as `x`; gradients of any order with respect to `x`, `b` and `add`.

    Raises:
        ValueError: for an unknown activation, a bias of another length, or a negative clamp.
    """
    if act not in ACTIVATIONS:
        raise ValueError(f"bias_act: unknown activation {act!r}; known: {', '.join(ACTIVATIONS)}")
    if clamp is not None and clamp < 0:
        raise ValueError(f"bias_act: clamp must be at least 0, not {clamp}")
    spec = ACTIVATIONS[act]
    alpha = spec.alpha if alpha is None else float(alpha)
    gain = spec.gain if gain is None else float(gain)
    kernels = kernels_for(x) if act in PIECEWISE_LINEAR and dim == 1 and x.ndim > 1 and gain > 0 else None
    if b is not None and (b.ndim != 1 or not -x.ndim <= dim < x.ndim or b.shape[0] != x.shape[dim]):
        raise ValueError(f"bias_act: bias {list(b.shape)} does not fit dimension {dim} of {list(x.shape)}")
    if kernels is not None and x.numel() > 0:
        slope = {"linear": 1.0, "relu": 0.0}.get(act, alpha)
        if slope >= 0:
            small, how = Small(None, None, b, None), Shape(slope, gain, clamp)
            y, _ = run_kernels(kernels, x, small, how, overwrite=overwrite, add=add)
            assert y is not None
            return y
    if b is not None:
        shape = [1] * x.ndim
        shape[dim] = -1
        x = x + b.to(x.dtype).reshape(shape)
    x = spec.function(x, alpha)
    if gain != 1.0:
        x = x * gain
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    return x if add is None else x + add
