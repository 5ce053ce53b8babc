"""The StyleGAN2 generator: mapping and synthesis (arXiv 1912.04958)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .architecture import channels_per_resolution
from .mapping import MappingNetwork
from .synthesis import SynthesisNetwork

CHUNK, CHUNK_PX = 32, 256  # so many pictures at a time up to this size


class Generator(nn.Module):
    """Latents to images.

    Args:
        z_dim: length of the input latent.
        w_dim: length of a style code.
        c_dim: number of classes, 0 for none.
        resolution: of the images, a power of two.
        channel_base: width · resolution of the wide blocks (config-e 16384, config-f 32768).
        channel_max: the most feature maps of a block.
        channels: explicit widths `{4: …, …}` instead of the two above.
        num_mapping_layers: depth of the mapping network.
        mapping_features: width of its hidden layers; None for `w_dim`.
        mapping_lr_multiplier: its learning-rate multiplier.
        conv_clamp: bound on the absolute output of each convolution, or None.
        architecture: `"skip"` (StyleGAN2's), `"resnet"` or `"orig"`.
        embed_features: width of the embedded class, see `MappingNetwork`.
        label_layout: how classes enter the mapping, see `MappingNetwork`.
    """

    def __init__(
        self,
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        resolution: int = 256,
        channel_base: int = 16384,
        channel_max: int = 512,
        channels: Mapping[int, int] | None = None,
        num_mapping_layers: int = 8,
        mapping_features: int | None = None,
        mapping_lr_multiplier: float = 0.01,
        conv_clamp: float | None = None,
        architecture: str = "skip",
        embed_features: int | None = None,
        label_layout: str = "embed",
    ) -> None:
        super().__init__()
        table = channels_per_resolution(resolution, channel_base, channel_max, channels)
        self.z_dim, self.w_dim, self.c_dim, self.resolution = z_dim, w_dim, c_dim, resolution
        self.synthesis = SynthesisNetwork(w_dim, table, conv_clamp=conv_clamp, architecture=architecture)
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(
            z_dim,
            c_dim,
            w_dim,
            num_ws=self.num_ws,
            num_layers=num_mapping_layers,
            layer_features=mapping_features,
            lr_multiplier=mapping_lr_multiplier,
            embed_features=embed_features,
            label_layout=label_layout,
        )
        self.config: dict[str, Any] = {
            "z_dim": z_dim,
            "w_dim": w_dim,
            "c_dim": c_dim,
            "resolution": resolution,
            "channels": table,
            "num_mapping_layers": num_mapping_layers,
            "mapping_features": mapping_features,
            "mapping_lr_multiplier": mapping_lr_multiplier,
            "conv_clamp": conv_clamp,
            "architecture": architecture,
            "embed_features": embed_features,
            "label_layout": label_layout,
        }

    @property
    def chunk_size(self) -> int:
        """How many pictures to render at a time, so that memory does not grow with their number or size."""
        return max(min(CHUNK, CHUNK * CHUNK_PX**2 // self.resolution**2), 1)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: str = "const",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Generate images `[N, 3, H, W]` from `z` `[N, z_dim]`; see `MappingNetwork` and `SynthesisNetwork`."""
        return self.synthesis(self.mapping(z, c, psi=psi, cutoff=cutoff), noise=noise, generator=generator)
