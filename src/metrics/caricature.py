"""CariScore of blended models: sqrt(S·R), structure adopted times rendering kept.

S asks whether the blend has the fine-tuned model's structure (low band of the face), R whether it kept the base model's
rendering (high band). Each band has one axis, a shrinkage linear discriminant (Ledoit and Wolf 2004) between base and
fine-tuned pictures, on which base is 0 and fine-tuned is 1. S is 0 for the base and R is 0 for the fine-tuned model by
construction, so the product's maximum lies between them. The anchors are the same for all blends that are compared.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError
from .bands import BandFeatures, band_features, check_extractor, check_pictures

FOLDS = 5
MIN_ANCHOR = 4  # base and fine-tuned pictures
MIN_SHRINKAGE = 0.01
MIN_Z = 2.0  # separation of the anchors in standard errors

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BlendScore:
    """Score of one blend.

    Attributes:
        label: which.
        s: structure adopted, [0, 1].
        r: rendering kept, [0, 1].
        cari: s^alpha · r^(1 - alpha), [0, 1].
        share: of the bootstrap replicates, how many this blend is the best of, [0, 1].
    """

    label: str
    s: float
    r: float
    cari: float
    share: float


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


@dataclass(frozen=True)
class Anchors:
    """Both axes.

    Attributes:
        low: structure.
        high: rendering.
        finetuned: name of the snapshot that is 1 on them; empty when there was one only.
    """

    low: Axis
    high: Axis
    finetuned: str


def fit_anchors(
    base: BandFeatures, finetuned: BandFeatures | Mapping[str, BandFeatures], *, seed: int = 0
) -> Anchors:
    """Fit both axes.

    Args:
        base: the base model's pictures.
        finetuned: the un-blended fine-tuned model's, or several snapshots' by name: the one whose low band is furthest
            from the base is taken. Pictures need not be of the base's codes, nor as many.
        seed: of the folds.

    Raises:
        UserError: for too few pictures, or models that cannot be told apart.
    """
    name = ""
    if isinstance(finetuned, Mapping):
        if not finetuned:
            raise UserError("finetuned: no snapshot given; at least one un-blended fine-tuned snapshot is needed")
        reach = {key: _separation(base.low, snapshot.low) for key, snapshot in finetuned.items()}
        name = max(sorted(reach), key=lambda key: reach[key])
        finetuned = finetuned[name]
    low = _fit_axis(base.low, finetuned.low, "structure (low band)", seed)
    high = _fit_axis(base.high, finetuned.high, "rendering (high band)", seed)
    return Anchors(low, high, name)


def score_blends(
    base: BandFeatures,
    finetuned: BandFeatures | Mapping[str, BandFeatures],
    blends: Mapping[str, BandFeatures],
    *,
    alpha: float = 0.5,
    seed: int = 0,
    num_bootstrap: int = 1000,
) -> list[BlendScore]:
    """Score blends from their features.

    Args:
        base: the base model's pictures.
        finetuned: the un-blended fine-tuned model's, or several snapshots' by name (see `fit_anchors`).
        blends: by label; those with the same number of pictures are taken as pictures of the same codes.
        alpha: weight of structure, between 0 and 1; 0.5 is sqrt(S·R).
        seed: of folds and bootstrap.
        num_bootstrap: replicates over codes, the same ones for all blends; the anchors are kept.

    Returns:
        The scores, best first.

    Raises:
        UserError: for settings or pictures that cannot be scored.
    """
    if not blends:
        raise UserError("blends: none given; at least one blend is needed to rank")
    if not 0 < alpha < 1:
        raise UserError(f"alpha={alpha}: must lie between 0 (rendering alone) and 1 (structure alone)")
    if num_bootstrap < 1:
        raise UserError(f"num_bootstrap={num_bootstrap}: at least 1 replicate is needed")
    anchors = fit_anchors(base, finetuned, seed=seed)
    labels = sorted(blends)
    places = [(anchors.low.project(blends[key].low), anchors.high.project(blends[key].high)) for key in labels]
    points = [_cari(low.mean(), high.mean(), alpha) for low, high in places]
    shares = _bootstrap([_replicates(low, high, alpha, num_bootstrap, seed) for low, high in places])
    scores = [
        BlendScore(key, float(s), float(r), float(cari), float(share))
        for key, (s, r, cari), share in zip(labels, points, shares, strict=True)
    ]
    return sorted(scores, key=lambda score: (-score.cari, score.label))


def rank_blends(
    base: Tensor,
    finetuned: Tensor | Mapping[str, Tensor],
    blends: Mapping[str, Tensor],
    *,
    extractor: str = "embedded",
    alpha: float = 0.5,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rank blended models by their pictures.

    Sets of different sizes in pixels are brought to the smallest of them first: sharpness must not tell them apart.

    Args:
        base: uint8 `[N, 3, H, W]` of the base model.
        finetuned: uint8 of the un-blended fine-tuned model, or several snapshots' by name; not paired with base.
        blends: uint8 by label, of common codes.
        extractor: which features; `embedded` is the only value.
        alpha: weight of structure, between 0 and 1.
        seed: of folds and bootstrap.

    Returns:
        `{label, s, r, cari, share}` for each blend, best first.

    Raises:
        UserError: for settings or pictures that cannot be scored.
    """
    check_extractor(extractor)
    snapshots = dict(finetuned) if isinstance(finetuned, Mapping) else {"": finetuned}
    named = {"base": base}
    named |= {f"finetuned {key}".strip(): images for key, images in snapshots.items()}
    named |= {f"blend {key}": images for key, images in blends.items()}
    for name, images in named.items():
        check_pictures(images, name)
    side = min(min(images.shape[2:]) for images in named.values())

    def features(images: Tensor) -> BandFeatures:
        return band_features(_shrink(images, side), extractor=extractor)

    scores = score_blends(
        features(base),
        {key: features(images) for key, images in snapshots.items()},
        {key: features(images) for key, images in blends.items()},
        alpha=alpha,
        seed=seed,
    )
    return [asdict(score) for score in scores]


