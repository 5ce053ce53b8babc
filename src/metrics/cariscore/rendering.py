"""R: how much of the base's rendering a blend has kept, or how much of the cartoons' it has adopted.

Statistics of the shape-free face (`texture.py`), whitened part by part by their covariance within B and T (shrunk:
Ledoit and Wolf 2004). R = 1 less a distance from B in units of T's: 1 when the blend's faces are rendered as the
base's, 0 when they are as far from them as the cartoons are, in whatever direction, since damage is no rendering kept.
The distance is taken as a set (energy distance) and, a fifth of it, person by person (mean square of the difference to
the base's face of the same code): what befalls single pictures, such as droplets or another person, hardly moves a set.
"""

import numpy as np
import torch

from .axis import Features, Floats, Place
from .energy import between, between_paired, distances, energy, fixed, mean_of, mixture, ratio, within
from .faces import Faces
from .frame import Frame
from .texture import PARTS, PLACES, Texture

MIN_SHRINKAGE, PART_SHRINKAGE = 0.01, 0.1
PAIR_SHARE = 0.2  # of the distance that is taken person by person


class RenderingAxis:
    """Rendering: the base's where it is to be `kept`, or the cartoons' (blends whose fine layers are the cartoons')."""

    name = "r"

    def __init__(self, frame: Frame, *, kept: bool = True) -> None:
        self.kept = kept
        self.title = "base rendering kept" if kept else "cartoon rendering adopted"
        self._frame, self._texture = frame, Texture(frame)

    @torch.inference_mode()
    def features(self, faces: Faces) -> Features:
        """Statistics `[N, D]`; where no face was found the place of the base's mean face is looked at."""
        return self._texture(self._frame.warp(faces)).cpu().numpy()

    def between(self, base: Features, target: Features, others: Features | None = None) -> "RenderingScale":
        """Fix the whitening, by the others where there are any, and the distance from B to T."""
        whiten = whitening_by_part(base if others is None else others, target)
        b, t = base.astype(np.float64) @ whiten, target.astype(np.float64) @ whiten
        return RenderingScale(whiten, b, t, self.kept)


class RenderingScale:
    """The distance from base to cartoons, of whitened rows of both."""

    def __init__(self, whiten: Floats, base: Floats, target: Floats, kept: bool) -> None:
        self._whiten, self._base, self._target, self._kept = whiten, base, target, kept
        self._within_base, self._within_target = within(base), fixed(within(target))
        self._whole = energy(between(base, target), self._within_base, self._within_target)
        self._pair = mean_of(np.square(distances(base, target)).mean(axis=1))

    def place(self, features: Features) -> Place:
        """Place a set; as many rows as the base's are of the same codes."""
        x = features.astype(np.float64) @ self._whiten
        paired = len(x) == len(self._base)
        whole = self._whole if paired else fixed(self._whole)
        if not self._kept:
            far = ratio(energy(between(x, self._target), within(x), self._within_target), whole)
        elif not paired:
            far = ratio(energy(between(x, self._base), within(x), fixed(self._within_base)), whole)
        else:
            as_set = energy(between_paired(x, self._base), within(x), self._within_base)
            one_by_one = mean_of(np.square(x - self._base).sum(axis=1))
            far = mixture(ratio(as_set, whole), ratio(one_by_one, self._pair), PAIR_SHARE)
        return Place(1 - far.value, 1 - far.without)


def whitening_by_part(*sets: Features) -> Floats:
    """Whitening matrix `[D, D]` of statistics of texture, each part of the face by itself.

    The whole face at once would take thousands of pictures to know: a set of 64 has another scale than one of 1,024.
    """
    whole = np.zeros([sets[0].shape[1]] * 2)
    for part in PARTS:
        index = np.flatnonzero(np.isin(np.arange(len(whole)) % PLACES, part))
        whole[np.ix_(index, index)] = whitening(*(rows[:, index] for rows in sets), least=PART_SHRINKAGE)
    return whole


def whitening(*sets: Features, least: float = MIN_SHRINKAGE) -> Floats:
    """Whitening matrix `[D, D]` of the mean covariance within sets of rows `[N, D]`, shrunk (Ledoit and Wolf 2004).

    Sets count alike, however many rows they have; `least` is the smallest share of the shrinkage.
    """
    rest = [(rows - rows.mean(axis=0)).astype(np.float64) for rows in sets]
    variance = sum(rows.var(axis=0) for rows in rest) / len(rest)
    unit = 1 / np.sqrt(variance + 1e-4 * variance.mean() + 1e-12)
    rest = [rows * unit for rows in rest]
    covariances = [rows.T @ rows / len(rows) for rows in rest]
    covariance, d = sum(covariances) / len(rest), len(unit)
    level = float(np.trace(covariance)) / d
    distance = float(np.square(covariance).sum()) - d * level**2
    fourth = [float(np.square(np.square(rows).sum(axis=1)).mean()) for rows in rest]
    noise = (
        sum((m - float(np.square(c).sum())) / len(rows) for m, c, rows in zip(fourth, covariances, rest, strict=True))
        / len(rest) ** 2
    )
    share = min(max(noise / distance, least), 1)
    values, vectors = np.linalg.eigh((1 - share) * covariance + share * level * np.eye(d))
    return np.asarray(unit[:, None] * vectors / np.sqrt(values))
