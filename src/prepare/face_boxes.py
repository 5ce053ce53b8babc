"""Boxes of faces in a picture: what a detector of drawn faces gives, checked and put in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError

#: Boxes that share more than this part of the smaller one are of one face.
MAX_SHARED = 0.5


class FaceDetector(Protocol):
    """What finds drawn faces; a plug-in (`faces.detector=package.module:function`) is any callable of this form."""

    # score from which on a face counts when `faces.min_score` is null, or None for no limit
    default_min_score: float | None

    def __call__(self, image: NDArray[np.uint8], /) -> ArrayLike:
        """Find the faces of a picture uint8 RGB `[H, W, 3]`; called from several threads at once.

        Returned are `[N, 5]`: left, top, right, bottom in px of the picture, and a score, larger for surer.
        """

    def identity(self) -> dict[str, Any]:
        """Plain data that changes when other faces would be found: part of the manifest's choices."""


@dataclass(frozen=True)
class FaceBox:
    """A face in a picture."""

    left: float  # px
    top: float  # px
    right: float  # px, exclusive
    bottom: float  # px, exclusive
    score: float  # the detector's

    @property
    def side_px(self) -> float:
        """The longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    def numbers(self) -> list[float]:
        """Left, top, right, bottom, rounded for a file."""
        return [round(v, 2) for v in (self.left, self.top, self.right, self.bottom)]


def checked_boxes(found: ArrayLike, width: int, height: int, label: str) -> list[FaceBox]:
    """Check what a detector gave: boxes within a `width` x `height` picture, one a face, from left to right.

    `found` is `[N, 5]` as `FaceDetector` says, or anything of no length; `label` names the detector in messages.
    """
    try:
        table = np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{label}: gave no table of numbers ({error}); boxes are [left, top, right, bottom, score]"
        ) from (error)
    if table.size == 0:
        return []
    if table.ndim != 2 or table.shape[1] != 5:
        raise UserError(
            f"{label}: gave an array of shape {list(table.shape)}; boxes are [left, top, right, bottom, score]"
        )
    if not np.isfinite(table).all() or (table[:, 2:4] <= table[:, :2]).any():
        raise UserError(f"{label}: gave a box that is none; boxes are [left, top, right, bottom, score] in px")
    table[:, 0:4:2] = table[:, 0:4:2].clip(0, width)
    table[:, 1:4:2] = table[:, 1:4:2].clip(0, height)
    boxes = [FaceBox(*map(float, row)) for row in table if row[2] - row[0] >= 1 and row[3] - row[1] >= 1]
    return sorted(_one_a_face(boxes), key=lambda b: (b.left, b.top, b.right, b.bottom))


def _one_a_face(boxes: Sequence[FaceBox]) -> list[FaceBox]:
    """Of boxes that lie over each other the one with the highest score, of equals the largest."""
    kept: list[FaceBox] = []
    for box in sorted(boxes, key=lambda b: (-b.score, -b.side_px, b.left, b.top)):
        if all(_shared(box, other) <= MAX_SHARED for other in kept):
            kept.append(box)
    return kept


def _shared(a: FaceBox, b: FaceBox) -> float:
    """Area that two boxes share, over the smaller one's."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in (a, b)]
    return max(across, 0.0) * max(down, 0.0) / min(areas)
