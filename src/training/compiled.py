"""The networks of the main phases through torch.compile; the regularisers stay eager.

R1 and path length differentiate a gradient, which compiled regions do not support. Random noise is drawn outside: a
compiled region cannot take a generator.
"""

from typing import Any

import torch
from torch import Tensor

from ..networks import Discriminator, Generator


class CompiledNetworks:
    """Forms of synthesis network and discriminator by torch.compile; they share the parameters of the originals."""

    def __init__(self, G: Generator, D: Discriminator, *, backend: str = "inductor") -> None:
        self.G = G
        self._synthesis: Any = torch.compile(G.synthesis, backend=backend, dynamic=False)
        self._discriminator: Any = torch.compile(D, backend=backend, dynamic=False)

    def synthesize(self, ws: Tensor, maps: list[Tensor]) -> Tensor:
        """Images `[N, 3, H, W]` of codes `[N, L, w_dim]` and noise maps."""
        return self._synthesis(ws, noise=maps)

    def discriminate(self, images: Tensor, c: Tensor | None, batches: int) -> Tensor:
        """Logits `[N, 1]`."""
        return self._discriminator(images, c, batches=batches)
