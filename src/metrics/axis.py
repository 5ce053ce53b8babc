"""One axis between two sets of features: 0 where the first is, 1 where the second is, on held-out pictures.

A linear discriminant with a shrunk covariance (Ledoit and Wolf 2004), fitted in folds. With more features than pictures
a discriminant separates the pictures that it was fitted on better than new ones. So its ends are placed by pictures
that each fold has not seen (cross-fitting); then means of new pictures of both kinds are 0 and 1 without bias.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

FOLDS = 5
MIN_ANCHOR = 4  # pictures of each set
MIN_SHRINKAGE = 0.01
MIN_Z = 2.0  # separation of the sets in standard errors

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Direction from base (0) to fine-tuned (1) in one band, fitted once a fold.

    Attributes:
        weight: `[K, D]`, fold k's is fitted without the pictures of fold k.
        offset: `[K]`, added to the projection.
        auc: how well held-out pictures are told apart, 0.5 (not at all) to 1.
        paired: numbers of pictures whose folds are known: the anchors' own.
        seed: of the folds.
    """

    weight: Floats
    offset: Floats
    auc: float
    paired: frozenset[int]
    seed: int

    def project(self, features: NDArray[np.float32]) -> Floats:
        """Place of each picture on the axis `[N]`: 0 where base is, 1 where fine-tuned is, not clipped.

        As many pictures as an anchor has are taken as pictures of the same codes, and each is projected by the one
        fold that has not seen its codes; other numbers are projected by the mean of the folds.
        """
        places = features.astype(np.float64) @ self.weight.T + self.offset
        if len(places) not in self.paired:
            return places.mean(axis=1)
        return places[np.arange(len(places)), _folds(len(places), len(self.offset), self.seed)]


def fit_axis(base: NDArray[np.float32], finetuned: NDArray[np.float32], band: str, seed: int) -> Axis:
    """Fit one axis in folds, and place its ends where held-out pictures of base and fine-tuned are.

    Args:
        base: features `[N, D]`.
        finetuned: features `[M, D]`.
        band: its name, for messages.
        seed: of the folds.

    Raises:
        UserError: for too few pictures, or two sets that cannot be told apart on held-out pictures.
    """
    check_rows(base, "base")
    check_rows(finetuned, "finetuned")
    a, b = base.astype(np.float64), finetuned.astype(np.float64)
    count = min(FOLDS, len(a) // 2, len(b) // 2)
    fold_a, fold_b = _folds(len(a), count, seed), _folds(len(b), count, seed)
    weights, offsets = [], []
    held_a, held_b = np.empty(len(a)), np.empty(len(b))
    for k in range(count):
        weight, offset = _discriminant(a[fold_a != k], b[fold_b != k])
        held_a[fold_a == k] = a[fold_a == k] @ weight + offset
        held_b[fold_b == k] = b[fold_b == k] @ weight + offset
        weights.append(weight)
        offsets.append(offset)
    zero, gap = held_a.mean(), held_b.mean() - held_a.mean()
    error = np.sqrt(held_a.var(ddof=1) / len(a) + held_b.var(ddof=1) / len(b))
    if not gap > MIN_Z * error:
        raise UserError(
            f"finetuned: its {band} cannot be told from the base's, so blends of the two cannot be scored; "
            "train longer or give more pictures"
        )
    below = (held_b[:, None] > held_a).mean() + 0.5 * (held_b[:, None] == held_a).mean()
    offset = (np.array(offsets) - zero) / gap
    return Axis(np.stack(weights) / gap, offset, float(below), frozenset({len(a), len(b)}), seed)


def _discriminant(a: Floats, b: Floats) -> tuple[Floats, float]:
    """Linear discriminant of two sets with a covariance shrunk as in Ledoit and Wolf (2004, Eq. 14).

    Returns:
        Direction `[D]` and offset: the sets' means are at -1/2 and 1/2.
    """
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    rest = np.concatenate([a - mean_a, b - mean_b])
    spread = np.sqrt((rest**2).mean(axis=0))
    scale = 1 / np.sqrt(spread**2 + 1e-4 * np.mean(spread**2) + 1e-12)
    rest *= scale
    n, d = rest.shape
    covariance = rest.T @ rest / n
    level = np.trace(covariance) / d
    distance = np.sum(covariance**2) - d * level**2
    noise = np.sum(np.sum(rest**2, axis=1) ** 2) / n**2 - np.sum(covariance**2) / n
    shrinkage = min(max(noise / distance, MIN_SHRINKAGE), 1.0) if distance > 0 else 1.0
    shrunk = (1 - shrinkage) * covariance + shrinkage * level * np.eye(d)
    weight = np.linalg.solve(shrunk + 1e-9 * np.eye(d), (mean_b - mean_a) * scale) * scale
    weight /= max(float(weight @ (mean_b - mean_a)), 1e-300)
    return weight, -float(weight @ (mean_a + mean_b)) / 2


def check_rows(features: NDArray[np.float32], name: str) -> None:
    """Refuse fewer pictures than an axis needs.

    Raises:
        UserError: naming the set.
    """
    if len(features) < MIN_ANCHOR:
        raise UserError(f"{name}: {len(features)} pictures; at least {MIN_ANCHOR} are needed to fit the score's axes")


def _folds(count: int, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each of `count` pictures: balanced, and the same for all sets with as many pictures."""
    return np.random.default_rng([seed, count]).permutation(count) % folds
