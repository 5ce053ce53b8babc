"""What follows a convolution in StyleGAN2: demodulate, add noise and bias, activate, scale, clamp.

leaky ReLU is positively homogeneous, g·lrelu(x) = lrelu(g·x) for g > 0, so the gain goes into the small tensors
(demodulation, noise strength, bias) and the big one is read and written twice instead of five times.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

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
