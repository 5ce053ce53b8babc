"""CariScore: how far a blend meets both demands, the cartoons' shape and the person's rendering (or the reverse).

Score = S^alpha R^(1 - alpha), both measured between the base network's pictures B and the training cartoons T. No blend
and no snapshot takes part in the scale, so what else a sweep holds changes no score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import UserError
from .axis import Axis, Features, Floats, Named, Scale
from .faces import Faces
from .frame import Frame
from .rendering import RenderingAxis
from .shape import ShapeAxis

DIRECTIONS = ("cartoon_low", "cartoon_high")


def open_axes(frame: Frame, direction: str = "cartoon_low") -> tuple[Axis, ...]:
    """Open the score's axes.

    Args:
        frame: of the base's mean face.
        direction: `"cartoon_low"` (blends have the cartoons' coarse layers: cartoon shape, the base's rendering) or
            `"cartoon_high"` (the base's shape, cartoon rendering).

    Raises:
        UserError: for another direction.
    """
    if direction not in DIRECTIONS:
        raise UserError(f"blend.direction={direction}: choose {' or '.join(DIRECTIONS)}")
    low = direction == "cartoon_low"
    return ShapeAxis(kept=not low), RenderingAxis(frame, kept=low)


def exponents(axes: Sequence[Named], alpha: float) -> tuple[float, ...]:
    """Exponent of each axis: alpha of shape, the rest shared by the others.

    Raises:
        UserError: unless alpha lies between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise UserError(f"alpha={alpha}: must lie between 0 (rendering alone) and 1 (shape alone)")
    others = (1 - alpha) / (len(axes) - 1)
    return tuple(alpha if axis.name == "s" else others for axis in axes)


@dataclass(frozen=True)
class Places:
    """Where a set stands on every axis."""

    values: Floats  # `[A]`, not clipped
    pseudo: Floats  # jackknife pseudo-values `[N, A]`; their means are the values without their bias in 1/N


class CariScore:
    """The axes between B and T.

    Args:
        axes: see `open_axes`.
        base: B's features on each axis.
        target: T's, of pictures with a face alone (`Faces.seen`).
        others: of the base's pictures of other codes, see `Axis.between`; None: there are none.

    Raises:
        UserError: when B and T cannot be told apart on an axis.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        base: Sequence[Features],
        target: Sequence[Features],
        others: Sequence[Features] | None = None,
    ) -> None:
        self.axes = tuple(axes)
        more = [None] * len(self.axes) if others is None else others
        references = zip(self.axes, base, target, more, strict=True)
        self._scales: list[Scale] = [axis.between(b, t, known) for axis, b, t, known in references]

    @classmethod
    def between(
        cls, base: Faces, cartoons: Faces, direction: str = "cartoon_low", *, others: Faces | None = None
    ) -> "CariScore":
        """The score between the base's pictures and the training cartoons (see `open_axes` and `Axis.between`)."""
        axes = open_axes(Frame.of(base if others is None else others), direction)
        known = None if others is None else measure(axes, others)
        return cls(axes, measure(axes, base), measure(axes, cartoons.seen()), known)

    def of(self, faces: Faces) -> Places:
        """Place a set of pictures."""
        return self.places(measure(self.axes, faces))

    def places(self, features: Sequence[Features]) -> Places:
        """Place a set by its features on each axis."""
        found = [scale.place(rows) for scale, rows in zip(self._scales, features, strict=True)]
        return Places(
            np.array([place.value for place in found]), np.stack([place.pseudo_values() for place in found], axis=1)
        )


def measure(axes: Sequence[Axis], faces: Faces) -> list[Features]:
    """Features of a set on each axis."""
    return [axis.features(faces) for axis in axes]
