"""Random numbers of a batch, or of a part of one that has the numbers which it has in the whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Draws the whole batch's numbers and keeps those of a part: every `of`-th sample, from sample `index` on.

    Such a part holds whole groups of the minibatch standard deviation, where there are as many groups as parts or a
    multiple.
    """

    generator: torch.Generator  # in the same state for every part
    index: int = 0  # of the part
    of: int = 1  # how many parts there are

    def normal(self, shape: Sequence[int], dim: int = 0) -> Tensor:
        """Standard normal numbers for a part of `shape`, whose samples lie along `dim`, on the generator's device."""
        return self._part(torch.randn, shape, dim)

    def uniform(self, shape: Sequence[int], dim: int = 0) -> Tensor:
        """Uniform numbers in [0, 1), likewise."""
        return self._part(torch.rand, shape, dim)

    def common(self, count: int) -> Tensor:
        """`count` uniform numbers that the whole batch shares."""
        return torch.rand([count], generator=self.generator, device=self.generator.device)

    def _part(self, draw: Callable[..., Tensor], shape: Sequence[int], dim: int) -> Tensor:
        whole = list(shape)
        whole[dim] *= self.of
        numbers = draw(whole, generator=self.generator, device=self.generator.device)
        return numbers if self.of == 1 else numbers[(slice(None),) * dim + (slice(self.index, None, self.of),)]
