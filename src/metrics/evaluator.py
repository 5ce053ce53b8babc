"""Evaluation of one snapshot: fakes against the data set, with the protocol beside the numbers."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .distances import frechet_distance, kernel_distance, memorisation, precision_recall
from .extractors import get_extractor

CHUNK = 64


class Evaluator:
    """Compares generated pictures with a data set; the reals' features are computed once.

    Args:
        extractor: name of the feature extractor.
        reals: the data set: indexable, `(uint8 [3, H, W], label)`.
        seed: of subsets and choices.
        max_reals: at most so many reals, evenly spread over the set.
    """

    def __init__(self, extractor: str, reals: Any, *, seed: int, max_reals: int = 10_000) -> None:
        self.extractor, self.seed = get_extractor(extractor), seed
        count = min(len(reals), max_reals)
        indices = [i * len(reals) // count for i in range(count)]
        parts = []
        for start in range(0, count, CHUNK):
            parts.append(self.extractor(torch.stack([reals[i][0] for i in indices[start : start + CHUNK]])))
        self.real_features = torch.cat(parts)

    def evaluate(self, fakes: Iterable[Tensor], *, psi: float) -> dict[str, Any]:
        """Evaluate.

        Args:
            fakes: chunks of uint8 `[n, 3, H, W]`.
            psi: truncation that they were generated with, for the protocol.

        Returns:
            `kid`, `kid_std`, `frechet`, `precision`, `recall`, `memorisation`, and `protocol`.

        Raises:
            UserError: with fewer than two fakes.
        """
        features = torch.cat([self.extractor(chunk) for chunk in fakes])
        if len(features) < 2:
            raise UserError(f"metrics.num_fakes={len(features)}: at least 2 pictures are needed")
        reals = self.real_features
        kid, kid_std = kernel_distance(features, reals, seed=self.seed)
        precision, recall = precision_recall(features, reals, seed=self.seed)
        return {
            "kid": kid,
            "kid_std": kid_std,
            "frechet": frechet_distance(features, reals),
            "precision": precision,
            "recall": recall,
            "memorisation": memorisation(features, reals),
            "protocol": {
                "extractor": self.extractor.name,
                "extractor_sha256": self.extractor.sha256,
                "resizer": self.extractor.resizer,
                "n_fake": len(features),
                "n_real": len(reals),
                "psi": psi,
                "seed": self.seed,
            },
        }
