"""Which picture comes when, as a pure function of (seed, position): resuming needs no generator state.

Each pass over the data is a new permutation, seeded by (seed, pass); position p of the run shows picture
permutation[p // num_images][p % num_images].
"""

from collections.abc import Iterator

import numpy as np


class PictureOrder:
    """The endless order of a data set; with `mirror` each showing is flipped left to right with probability ½."""

    def __init__(self, num_images: int, *, seed: int, mirror: bool = False) -> None:
        if num_images < 1:
            raise ValueError("an empty data set has no order")
        self.num_images, self.seed, self.mirror = num_images, seed, mirror
        self._cached: tuple[int, np.ndarray, np.ndarray] | None = None

    def at(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions `start`, …: indices of `count` pictures, int64, and whether each is flipped, bool `[count]`."""
        positions = np.arange(start, start + count)
        indices, flips = np.empty(count, np.int64), np.zeros(count, bool)
        passes = positions // self.num_images
        for number in np.unique(passes):
            order, flip = self._pass(int(number))
            here = passes == number
            indices[here] = order[positions[here] % self.num_images]
            flips[here] = flip[positions[here] % self.num_images]
        return indices, flips

    def _pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        if self._cached is None or self._cached[0] != number:
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, number])))
            order = rng.permutation(self.num_images)
            flip = rng.random(self.num_images) < 0.5 if self.mirror else np.zeros(self.num_images, bool)
            self._cached = (number, order, flip)
        return self._cached[1], self._cached[2]


class BatchPositions:
    """Endless batch sampler: yields the positions of each batch, from position `start` (the run's nimg) on.

    Of `batch` positions over all ranks, rank k of n takes every n-th.
    """

    def __init__(self, batch: int, *, start: int = 0, rank: int = 0, num_ranks: int = 1) -> None:
        if batch % num_ranks:
            raise ValueError(f"a batch of {batch} does not divide among {num_ranks} processes")
        self.batch, self.start, self.rank, self.num_ranks = batch, start, rank, num_ranks

    def __iter__(self) -> Iterator[list[int]]:
        position = self.start
        while True:
            yield list(range(position + self.rank, position + self.batch, self.num_ranks))
            position += self.batch
