"""Gates of the caricature score: what a blend must not have lost or stolen to be ranked at all.

Each takes features of pictures (of the face alone: `face_features`) and returns a `Gate`. Identity is a rank, not a
cosine, and what the style does to all people alike does not count. Diversity is the pairwise distance of Ojha et al.
(arXiv 2104.06820, Sec. 4) relative to the base network's.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError
from . import distances
from .bands import face_oval
from .extractors import FeatureExtractor

IDENTITY_FLOOR, IDENTITY_MAX = 0.5, 200
IDENTITY_FOLDS, IDENTITY_RIDGE = 4, 0.03
GREY = 128.0
DIVERSITY_FLOOR = 0.8
MEMORISATION_FLOOR = 0.8  # held-out real pictures are at 1 on average, so some room for chance


@dataclass(frozen=True)
class Gate:
    """One check of a blend.

    Attributes:
        name: which.
        value: measured.
        threshold: smallest value that passes.
        passed: whether it does.
    """

    name: str
    value: float
    threshold: float
    passed: bool

    def as_dict(self) -> dict[str, float | bool]:
        """Value, threshold and passed, for a file where the name is the key."""
        facts = asdict(self)
        del facts["name"]
        return facts


def face_features(images: Tensor, extractor: FeatureExtractor) -> Tensor:
    """Features of the face alone: outside of the oval that the score looks at, pictures are made grey.

    Args:
        images: uint8 `[N, 3, H, W]`.
        extractor: which features.

    Returns:
        `[N, D]`.
    """
    oval = face_oval(images.shape[-1]).to(images.device)
    return extractor(torch.lerp(torch.full_like(oval, GREY), images.float(), oval).round().to(torch.uint8))


def identity_retrieval(
    base: Tensor | NDArray, blend: Tensor | NDArray, *, threshold: float = IDENTITY_FLOOR, limit: int = IDENTITY_MAX
) -> Gate:
    """Share of blended pictures whose most similar base picture is the one of the same codes.

    A style moves, stretches and turns the features of all people alike, so a blend's features are first taken back by
    the linear map from blend to base that fits the *other* people best (ridge regression shrunk towards no change, 4
    folds). Similarity is the cosine of the features less their set's mean; chance is 1 / N.

    Args:
        base: features `[N, D]` of the base network's pictures.
        blend: features `[N, D]` of the blend's pictures of the same codes.
        threshold: smallest share that passes.
        limit: at most so many pictures, the first ones.

    Raises:
        UserError: unless both are paired rows, at least two.
    """
    a, b = _pair(base, blend, "identity_retrieval")
    a, b = a[:limit], b[:limit]
    row, found = torch.arange(len(a), device=a.device), torch.zeros(len(a), device=a.device)
    for fold in range(min(IDENTITY_FOLDS, len(a))):
        asked = row % IDENTITY_FOLDS == fold
        centre = a[~asked].mean(dim=0)
        similarity = (
            F.normalize(_taken_back(a[~asked], b[~asked], b[asked]), dim=1) @ F.normalize(a - centre, dim=1).t()
        )
        own = similarity.gather(1, row[asked, None])[:, 0]
        others = similarity.scatter(1, row[asked, None], -torch.inf).amax(dim=1)
        found[asked] = (own > others).float()
    return _gate("identity", float(found.mean()), threshold)


def _taken_back(base: Tensor, blend: Tensor, asked: Tensor) -> Tensor:
    """Rows of the blend as the base network would have them, less the base's mean; fitted on other pairs."""
    a, b, x = base - base.mean(dim=0), blend - blend.mean(dim=0), asked - blend.mean(dim=0)
    kernel = b @ b.t()
    ridge = IDENTITY_RIDGE * kernel.diagonal().mean().clamp(min=1e-12)
    return x + x @ b.t() @ torch.linalg.solve(kernel + ridge * torch.eye(len(b), dtype=b.dtype, device=b.device), a - b)


def diversity(base: Tensor | NDArray, blend: Tensor | NDArray, *, threshold: float = DIVERSITY_FLOOR) -> Gate:
    """Mean pairwise distance of the blend's pictures over that of the base network's.

    Args:
        base: features `[N, D]`.
        blend: features `[M, D]`, M at least 2.
        threshold: smallest ratio that passes.

    Raises:
        UserError: with fewer than two rows, or base pictures that are all alike.
    """
    a, b = _rows(base, "diversity: base"), _rows(blend, "diversity: blend")
    spread = torch.pdist(a).mean()
    if not spread > 0:
        raise UserError(
            "diversity: the base pictures are all alike, so there is no diversity to keep; give different codes"
        )
    return _gate("diversity", float(torch.pdist(b).mean() / spread), threshold)


def memorisation(blend: Tensor | NDArray, training: Tensor | NDArray, *, threshold: float = MEMORISATION_FLOOR) -> Gate:
    """Median distance of blends to the nearest training picture over that of training pictures among themselves.

    Args:
        blend: features `[N, D]`.
        training: features `[M, D]` of the training pictures; each is compared with the others (leave one out).
        threshold: smallest ratio that passes; copies are near 0, new pictures of the same kind near 1.

    Raises:
        UserError: with fewer than two rows.
    """
    a, b = _rows(blend, "memorisation: blend"), _rows(training, "memorisation: training")
    return _gate("memorisation", distances.memorisation(a, b), threshold)


def _gate(name: str, value: float, threshold: float) -> Gate:
    return Gate(name, value, threshold, value >= threshold)


def _rows(features: Tensor | NDArray, name: str) -> Tensor:
    rows = torch.as_tensor(features).double()
    if rows.ndim != 2 or len(rows) < 2:
        raise UserError(f"{name}: expected features [N, D] of at least 2 pictures, not {list(rows.shape)}")
    return rows


def _pair(base: Tensor | NDArray, blend: Tensor | NDArray, name: str) -> tuple[Tensor, Tensor]:
    a, b = _rows(base, f"{name}: base"), _rows(blend, f"{name}: blend")
    if a.shape != b.shape:
        raise UserError(f"{name}: rows must be pairs of the same codes, not {list(a.shape)} and {list(b.shape)}")
    return a, b
