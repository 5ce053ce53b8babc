"""The layers of a synthesis block (StyleGAN2, arXiv 1912.04958, Fig. 2c and 7): convolution, ToRGB, residual branch."""

import math

import torch
from torch import Tensor, nn

from ..ops import (
    conv2d,
    demodulation,
    epilogue,
    filters_and_energy,
    modulate,
    product,
    setup_filter,
    upsample2d,
    upsample_conv2d,
)
from .layers import RESAMPLE_TAPS, SQRT2, FullyConnectedLayer, clamp_in

MATMUL_PIXELS = 64 * 64  # from here on ToRGB is a matrix product a sample
Noise = str | Tensor  # a mode, or a layer's own maps [N or 1, 1, r, r]


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU (Fig. 2c); upsampling by 2 when `up=2`."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, *, up: int, conv_clamp: float | None
    ) -> None:
        super().__init__()
        self.resolution, self.up, self.conv_clamp = resolution, up, conv_clamp
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn([out_channels, in_channels, 3, 3]))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros([out_channels]))
        self.register_buffer("noise_const", torch.randn([resolution, resolution]))
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS), persistent=False)

    def style(self, w: Tensor, dtype: torch.dtype) -> Tensor:
        """The style `[N, C_in]` that a code `[N, w_dim]` gives to a picture of `dtype`."""
        styles: Tensor = self.affine(w)
        return styles_for_fp16(styles) if dtype == torch.float16 else styles

    def forward(
        self,
        x: Tensor,
        style: Tensor,
        noise: Noise,
        generator: torch.Generator | None,
        gain: float = 1.0,
        *,
        onward: Tensor | None = None,
        keep: bool = True,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Map `[N, C_in, H, W]`, already times its `style`, to `[N, C_out, up·H, up·W]`, times `gain`.

        Args:
            x: the picture.
            style: `[N, C_in]`; demodulation divides by what it did.
            noise: the layer's.
            generator: of random noise.
            gain: factor on the result.
            onward: style `[N, C_out]` of the layer that comes next.
            keep: whether the result is needed as it is.

        Returns:
            The result, None unless it is to be kept; and times the next style, None without one.
        """
        weight: Tensor = self.weight
        if x.dtype == torch.float16:
            weight = weight_for_fp16(weight)
        filters, energy = filters_and_energy(weight, x, transposed=self.up == 2)
        scale = demodulation(energy, style)
        x = upsample_conv2d(x, filters, self.resample_filter) if self.up == 2 else conv2d(x, filters, padding=1)
        clamp = clamp_in(x.dtype, self.conv_clamp, gain)
        noise_ = self._noise(x, noise, generator)
        return epilogue(x, scale, noise_, self.bias, onward, gain=SQRT2 * gain, clamp=clamp, keep=keep)

    def _noise(self, x: Tensor, noise: Noise, generator: torch.Generator | None) -> Tensor | None:
        if isinstance(noise, Tensor):
            return noise * self.noise_strength
        if noise == "none":
            return None
        if noise == "const":
            return self.noise_const[None, None] * self.noise_strength
        shape = [x.shape[0], 1, self.resolution, self.resolution]
        return torch.randn(shape, device=x.device, generator=generator) * self.noise_strength


def styles_for_fp16(styles: Tensor) -> Tensor:
    """Scale styles `[N, C_in]` to at most 1 in magnitude, for sums within float16 (2006.06676, App. D)."""
    return styles / styles.abs().amax(dim=1, keepdim=True).clamp(min=1e-8)


def weight_for_fp16(weight: Tensor) -> Tensor:
    """Scale weights `[C_out, C_in, k, k]` to at most 1/sqrt(fan-in) in magnitude likewise; demodulation undoes both."""
    largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-8) * math.sqrt(weight[0].numel())
    return weight / largest


class ToRGBLayer(nn.Module):
    """Modulated 1x1 convolution to RGB, without demodulation (Fig. 7b)."""

    def __init__(self, in_channels: int, img_channels: int, w_dim: int, *, conv_clamp: float | None) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn([img_channels, in_channels, 1, 1]))
        self.bias = nn.Parameter(torch.zeros([img_channels]))
        self.weight_gain = 1.0 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map `[N, C, H, W]` and `w` `[N, w_dim]` to `[N, 3, H, W]` float32."""
        clamp = clamp_in(x.dtype, self.conv_clamp)
        rgb = self._convolve(x, self.affine(w)) + self.bias[:, None, None]  # of the bias's type, in the same pass
        return (rgb if clamp is None else rgb.clamp(-clamp, clamp)).float()

    def _convolve(self, x: Tensor, styles: Tensor) -> Tensor:
        """Three maps only: for large pictures the styles go into per-sample weights, one matrix product a sample."""
        n, c, h, w = x.shape
        if h * w < MATMUL_PIXELS:
            return conv2d(modulate(x, styles * self.weight_gain), self.weight)
        weight = (self.weight.flatten(1) * styles[:, None]).to(x.dtype)
        pixels = x.permute(0, 2, 3, 1).reshape(n, h * w, c)  # a view of a channels_last tensor
        return product(pixels, weight.mT, self.weight_gain).reshape(n, h, w, -1).permute(0, 3, 1, 2)


class SkipLayer(nn.Module):
    """The residual branch of a resnet block: pointwise convolution and upsampling by 2 (Fig. 7c)."""

    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn([out_channels, in_channels, 1, 1]))
        self.weight_gain = 1.0 / math.sqrt(in_channels)
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS), persistent=False)

    def forward(self, x: Tensor, gain: float) -> Tensor:
        """Map `[N, C_in, r/2, r/2]` to `[N, C_out, r, r]`, times `gain`."""
        x = conv2d(x, self.weight, gain=self.weight_gain * gain)
        return upsample2d(x, self.resample_filter)