def _shrink(images: Tensor, side: int) -> Tensor:
    """Uint8 pictures at `side` px: antialiased bilinear, rounded."""
    if images.shape[2:] == (side, side):
        return images
    parts = [
        F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).add_(0.5).to(torch.uint8)
        for part in images.cpu().split(64)
    ]
    return torch.cat(parts)


def _cari(low: Any, high: Any, alpha: float) -> tuple[Any, Any, Any]:
    """S, R and the score of mean places on the two axes."""
    s, r = np.clip(low, 0, 1), 1 - np.clip(high, 0, 1)
    return s, r, s**alpha * r ** (1 - alpha)


def _replicates(low: Floats, high: Floats, alpha: float, count: int, seed: int) -> Floats:
    """Scores `[count]` with the pictures drawn again; blends of as many pictures get the same draws."""
    n = len(low)
    draws = np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=count) / n
    return _cari(draws @ low, draws @ high, alpha)[2]


def _bootstrap(replicates: list[Floats]) -> Floats:
    """Share of replicates in which each blend is the best; ties are divided."""
    scores = np.stack(replicates)
    best = scores >= scores.max(axis=0)
    return (best / best.sum(axis=0)).mean(axis=1)


def _folds(count: int, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each of `count` pictures: balanced, and the same for all sets with as many pictures."""
    return np.random.default_rng([seed, count]).permutation(count) % folds


def _separation(base: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Squared distance of two sets' means in units of the base's spread, without the bias of small sets."""
    _check_rows(base, "base")
    _check_rows(other, "finetuned")
    a, b = base.astype(np.float64), other.astype(np.float64)
    spread = a.var(axis=0, ddof=1)
    square = (a.mean(axis=0) - b.mean(axis=0)) ** 2 - spread / len(a) - b.var(axis=0, ddof=1) / len(b)
    return float(np.sum(square / (spread + spread.mean() + 1e-12)))


def _check_rows(features: NDArray[np.float32], name: str) -> None:
    if len(features) < MIN_ANCHOR:
        raise UserError(f"{name}: {len(features)} pictures; at least {MIN_ANCHOR} are needed to fit the score's axes")


def _fit_axis(base: NDArray[np.float32], finetuned: NDArray[np.float32], band: str, seed: int) -> Axis:
    """Fit one axis in folds, and place its ends where held-out pictures of base and fine-tuned are."""
    _check_rows(base, "base")
    _check_rows(finetuned, "finetuned")
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
