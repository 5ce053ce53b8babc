"""The StyleGAN2 discriminator (arXiv 1912.04958, Fig. 7, App. B): residual by default, also skip and orig."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..ops import downsample2d, fork2d, setup_filter
from .architecture import ARCHITECTURES, MIN_RESOLUTION, channels_per_resolution
from .layers import RESAMPLE_TAPS, Conv2dLayer, FullyConnectedLayer
from .mapping import LABEL_LAYOUTS, MappingNetwork
from .precision import FP32, Precision


class DiscriminatorBlock(nn.Module):
    """One resolution: fromrgb where the architecture has one, conv0, conv1 with stride 2, and the residual branch."""

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        *,
        architecture: str,
        conv_clamp: float | None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.fromrgb = None
        if in_channels == 0 or architecture == "skip":
            self.fromrgb = Conv2dLayer(3, channels, 1, conv_clamp=conv_clamp)
        self.conv0 = Conv2dLayer(channels, channels, 3, conv_clamp=conv_clamp)
        self.conv1 = Conv2dLayer(channels, out_channels, 3, down=2, conv_clamp=conv_clamp)
        self.skip = None
        if architecture == "resnet":
            self.skip = Conv2dLayer(channels, out_channels, 1, bias=False, activation="linear")
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS), persistent=False)

    def forward(
        self, x: Tensor | None, img: Tensor | None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor | None]:
        """Map features `[N, C, r, r]` and image to features `[N, C', r/2, r/2]` and the image for the next block."""
        x = None if x is None else x.to(dtype)
        if self.fromrgb is not None:
            assert img is not None
            rgb = self.fromrgb(img.to(dtype, memory_format=torch.channels_last))  # the faster layout, which stays
            x = rgb if x is None else x + rgb
            img = downsample2d(img, self.resample_filter) if self.architecture == "skip" else None
        assert x is not None
        if self.skip is None:
            return self.conv1(self.conv0(x)), img
        x, thinned = fork2d(x, self.resample_filter)  # a pointwise convolution commutes with dropping samples
        residual = self.skip(thinned, gain=math.sqrt(0.5))
        return self.conv1(self.conv0(x), gain=math.sqrt(0.5), add=residual), img


class DiscriminatorEpilogue(nn.Module):
    """4x4: minibatch standard deviation, convolution, two fully connected layers."""

    def __init__(
        self,
        channels: int,
        cmap_dim: int,
        *,
        architecture: str,
        mbstd_group_size: int | None,
        mbstd_channels: int,
        conv_clamp: float | None,
        label_layout: str = "embed",
    ) -> None:
        super().__init__()
        self.cmap_dim = cmap_dim
        self.cmap_gain = 1.0 if label_layout == "matrix" or not cmap_dim else 1.0 / math.sqrt(cmap_dim)
        self.mbstd_group_size, self.mbstd_channels = mbstd_group_size, mbstd_channels
        self.fromrgb = Conv2dLayer(3, channels, 1) if architecture == "skip" else None
        self.conv = Conv2dLayer(channels + mbstd_channels, channels, 3, conv_clamp=conv_clamp)
        self.fc = FullyConnectedLayer(channels * MIN_RESOLUTION**2, channels, activation="lrelu")
        self.out = FullyConnectedLayer(channels, cmap_dim or 1)

    def forward(self, x: Tensor, img: Tensor | None, cmap: Tensor | None, batches: int = 1) -> Tensor:
        """Map features `[N, C, 4, 4]`, of so many batches one after another, to logits `[N, 1]`."""
        x = x.float()
        if self.fromrgb is not None:
            assert img is not None
            x = x + self.fromrgb(img.contiguous(memory_format=torch.channels_last))
        if self.mbstd_channels > 0:
            x = minibatch_stddev(x, self.mbstd_group_size, self.mbstd_channels, batches)
        x = self.out(self.fc(self.conv(x).flatten(1)))
        if cmap is not None:  # projection discriminator (arXiv 1802.05637) on the mapped class
            x = (x * cmap).sum(dim=1, keepdim=True) * self.cmap_gain
        return x


class Discriminator(nn.Module):
    """Images to logits; widths as of `Generator`.

    Args:
        c_dim: number of classes, 0 for none.
        resolution: of the images, a power of two.
        architecture: `"resnet"`, `"skip"` or `"orig"`.
        cmap_dim: width of the mapped class; None for the 4x4 block's width.
        num_mapping_layers: depth of the class mapping.
        mapping_features: width of its hidden layers; None for `cmap_dim`.
        mapping_lr_multiplier: its learning-rate multiplier.
        embed_features: width of the embedded class; None for `cmap_dim`.
        label_layout: `"embed"` (projection on the mapped class) or `"matrix"` (one score a class, StyleGAN2 on
            TensorFlow).
        mbstd_group_size: samples that share one minibatch standard deviation, None for the whole batch.
        mbstd_channels: feature maps that it adds, 0 to leave it out.
        conv_clamp: bound on the absolute output of each convolution, or None.
    """

    def __init__(
        self,
        *,
        c_dim: int = 0,
        resolution: int = 256,
        channel_base: int = 16384,
        channel_max: int = 512,
        channels: Mapping[int, int] | None = None,
        architecture: str = "resnet",
        cmap_dim: int | None = None,
        num_mapping_layers: int = 8,
        mapping_features: int | None = None,
        mapping_lr_multiplier: float = 0.01,
        embed_features: int | None = None,
        label_layout: str = "embed",
        mbstd_group_size: int | None = 4,
        mbstd_channels: int = 1,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f"discriminator architecture is one of {', '.join(ARCHITECTURES)}, not {architecture!r}")
        if label_layout not in LABEL_LAYOUTS:
            raise ValueError(f"label_layout is {' or '.join(LABEL_LAYOUTS)}, not {label_layout!r}")
        table = channels_per_resolution(resolution, channel_base, channel_max, channels)
        self.c_dim, self.resolution = c_dim, resolution
        self.precision: Precision = FP32  # set for a while by `computing_in`
        if label_layout == "matrix":
            cmap_dim = c_dim
        else:
            cmap_dim = 0 if c_dim == 0 else (table[MIN_RESOLUTION] if cmap_dim is None else cmap_dim)
        shared: dict[str, Any] = {"architecture": architecture, "conv_clamp": conv_clamp}
        self.block_resolutions = [r for r in sorted(table, reverse=True) if r > MIN_RESOLUTION]
        for r in self.block_resolutions:
            below = table[r] if r < resolution else 0
            self.add_module(f"b{r}", DiscriminatorBlock(below, table[r], table[r // 2], **shared))
        self.mapping = None
        if c_dim > 0 and label_layout == "embed":
            self.mapping = MappingNetwork(
                0,
                c_dim,
                cmap_dim,
                num_ws=None,
                num_layers=num_mapping_layers,
                layer_features=mapping_features,
                lr_multiplier=mapping_lr_multiplier,
                track_w_avg=False,
                embed_features=embed_features,
            )
        self.b4 = DiscriminatorEpilogue(
            table[MIN_RESOLUTION],
            cmap_dim,
            mbstd_group_size=mbstd_group_size,
            mbstd_channels=mbstd_channels,
            label_layout=label_layout,
            **shared,
        )
        self.config: dict[str, Any] = {
            "c_dim": c_dim,
            "resolution": resolution,
            "channels": table,
            **shared,
            "cmap_dim": cmap_dim or None,
            "num_mapping_layers": num_mapping_layers,
            "mapping_features": mapping_features,
            "mapping_lr_multiplier": mapping_lr_multiplier,
            "embed_features": embed_features,
            "label_layout": label_layout,
            "mbstd_group_size": mbstd_group_size,
            "mbstd_channels": mbstd_channels,
        }

    def forward(self, images: Tensor, c: Tensor | None = None, *, batches: int = 1) -> Tensor:
        """Score images.

        Args:
            images: float32 `[N, 3, H, W]` in [-1, 1].
            c: `[N, c_dim]` one-hot, None when `c_dim` is 0.
            batches: the images are so many batches of equal size, one after another, each scored as if it were alone.

        Returns:
            Logits `[N, 1]`; higher is more real. They depend on the batch through the minibatch standard deviation.

        Raises:
            ValueError: for images of another size, or a batch that does not divide into minibatch-stddev groups.
        """
        if images.ndim != 4 or images.shape[1:] != (3, self.resolution, self.resolution):
            size = f"[N, 3, {self.resolution}, {self.resolution}]"
            raise ValueError(f"the discriminator takes images {size}, not {list(images.shape)}")
        cmap = self._class_map(c)
        x, img = None, images
        for r in self.block_resolutions:
            x, img = self.get_submodule(f"b{r}")(x, img, self.precision.at(r))
        return self.b4(x, img, cmap, batches)

    def _class_map(self, c: Tensor | None) -> Tensor | None:
        if self.mapping is not None:
            return self.mapping(None, c)
        if self.c_dim > 0 and (c is None or c.ndim != 2 or c.shape[1] != self.c_dim):
            raise ValueError(f"c must be one-hot [N, {self.c_dim}], not {None if c is None else list(c.shape)}")
        return c.float() if c is not None and self.c_dim > 0 else None


def minibatch_stddev(x: Tensor, group_size: int | None, num_channels: int, batches: int = 1) -> Tensor:
    """Append the standard deviation over each group of samples as feature maps (arXiv 1710.10196, Sec. 3).

    `x` `[N, C, H, W]` is of so many batches one after another. In a batch of B, sample b belongs to group
    b mod (B / group size); a batch that is smaller than a group is one, and so it is for None. C is split into
    `num_channels` parts, each of which adds a map.
    """
    c, h, w = x.shape[1:]
    n = len(x) // batches
    group = n if group_size is None else min(group_size, n)
    if n % group:
        raise ValueError(f"a batch of {n} does not divide into minibatch-stddev groups of {group}")
    y = x.reshape(batches, group, n // group, num_channels, c // num_channels, h, w)
    std = (y - y.mean(dim=1, keepdim=True)).square().mean(dim=1, keepdim=True).add(1e-8).sqrt()
    std = std.mean(dim=(4, 5, 6)).expand(batches, group, n // group, num_channels)
    return torch.cat([x, std.reshape(-1, num_channels, 1, 1).expand(-1, -1, h, w)], dim=1)
