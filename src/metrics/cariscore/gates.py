"""What a blend must not have lost or stolen to be ranked at all.

All but `place` and `ghosting` look at the shape-free face and the landmarks, so that place, size and turn of a face in
its picture do not matter.
Thresholds are round numbers between what the damage that each is there for has at most and clean blends have at least
(`experiments/cariscore/gates.py`); that of `faces` is for detectors that find no face in what is none.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserError
from ...faces import MIRRORED
from ..distances import without_twins
from .axis import Features, Floats
from .energy import distances
from .faces import Faces
from .frame import BATCH, Frame
from .rendering import PART_SHRINKAGE, RenderingScale, whitening
from .shape import normalised_shape
from .texture import PLACES

LOOK_PX = 16  # of the shape-free luminance in a look
THUMBNAIL_PX = 16  # of the luminance of a whole picture
MIN_RANK, MIN_YAW, MIN_FOUND, MIN_SPREAD, MIN_DISTANCE, MIN_EVENNESS = 0.7, 0.0, 0.8, 0.5, 0.5, 0.1
MIN_PLACE, MIN_SYMMETRY, MIN_REST = 0.9, 0.75, 0.2
MIN_FACES = 4  # that tell a spread
SURE = 9.0  # squared length of a mean displacement over what chance gives it: three standard errors
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


def pose(faces: Faces) -> Floats:
    """How each face is turned (the nose's place between the jaw's ends), and where it is in its picture.

    Returned is `[N, 4]`: the turn; x, y of the landmarks' mean, and their rms radius about it, in parts of the
    picture's side. NaN without a face.
    """
    marks, middle = normalised_shape(faces.marks), faces.marks.mean(dim=1)
    turn = marks[:, 27:36, 0].mean(dim=1) - marks[:, [1, 2, 14, 15], 0].mean(dim=1)
    radius = (faces.marks - middle[:, None]).square().sum(dim=2).mean(dim=1).sqrt()
    rows = torch.cat([turn[:, None], middle, radius[:, None]], dim=1)
    return np.asarray(torch.where(faces.found[:, None], rows, torch.nan).double().cpu().numpy())


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
    """Correlation of the faces' turn with the base's, both by their pose `[N, 4]`: below 0 for mirror images."""
    both = np.isfinite(base[:, 0]) & np.isfinite(blend[:, 0])
    a, b = base[both, 0], blend[both, 0]
    if both.sum() < 3 or a.std() == 0 or b.std() == 0:
        return Gate("turn", None, threshold, "too few faces were found, or all look the same way")
    return Gate("turn", float(np.corrcoef(a, b)[0, 1]), threshold)


def same_place(base: Floats, target: Floats, blend: Floats, threshold: float = MIN_PLACE) -> Gate:
    """Whether the faces are, on average, where alignment has put them, so that they can be pasted back.

    All are poses `[N, 4]`, base and blend of the same codes. 1 less the distance, in radii of the base's faces, of the
    blend's mean place from the nearest one between the base's and the cartoons'.
    """
    both = np.isfinite(base[:, 0]) & np.isfinite(blend[:, 0])
    if not both.any():
        return Gate("place", None, threshold, "no face was found")
    start, end, place = (np.nanmean(rows[:, 1:3], axis=0) for rows in (base[both], target, blend[both]))
    rest = _beyond(place - start, end - start)
    return Gate("place", 1 - float(np.linalg.norm(rest) / base[both, 3].mean()), threshold)


def _beyond(move: Floats, way: Floats) -> Floats:
    """What is left of a move when as much of a way is taken as leaves least."""
    return np.asarray(move - way * np.clip(move @ way / max(float(way @ way), 1e-12), 0, 1))


class Evenness:
    """Whether a blend's rendering is of one kind all over the face: composites of person and cartoon are not.

    It is told by features of rendering (`RenderingAxis`) of base, cartoons, and the base's pictures of other codes, see
    `Axis.between`.
    """

    def __init__(self, base: Features, target: Features, others: Features) -> None:
        self._scales = []
        for b, t, o in zip(_by_place(base), _by_place(target), _by_place(others), strict=True):
            whiten = whitening(o, t, least=PART_SHRINKAGE)
            self._scales.append(RenderingScale(whiten, b @ whiten, t @ whiten, kept=True))

    def __call__(self, blend: Features, threshold: float = MIN_EVENNESS) -> Gate:
        """Measure a blend: 1 less the range of R over the places of the face."""
        kept = [scale.place(rows).value for scale, rows in zip(self._scales, _by_place(blend), strict=True)]
        return Gate("evenness", 1 - (max(kept) - min(kept)), threshold)


def _by_place(rows: Features) -> list[Features]:
    return [rows[:, place::PLACES] for place in range(PLACES)]


def symmetry(base: Features, target: Features, blend: Features, threshold: float = MIN_SYMMETRY) -> Gate:
    """How far the mean change of shape is the same on both sides of the face: swirled and crooked faces are not.

    Shapes are those of `ShapeAxis`, `[N, 136]` with NaN where no face was found; base and blend of the same codes.
    Crooked is what is the opposite in the mirror image, less the direction in which the base's faces differ most by it
    (a turn of the head), and less what the cartoons' own mean shape has of it. The value is 1 less its square, beyond
    chance, over that of the whole change, or of the cartoons' change where that is more.
    """
    known = np.isfinite(base[:, 0]) & np.isfinite(blend[:, 0])
    if known.sum() < MIN_FACES:
        return Gate("symmetry", None, threshold, "too few faces were found")
    before, moved = base[known].astype(np.float64), (blend[known] - base[known]).astype(np.float64)
    reference = np.nanmean(target, axis=0) - before.mean(axis=0)
    turn = np.linalg.svd(_crooked(before - before.mean(axis=0)), full_matrices=False)[2][:1]
    own, crooked = (rows - rows @ turn.T @ turn for rows in (_crooked(reference[None]), _crooked(moved)))
    across = float(np.square(_beyond(crooked.mean(axis=0), own[0])).sum())
    chance = float(crooked.var(axis=0, ddof=1).sum()) / len(crooked)
    whole = max(float(np.square(change).sum()) for change in (moved.mean(axis=0), reference))
    return Gate("symmetry", 1 - (across - chance) / whole if across > SURE * chance else 1.0, threshold)


def _crooked(shapes: Floats) -> Floats:
    """Of displacements of normalised shapes `[N, 136]` what is the opposite in the mirror image."""
    points = shapes.reshape(len(shapes), -1, 2)
    return np.asarray((points - points[:, MIRRORED] * [-1, 1]) / 2).reshape(shapes.shape)


@torch.inference_mode()
def thumbnails(images: Tensor) -> Floats:
    """Luminance of pictures, uint8 `[N, 3, H, W]`, reduced, each less its mean, in units of white: `[N, 256]`."""
    weights = torch.tensor(LUMA, device=images.device) / 255
    small = [
        F.adaptive_avg_pool2d(torch.einsum("nchw,c->nhw", part.float(), weights), THUMBNAIL_PX).flatten(1)
        for part in images.split(BATCH)
    ]
    rows = torch.cat(small).double().cpu().numpy()
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def ghosting(base: Floats, blend: Floats, unblended: Floats | None, threshold: float = MIN_REST) -> Gate:
    """How far a blend's pictures are from an average of the base's and the un-blended network's: ghosts of both are 0.

    All are thumbnails `[N, D]` of the same codes. What is left when a blend's are fitted by both, with any weights
    above 0, over what is left when they are fitted by the better one of the two.
    """
    if unblended is None:
        reason = "the un-blended network's pictures are not known, or are averaged in on purpose (blend.width)"
        return Gate("ghosting", None, threshold, reason)
    if not base.shape == blend.shape == unblended.shape:
        counts = [len(rows) for rows in (base, blend, unblended)]
        raise UserError(f"ghosting: thumbnails of the same codes are needed, not of {counts}")
    both, x = np.stack([base.ravel(), unblended.ravel()], axis=1), blend.ravel()
    weights, left = _fit(both, x)
    alone = min(_fit(column[:, None], x)[1] for column in both.T)
    return Gate("ghosting", left / alone if weights.min() > 0 and alone > 0 else 1.0, threshold)


def _fit(columns: Floats, x: Floats) -> tuple[Floats, float]:
    """Weights of columns `[K, C]` that leave least of x `[K]`, and the square of what they leave."""
    weights, *_ = np.linalg.lstsq(columns, x, rcond=None)
    return np.asarray(weights), float(np.square(x - columns @ weights).sum())


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
