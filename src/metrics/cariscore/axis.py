"""What an axis of the score is: a demand on blends, measured from pictures with landmarks against two references.

B are the base network's pictures, T the training cartoons. Neither is a snapshot, so no snapshot moves the scale.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .faces import Faces

Floats = NDArray[np.float64]
Features = NDArray[np.float32]


@dataclass(frozen=True)
class Place:
    """Where a set of pictures stands on an axis."""

    value: float  # 1 where the demand is met, 0 where it is not at all; not clipped
    without: Floats  # the same without each picture `[N]` (and, in a paired base set, without the one of its code)

    def pseudo_values(self) -> Floats:
        """Jackknife pseudo-values `[N]` (Quenouille 1956): their mean is the value without its bias in 1/N."""
        n = len(self.without)
        return n * self.value - (n - 1) * self.without


class Scale(Protocol):
    """An axis between two references."""

    def place(self, features: Features) -> Place:
        """Place a set by its features `[N, D]`; as many as the base's are taken as pictures of the same codes."""
        ...


class Named(Protocol):
    """An axis as far as a ranking or a table knows it."""

    @property
    def name(self) -> str:
        """Short, as in tables: `s`."""
        ...

    @property
    def title(self) -> str:
        """What 1 means: `cartoon shape adopted`."""
        ...


@dataclass(frozen=True)
class AxisName:
    """An axis of a sweep that has finished, by what its `ranking.json` says."""

    name: str
    title: str = ""


class Axis(Named, Protocol):
    """One demand. Another one is a class of this form in a file of its own, named in `score.open_axes`."""

    def features(self, faces: Faces) -> Features:
        """What the axis looks at, float32 `[N, D]`; a row depends on its picture alone."""
        ...

    def between(self, base: Features, target: Features, others: Features | None = None) -> Scale:
        """The axis between B's features and T's; `others` are those of the base's pictures of other codes.

        What no mean of B tells, such as a whitening, is taken from the others where there are any: it is then the same
        for every set of codes, and what a set's pseudo-values say of its error is all of it.
        """
        ...
