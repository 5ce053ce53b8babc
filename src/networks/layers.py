"""Fully connected and convolution layers with equalised learning rate (arXiv 1710.10196, Sec. 4.1).

Weights are stored at unit variance and scaled by a run-time gain, exactly as the published networks store them, so
importing one is renaming and transposing. Gains are Python floats; without compiled kernels a leaky ReLU's gain goes
into weight and bias (it is positively homogeneous), which leaves one convolution with bias and one activation pass.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import LRELU_SLOPE, bias_act, conv2d, kernels_for, linear, setup_filter, upfirdn2d
from .precision import FP16_CLAMP

SQRT2 = math.sqrt(2.0)
RESAMPLE_TAPS = (1.0, 3.0, 3.0, 1.0)


class FullyConnectedLayer(nn.Module):
    """`lrelu(x Wᵀ · gain + b · lr_multiplier)·√2`, or the same without activation.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        bias_init: initial value of the bias as it acts.
        activation: `"linear"` or `"lrelu"`.
        lr_multiplier: learning-rate multiplier; stored weights are larger by its inverse (mapping: 0.01).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias_init: float = 0.0,
        activation: str = "linear",
        lr_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        if activation not in ("linear", "lrelu"):
            raise ValueError(f"activation is linear or lrelu, not {activation!r}")
        self.weight = nn.Parameter(torch.randn([out_features, in_features]) / lr_multiplier)
        self.bias = nn.Parameter(torch.full([out_features], bias_init / lr_multiplier))
        self.activation = activation
        act_gain = SQRT2 if activation == "lrelu" else 1.0
        self.weight_gain = act_gain * lr_multiplier / math.sqrt(in_features)
        self.bias_gain = act_gain * lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Map `[N, in_features]` to `[N, out_features]`."""
        bias = self.bias if self.bias_gain == 1.0 else self.bias * self.bias_gain
        x = linear(x, self.weight, bias, gain=self.weight_gain)
        return F.leaky_relu(x, LRELU_SLOPE, inplace=True) if self.activation == "lrelu" else x


class Conv2dLayer(nn.Module):
    """The discriminator's convolution: FIR filter and stride 2 when `down=2`, bias, leaky ReLU, gain, clamp.

    Args:
        in_channels: feature maps of the input.
        out_channels: feature maps of the output.
        kernel_size: odd.
        bias: whether there is one.
        activation: `"linear"` or `"lrelu"`.
        down: 1 or 2.
        conv_clamp: bound on the absolute output before `gain`, or None.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        activation: str = "lrelu",
        down: int = 1,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn([out_channels, in_channels, kernel_size, kernel_size]))
        self.bias = nn.Parameter(torch.zeros([out_channels])) if bias else None
        self.activation = activation
        self.act_gain = SQRT2 if activation == "lrelu" else 1.0
        self.weight_gain = 1.0 / math.sqrt(in_channels * kernel_size**2)
        self.down = down
        self.conv_clamp = conv_clamp
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS), persistent=False)

    def forward(self, x: Tensor, gain: float = 1.0, add: Tensor | None = None) -> Tensor:
        """Map `[N, C_in, H, W]` to `[N, C_out, H/down, W/down]`, times `gain`, plus what is to be added to that."""
        act_gain = self.act_gain * gain
        clamp = clamp_in(x.dtype, self.conv_clamp, gain)
        if kernels_for(x) is None:
            x = self._reference(x, act_gain, clamp)
        elif self.bias is None and clamp is None and self.activation == "linear":
            x = self._convolve(x, None, self.weight_gain * act_gain)
        else:
            x = self._convolve(x, None, self.weight_gain)
            return bias_act(x, self.bias, act=self.activation, gain=act_gain, clamp=clamp, overwrite=True, add=add)
        return x if add is None else x + add

    def _reference(self, x: Tensor, act_gain: float, clamp: float | None) -> Tensor:
        """PyTorch's convolutions add the bias in the same pass, and its leaky ReLU can work in place."""
        bias = None if self.bias is None else (self.bias * act_gain).to(x.dtype)
        x = self._convolve(x, bias, self.weight_gain * act_gain)
        if self.activation == "lrelu":
            x = F.leaky_relu(x, LRELU_SLOPE, inplace=True)
        return x if clamp is None else x.clamp(-clamp, clamp)

    def _convolve(self, x: Tensor, bias: Tensor | None, gain: float) -> Tensor:
        kernel = self.weight.shape[2]
        if self.down == 1:
            return conv2d(x, self.weight, bias, padding=kernel // 2, gain=gain)
        taps, half = self.resample_filter.shape[0], kernel // 2
        before, behind = half + (taps - 1) // 2, half + (taps - 2) // 2
        x = upfirdn2d(x, self.resample_filter, padding=(before, behind, before, behind))
        return conv2d(x, self.weight, bias, stride=2, gain=gain)


def clamp_in(dtype: torch.dtype, conv_clamp: float | None, gain: float = 1.0) -> float | None:
    """Bound on a convolution's output times `gain`: the network's own, and one in any case in float16."""
    if conv_clamp is None and dtype == torch.float16:
        conv_clamp = FP16_CLAMP
    return None if conv_clamp is None else conv_clamp * gain


def normalize_2nd_moment(x: Tensor) -> Tensor:
    """Scale each row of `[N, K]` to unit mean square (StyleGAN's pixel norm on the latent)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
