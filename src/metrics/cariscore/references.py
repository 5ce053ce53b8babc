"""What blends are measured against, as arrays: references once, then each blend from its own pictures alone.

`References` are the features of base pictures and training cartoons; they can be kept in a file and handed to other
processes. `Judge` measures blends against them: pictures come in parts, places and gates follow when all are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...faces import FaceRecogniser
from .axis import Axis, Features, Floats
from .faces import Faces
from .frame import Frame
from .gates import (
    Evenness,
    Gate,
    Looks,
    correspondence,
    faces_found,
    ghosting,
    memorisation,
    mirrored,
    pose,
    same_place,
    same_turn,
    spread,
    symmetry,
    thumbnails,
)
from .recognition import described
from .score import CariScore, measure, open_axes

_OTHERS = ("looks", "persons", "pose", "found", "thumbnails")  # of a set's rows, besides those of the axes
_OF_CARTOONS = ("looks", "mirrored", "pose")


@dataclass(frozen=True)
class Rows:
    """Features of pictures, a row a picture."""

    axes: tuple[Features, ...]  # on each axis of the score
    looks: Floats  # see `Looks`
    persons: Floats  # see `described`
    pose: Floats  # see `gates.pose`
    found: Floats  # whether there is a face
    thumbnails: Floats  # see `gates.thumbnails`

    @classmethod
    def joined(cls, parts: Sequence["Rows"]) -> "Rows":
        """Several parts of one set, in order."""
        axes = tuple(np.concatenate(features) for features in zip(*(part.axes for part in parts), strict=True))
        return cls(axes, *(np.concatenate([getattr(part, name) for part in parts]) for name in _OTHERS))

    def first(self, count: int) -> "Rows":
        """Of the first pictures alone."""
        return Rows(tuple(rows[:count] for rows in self.axes), *(getattr(self, name)[:count] for name in _OTHERS))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name, of which `from_arrays` makes an equal object; float32, as it was measured."""
        return {
            **{str(i): rows for i, rows in enumerate(self.axes)},
            **{name: getattr(self, name).astype(np.float32) for name in _OTHERS},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Rows":
        """Take what `arrays` gave."""
        axes = tuple(arrays[str(i)] for i in range(len(arrays) - len(_OTHERS)))
        return cls(axes, *(arrays[name].astype(np.float64) for name in _OTHERS))


@dataclass(frozen=True)
class References:
    """Features of both references."""

    frame: Frame  # of the mean face of the base's pictures of other codes
    direction: str  # see `open_axes`
    base: Rows  # the base's pictures
    others: tuple[Features, ...]  # features of the base's pictures of other codes, see `Axis.between`
    cartoons: tuple[Features, ...]  # the training cartoons' features on each axis, of those with a face
    looks: Floats  # the training cartoons' `[M, D]`, of none where these are not known
    mirrored: Floats  # of their mirror images
    pose: Floats  # of their faces `[K, 4]`

    @classmethod
    def of(
        cls,
        base: Faces,
        cartoons: Faces,
        others: Faces,
        direction: str,
        *,
        trained_on: bool = True,
        recogniser: FaceRecogniser | None = None,
    ) -> "References":
        """Measure both.

        Args:
            base: the base's pictures with their landmarks.
            cartoons: the training cartoons' with theirs.
            others: the base's pictures of other codes, always the same: they fix the frame and the whitening.
            direction: see `open_axes`.
            trained_on: whether the cartoons are the training pictures, which a blend may have memorised.
            recogniser: tells whom a face shows; None to go by its looks.
        """
        frame = Frame.of(others)
        axes, looks = open_axes(frame, direction), Looks(frame)
        seen = cartoons.seen()
        target = tuple(measure(axes, seen))
        known = looks(cartoons), looks(mirrored(cartoons))
        if not trained_on:
            known = known[0][:0], known[1][:0]
        rows = _rows(axes, looks, base, recogniser)
        return cls(frame, direction, rows, tuple(measure(axes, others)), target, *known, pose(seen))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name, of which `from_arrays` makes an equal object."""
        base = {f"base.{name}": rows for name, rows in self.base.arrays().items()}
        cartoons = {f"cartoons.{i}": rows for i, rows in enumerate(self.cartoons)}
        others = {f"others.{i}": rows for i, rows in enumerate(self.others)}
        frame = {"points": self.frame.points.numpy(), "usual": self.frame.usual.numpy()}
        settings = {"px": np.array(self.frame.px), "direction": np.array(self.direction)}
        known = {name: getattr(self, name) for name in _OF_CARTOONS}
        return {**settings, **frame, **base, **others, **cartoons, **known}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "References":
        """Take what `arrays` gave."""
        frame = Frame(int(arrays["px"]), *(torch.from_numpy(arrays[name]) for name in ("points", "usual")))
        direction = str(arrays["direction"])
        named = {name.removeprefix("base."): rows for name, rows in arrays.items() if name.startswith("base.")}
        base = Rows.from_arrays(named)
        others, cartoons = (
            tuple(arrays[f"{name}.{i}"] for i in range(len(base.axes))) for name in ("others", "cartoons")
        )
        return cls(frame, direction, base, others, cartoons, *(arrays[name] for name in _OF_CARTOONS))

    def first(self, codes: int) -> "References":
        """With the first of the base's codes alone."""
        return replace(self, base=self.base.first(codes))


@dataclass(frozen=True)
class Judged:
    """What was found about a blend."""

    pseudo: Floats  # its jackknife pseudo-values `[N, A]`, see `Places`
    found: float  # part of its pictures with a face
    gates: list[Gate]  # of the blend


class Judge:
    """Measures blends of the base's codes.

    Args:
        references: what they are measured against.
        recogniser: the one that they were made with.

    Raises:
        UserError: when these cannot be told apart on an axis.
    """

    def __init__(self, references: References, recogniser: FaceRecogniser | None = None) -> None:
        self._references, self._recogniser = references, recogniser
        self.axes = open_axes(references.frame, references.direction)
        self._looks = Looks(references.frame)
        self._score = CariScore(self.axes, references.base.axes, references.cartoons, references.others)
        names = [axis.name for axis in self.axes]
        self._shape, self._rendering = names.index("s"), names.index("r")
        sets = references.base.axes, references.cartoons, references.others
        self._evenness = Evenness(*(features[self._rendering] for features in sets))

    def rows(self, faces: Faces) -> Rows:
        """Measure some of a blend's pictures."""
        return _rows(self.axes, self._looks, faces, self._recogniser)

    def judged(self, rows: Rows, unblended: Floats | None = None) -> Judged:
        """Place a blend and check its gates.

        Args:
            rows: all of the blend's, in the order of the base's codes.
            unblended: thumbnails of its un-blended network's pictures of these codes; None where they are not known, or
                are averaged in on purpose.
        """
        base, found = self._references.base, float(rows.found.mean())
        before, target, after = (
            features[self._shape] for features in (base.axes, self._references.cartoons, rows.axes)
        )
        gates = [
            correspondence(base.looks, rows.looks)
            if self._recogniser is None
            else correspondence(base.persons, rows.persons),
            same_turn(base.pose, rows.pose),
            same_place(base.pose, self._references.pose, rows.pose),
            faces_found(found, float(base.found.mean())),
            spread(base.looks, rows.looks),
            memorisation(rows.looks, self._references.looks, self._references.mirrored),
            self._evenness(rows.axes[self._rendering]),
            symmetry(before, target, after),
            ghosting(base.thumbnails, rows.thumbnails, unblended),
        ]
        return Judged(self._score.places(rows.axes).pseudo, found, gates)


def _rows(axes: Sequence[Axis], looks: Looks, faces: Faces, recogniser: FaceRecogniser | None) -> Rows:
    found = faces.found.double().cpu().numpy()
    persons = described(faces, looks.frame, recogniser)
    return Rows(tuple(measure(axes, faces)), looks(faces), persons, pose(faces), found, thumbnails(faces.images))
