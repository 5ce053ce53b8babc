"""Noise maps of a picture's own, and what keeps them noise while they are optimised (StyleGAN2, App. D)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks import Generator

SMALLEST_PX = 8


def fresh_maps(G: Generator, generator: torch.Generator) -> list[Tensor]:
    """Normal noise for each convolution: `[1, r, r]` each, on the host."""
    return [torch.randn([1, s.resolution, s.resolution], generator=generator) for s in G.synthesis.layers()]


def not_noise(maps: Sequence[Tensor]) -> Tensor:
    """How far maps `[N, 1, r, r]` are from white noise, `[N]`: squared correlation of neighbours, down to 8 px."""
    total = torch.zeros([len(maps[0])], device=maps[0].device)
    for scale in maps:
        while True:
            for axis in (2, 3):
                total = total + (scale * scale.roll(1, axis)).mean(dim=(1, 2, 3)).square()
            if scale.shape[2] <= SMALLEST_PX:
                break
            scale = F.avg_pool2d(scale, 2)
    return total


@torch.no_grad()
def normalize_(maps: Sequence[Tensor]) -> None:
    """Bring each map of `[N, 1, r, r]` to mean 0 and mean square 1, in place."""
    for noise in maps:
        noise -= noise.mean(dim=(1, 2, 3), keepdim=True)
        noise *= noise.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
