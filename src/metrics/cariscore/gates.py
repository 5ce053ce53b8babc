"""What a blend must not have lost or stolen to be ranked at all.

All look at the shape-free face and the landmarks, so that place, size and turn of a face in its picture do not matter.
Thresholds are round numbers between what the damage that each is there for has at most and clean blends have at least
(`experiments/cariscore/gates.py`); that of `faces` is for detectors that find no face in what is none.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ...errors import UserError
from ...faces import MIRRORED
from ..distances import without_twins
from .axis import Features, Floats
from .energy import distances
from .faces import Faces
from .frame import Frame
from .rendering import PART_SHRINKAGE, RenderingScale, whitening
from .shape import normalised_shape
from .texture import PLACES

LOOK_PX = 16  # of the shape-free luminance in a look
MIN_RANK, MIN_YAW, MIN_FOUND, MIN_SPREAD, MIN_DISTANCE, MIN_EVENNESS = 0.7, 0.0, 0.8, 0.5, 0.5, 0.1
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Gate:
    """One check of a blend."""

    name: str
    value: float | None  # measured; None where it could not be
    threshold: float  # smallest value that passes
    reason: str = ""  # why it could not be measured

    @property
    def passed(self) -> bool | None:
        """Whether the blend passes; None where that is not known."""
        return None if self.value is None else self.value >= self.threshold

    def as_dict(self) -> dict[str, Any]:
        """Value, threshold, reason and passed, for a file where the name is the key."""
        facts = asdict(self) | {"passed": self.passed}
        del facts["name"]
        return facts


class Looks:
    """What each face looks like: its landmarks, and its shape-free luminance less brightness and contrast."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    @torch.inference_mode()
    def __call__(self, faces: Faces) -> Floats:
        """Measure faces: `[N, 136 + 256]`."""
        flat = self.frame.warp(faces)
        luma = torch.einsum("nchw,c->nhw", flat, torch.tensor(LUMA, device=flat.device))[:, None]
        small = F.interpolate(luma, (LOOK_PX, LOOK_PX), mode="bilinear", antialias=True).flatten(1)
        small = F.layer_norm(small, small.shape[1:], eps=1e-4) / LOOK_PX
        marks = self.frame.placed(faces).marks
        shape = normalised_shape(marks).flatten(1) / np.sqrt(2 * marks.shape[1])
        return np.asarray(torch.cat([shape, small], dim=1).double().cpu().numpy())

    def yaw(self, faces: Faces) -> Floats:
        """How far each face is turned: the nose's place between the jaw's ends, `[N]`; NaN without a face."""
        marks = normalised_shape(faces.marks)
        turn = marks[:, 27:36, 0].mean(dim=1) - marks[:, [1, 2, 14, 15], 0].mean(dim=1)
        return np.asarray(torch.where(faces.found, turn, torch.nan).double().cpu().numpy())


def correspondence(base: Floats, blend: Floats, threshold: float = MIN_RANK) -> Gate:
    """How well a blend's faces are recognised as the base's of the same codes: the mean rank of the right one.

    What the style does to all faces alike is taken out; 1 is always first, 0.5 chance. Both are looks `[N, D]`, or
    what a recogniser says of the faces.
    """
    if base.shape != blend.shape or len(base) < 2:
        raise UserError(f"correspondence: looks of the same codes are needed, not {len(base)} and {len(blend)}")
    whiten = whitening(base.astype(np.float32), blend.astype(np.float32))
    a, b = ((x - x.mean(axis=0)) @ whiten for x in (base, blend))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    likeness = b @ a.T
    own = np.diag(likeness)[:, None]
    lower = (likeness < own).sum(axis=1) + 0.5 * ((likeness == own).sum(axis=1) - 1)
    return Gate("correspondence", float(lower.mean() / (len(a) - 1)), threshold)


def same_turn(base: Floats, blend: Floats, threshold: float = MIN_YAW) -> Gate:
    """Correlation of the faces' turn, yaw `[N]` (NaN without a face), with the base's: below 0 for mirror images."""
    both = np.isfinite(base) & np.isfinite(blend)
    if both.sum() < 3 or base[both].std() == 0 or blend[both].std() == 0:
        return Gate("turn", None, threshold, "too few faces were found, or all look the same way")
    return Gate("turn", float(np.corrcoef(base[both], blend[both])[0, 1]), threshold)


class Evenness:
    """Whether a blend's rendering is of one kind all over the face: composites of person and cartoon are not.

    It is told by features of rendering (`RenderingAxis`) of base and cartoons.
    """

    def __init__(self, base: Features, target: Features) -> None:
        self._scales = []
        for b, t in zip(_by_place(base), _by_place(target), strict=True):
            whiten = whitening(b, t, least=PART_SHRINKAGE)
            self._scales.append(RenderingScale(whiten, b @ whiten, t @ whiten, kept=True))

    def __call__(self, blend: Features, threshold: float = MIN_EVENNESS) -> Gate:
        """Measure a blend: 1 less the range of R over the places of the face."""
        kept = [scale.place(rows).value for scale, rows in zip(self._scales, _by_place(blend), strict=True)]
        return Gate("evenness", 1 - (max(kept) - min(kept)), threshold)


def _by_place(rows: Features) -> list[Features]:
    return [rows[:, place::PLACES] for place in range(PLACES)]


def faces_found(blend: float, base: float, threshold: float = MIN_FOUND) -> Gate:
    """Share of a blend's pictures with a face, over the base's share."""
    if base == 0:
        return Gate("faces", None, threshold, "no face was found in the base network's pictures")
    return Gate("faces", blend / base, threshold)


def spread(base: Floats, blend: Floats, threshold: float = MIN_SPREAD) -> Gate:
    """How far each face is from the one nearest to it, over the same in the base: 0 for a few faces repeated.

    Both are looks `[N, D]` of the same codes.
    """
    reference = _nearest(distances(base, base))
    if reference == 0:
        return Gate("spread", None, threshold, "the base network's pictures are all alike")
    return Gate("spread", _nearest(distances(blend, blend)) / reference, threshold)


def memorisation(blend: Floats, training: Floats, mirrored: Floats, threshold: float = MIN_DISTANCE) -> Gate:
    """How far each face is from the nearest training picture or its mirror image, over the same among these.

    All are looks `[N, D]`. Copies are near 0, new faces near 1 or above.
    """
    if len(training) < 2:
        return Gate("memorisation", None, threshold, "the training pictures are not known")
    among = distances(training, training)
    kept = without_twins(torch.from_numpy(among))
    if len(kept) < 2:
        return Gate("memorisation", None, threshold, "the training pictures are all alike")
    reference = _nearest(among[np.ix_(kept, kept)])
    nearest = np.minimum(distances(blend, training).min(axis=1), distances(blend, mirrored).min(axis=1))
    return Gate("memorisation", float(np.median(nearest)) / reference, threshold)


def mirrored(faces: Faces) -> Faces:
    """Mirror images with their landmarks."""
    marks = faces.marks[:, MIRRORED]
    return Faces(faces.images.flip(3), torch.stack([1 - marks[..., 0], marks[..., 1]], dim=2), faces.found)


def _nearest(matrix: Floats) -> float:
    matrix = matrix.copy()
    np.fill_diagonal(matrix, np.inf)
    return float(np.median(matrix.min(axis=1)))
