"""S: how much of the cartoons' shape a blend has adopted, or how much of the base's it has kept.

68 landmarks, each face's own place, size and roll taken out (Procrustes: Gower 1975; Cootes et al., active appearance
models, PAMI 2001). The mean displacement u of a blend's faces from the base's faces of the same codes is compared with
v, that of the training cartoons: by its share along v while it is no longer than v, by its direction alone beyond.
Plain coordinates: a whitened shape space weights up the directions in which a detector is biased.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from .axis import Features, Floats, Place
from .faces import EYES, Faces

MIN_DISTANCE = 3.0  # of the mean shapes in standard errors


class ShapeAxis:
    """Shape: the cartoons', or the base's where it is to be `kept` (blends whose coarse layers are the base's)."""

    name = "s"

    def __init__(self, *, kept: bool = False) -> None:
        self.kept = kept
        self.title = "base shape kept" if kept else "cartoon shape adopted"

    def features(self, faces: Faces) -> Features:
        """Normalised landmarks `[N, 136]`; NaN where no face was found."""
        rows = normalised_shape(faces.marks).flatten(1)
        return torch.where(faces.found[:, None], rows, torch.nan).cpu().numpy()

    def between(self, base: Features, target: Features, others: Features | None = None) -> "ShapeScale":
        """Fix v, a difference of means: the others are not asked."""
        b, t = (_seen(rows, name) for rows, name in ((base, "base"), (target, "cartoons")))
        scale = ShapeScale(_completed(base, b.mean(axis=0)), t.mean(axis=0), _error(t), self.kept)
        length, noise = scale.reference
        if length <= MIN_DISTANCE * noise:
            raise UserError("cartoons: their mean shape cannot be told from the base's, so shape adopted has no scale")
        return scale


@dataclass(frozen=True)
class ShapeScale:
    """The displacement from base to cartoons."""

    base: Floats  # shapes of the base's faces, one without a face replaced by their mean `[N, 136]`
    target: Floats  # the cartoons' mean shape
    target_error: float  # squared standard error of that mean, summed over coordinates
    kept: bool  # see `ShapeAxis`

    @property
    def reference(self) -> tuple[float, float]:
        """Squared length of v, and what chance alone would make it."""
        noise = self.target_error + _error(self.base)
        return float(np.square(self.target - self.base.mean(axis=0)).sum()) - noise, noise

    def place(self, features: Features) -> Place:
        """Place a set; a face that was not found has adopted nothing."""
        x = features.astype(np.float64)
        paired = len(x) == len(self.base)
        moved = np.nan_to_num(x - (self.base if paired else self.base.mean(axis=0)))
        whole = self._value(_Means.of(moved), _Means.of(self.base))
        base = _Means.without_each(self.base) if paired else _Means.of(self.base)
        return Place(float(whole[0]), self._value(_Means.without_each(moved), base))

    def _value(self, moved: "_Means", base: "_Means") -> Floats:
        """S from means over codes `[K, 136]`; squared lengths less what chance adds."""
        v = self.target - base.mean
        long = np.maximum(np.square(v).sum(axis=1) - base.error - self.target_error, 1e-12)
        move = np.maximum(np.square(moved.mean).sum(axis=1) - moved.error, 0)
        ratio = np.sqrt(move / long)
        if self.kept:
            return np.asarray(1 - ratio)
        return np.asarray((moved.mean * v).sum(axis=1) / long / np.maximum(ratio, 1))


@dataclass(frozen=True)
class _Means:
    """Means of rows `[K, D]`, and their squared standard errors summed over columns `[K]`."""

    mean: Floats
    error: Floats

    @classmethod
    def of(cls, rows: Floats) -> "_Means":
        return cls(rows.mean(axis=0, keepdims=True), np.array([_error(rows)]))

    @classmethod
    def without_each(cls, rows: Floats) -> "_Means":
        n = len(rows) - 1
        means = (rows.sum(axis=0) - rows) / n
        squares = np.square(rows).sum(axis=1)
        spread = (squares.sum() - squares) - n * np.square(means).sum(axis=1)
        return cls(means, spread / max(n - 1, 1) / n)


def normalised_shape(marks: Tensor) -> Tensor:
    """Landmarks `[N, 68, 2]` about their mean, at rms radius 1, the line through the eyes level."""
    centred = marks - marks.mean(dim=1, keepdim=True)
    left, right = (marks[:, eye].mean(dim=1) for eye in EYES)
    x = torch.nn.functional.normalize(right - left, dim=1)
    turn = torch.stack([x, torch.stack([-x[:, 1], x[:, 0]], dim=1)], dim=2)
    radius = centred.square().sum(dim=2).mean(dim=1).sqrt()
    return centred @ turn / radius.clamp(min=1e-6).view(-1, 1, 1)


def _seen(rows: Features, name: str) -> Floats:
    seen = rows[np.isfinite(rows[:, 0])].astype(np.float64)
    if len(seen) < 4:
        raise UserError(f"{name}: faces were found in {len(seen)} of {len(rows)} pictures, at least 4 are needed")
    return seen


def _completed(rows: Features, mean: Floats) -> Floats:
    return np.where(np.isfinite(rows), rows, mean).astype(np.float64)


def _error(rows: Floats) -> float:
    return float(rows.var(axis=0, ddof=1).sum() / len(rows))
