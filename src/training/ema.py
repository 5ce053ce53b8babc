"""Exponential moving average of the generator, the network that is saved, shown and evaluated.

Karras et al., "Progressive Growing of GANs" (arXiv 1710.10196), Appendix A; the half-life in images and its
ramp-up at the start of a run follow StyleGAN2-ADA's training (arXiv 2006.06676, Appendix C).
"""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class GeneratorEma(Generic[Network]):
    """Keep a smoothed copy of a generator, which starts equal to it.

    Args:
        generator: the network in training.
        half_life_kimg: images, in thousands, after which the weight of an old state has halved; 0 copies.
        rampup: the half-life is at most this fraction of the images shown so far; None (when transferring)
            does not limit it.
    """

    def __init__(self, generator: Network, *, half_life_kimg: float = 10.0, rampup: float | None = 0.05) -> None:
        self.half_life_kimg = float(half_life_kimg)
        self.rampup = rampup
        self.module: Network = copy.deepcopy(generator).eval().requires_grad_(False)  # the smoothed network

    def beta(self, nimg: int, batch: int) -> float:
        """Weight of the old average for one update after `nimg` real images: 0.5^(batch / half-life in images)."""
        half_life = self.half_life_kimg * 1000
        if self.rampup is not None:
            half_life = min(half_life, nimg * self.rampup)
        return float(0.5 ** (batch / max(half_life, 1e-8)))

    @torch.no_grad()
    def update(self, generator: Network, nimg: int, batch: int) -> None:
        """Move the average towards the generator; buffers (w_avg, constant noise) are copied.

        Raises:
            ValueError: when the two networks differ in the number of their parameters or buffers.
        """
        averages: list[Tensor] = list(self.module.parameters())
        currents: list[Tensor] = [parameter.detach() for parameter in generator.parameters()]
        kept, fresh = list(self.module.buffers()), list(generator.buffers())
        if len(averages) != len(currents) or len(kept) != len(fresh):
            raise ValueError(
                "GeneratorEma.update: the generator is not built like the one that the average started from"
            )
        torch._foreach_lerp_(averages, currents, 1 - self.beta(nimg, batch))
        if kept:
            torch._foreach_copy_(kept, fresh)
