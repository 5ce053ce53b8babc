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
from .axis import Axis, Floats, check_rows, fit_axis
from .bands import BandFeatures, band_features, check_extractor, check_pictures


@dataclass(frozen=True)
class BlendScore:
    """Score of one blend.

    Attributes:
        label: which.
        s: structure adopted, [0, 1].
        r: rendering kept, [0, 1].
        cari: s^alpha · r^(1 - alpha), [0, 1].
        share: of the bootstrap replicates, how many this blend is the best of, [0, 1].
        gap: 95 % bootstrap interval of the highest score less this one; with 0 inside, the two cannot be told apart.
    """

    label: str
    s: float
    r: float
    cari: float
    share: float
    gap: tuple[float, float]


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


def fit_anchors(base: BandFeatures, finetuned: BandFeatures | Mapping[str, BandFeatures], *, seed: int = 0) -> Anchors:
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
    low = fit_axis(base.low, finetuned.low, "structure (low band)", seed)
    high = fit_axis(base.high, finetuned.high, "rendering (high band)", seed)
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
    draws = {n: _draws(n, num_bootstrap, seed) for n in {len(low) for low, _ in places}}
    replicates = [_cari(draws[len(low)] @ low, draws[len(low)] @ high, alpha)[2] for low, high in places]
    shares, gaps = _bootstrap(replicates), _gaps(replicates, int(np.argmax([cari for _, _, cari in points])))
    scores = [
        BlendScore(key, float(s), float(r), float(cari), float(share), gap)
        for key, (s, r, cari), share, gap in zip(labels, points, shares, gaps, strict=True)
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
    return [{key: value for key, value in asdict(score).items() if key != "gap"} for score in scores]


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


def _draws(n: int, count: int, seed: int) -> Floats:
    """Weights of n pictures in `count` bootstrap replicates `[count, n]`, the same for all blends with n pictures."""
    return np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=count) / n


def _bootstrap(replicates: list[Floats]) -> Floats:
    """Share of replicates in which each blend is the best; ties are divided."""
    scores = np.stack(replicates)
    best = scores >= scores.max(axis=0)
    return (best / best.sum(axis=0)).mean(axis=1)


def _gaps(replicates: list[Floats], winner: int) -> list[tuple[float, float]]:
    """95 % intervals of the winner's score less each blend's."""
    scores = np.stack(replicates)
    low, high = np.quantile(scores[winner] - scores, [0.025, 0.975], axis=1)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _separation(base: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Squared distance of two sets' means in units of the base's spread, without the bias of small sets."""
    check_rows(base, "base")
    check_rows(other, "finetuned")
    a, b = base.astype(np.float64), other.astype(np.float64)
    spread = a.var(axis=0, ddof=1)
    square = (a.mean(axis=0) - b.mean(axis=0)) ** 2 - spread / len(a) - b.var(axis=0, ddof=1) / len(b)
    return float(np.sum(square / (spread + spread.mean() + 1e-12)))
