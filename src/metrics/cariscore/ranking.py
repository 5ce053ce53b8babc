"""Ranking of blends by their pictures alone, without a sweep."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import UserError
from ...faces import LandmarkProvider
from .comparison import combine, compare
from .detectors import choose_detector
from .faces import MAX_PX, check_pictures, shrunk
from .score import CariScore, exponents

MIN_BLENDS = 3  # pictures that tell a spread


def rank_blends(
    base: Tensor,
    finetuned: Tensor,
    blends: Mapping[str, Tensor],
    *,
    landmarks: str | LandmarkProvider = "auto",
    alpha: float = 0.5,
    seed: int = 0,
    direction: str = "cartoon_low",
) -> list[dict[str, Any]]:
    """Rank blended models by their pictures.

    Sets of different sizes in pixels are brought to the smallest of them first, and to at most 256 px.

    Args:
        base: uint8 `[N, 3, H, W]` of the base model.
        finetuned: uint8 of the cartoons: the training pictures, or the un-blended fine-tuned model's.
        blends: uint8 by label, of common codes; as many pictures as `base` has are taken as being of its codes.
        landmarks: which detector: `"auto"`, `"network"`, `"face-alignment"`, `"dlib"`, or one of your own.
        alpha: weight of shape, between 0 and 1; 0.5 is sqrt(S·R).
        seed: of the draws behind `share`.
        direction: which network the coarse layers are of, see `open_axes`.

    Returns:
        For each blend, best first: `label`, `s` and `r` in [0, 1], `cari`, `share` (of draws of other codes, how many
        it is the best of; on the scale that these pictures fix, which those of other codes would move: a sweep's does
        not), and which `landmarks` it was measured by, `found` in which part of its pictures.

    Raises:
        UserError: for settings or pictures that cannot be scored.
    """
    if not blends:
        raise UserError("blends: none given; at least one blend is needed to rank")
    sets = {"base": base, "finetuned": finetuned} | {f"blend {key}": images for key, images in blends.items()}
    for name, images in sets.items():
        check_pictures(images, name)
    counts = {len(images) for images in blends.values()}
    if len(counts) > 1 or min(counts) < MIN_BLENDS:
        raise UserError(
            f"blends: all need pictures of the same codes, at least {MIN_BLENDS}, not "
            + ", ".join(f"{len(images)} of {label}" for label, images in blends.items())
        )
    side = min(MAX_PX, *(min(images.shape[2:]) for images in sets.values()))
    sets = {name: shrunk(images, side) for name, images in sets.items()}
    detector = choose_detector(landmarks, sets["base"], sets["finetuned"])
    score = CariScore.between(detector.base, detector.cartoons, direction)
    weights = exponents(score.axes, alpha)
    labels = sorted(blends)
    faces = {label: detector.locate(sets[f"blend {label}"]) for label in labels}
    pseudo = {label: score.of(faces[label]).pseudo for label in labels}
    shares = compare(np.stack(list(pseudo.values()), axis=1), weights=weights, seed=seed).share
    rows = []
    for label, share in zip(labels, shares, strict=True):
        s, r = pseudo[label].mean(axis=0).clip(0, 1).tolist()
        facts = {"landmarks": detector.name, "found": faces[label].share_found}
        cari = float(combine(np.array([s, r]), weights))
        rows.append({"label": label, "s": s, "r": r, "cari": cari, "share": float(share), **facts})
    return sorted(rows, key=lambda row: (-row["cari"], row["label"]))
