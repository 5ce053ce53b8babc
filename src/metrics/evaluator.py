"""Evaluation of one snapshot: fakes against the data set, with the protocol beside the numbers."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..device import float32_format, float32_in
from ..errors import UserError
from .distances import (
    KID_SUBSETS,
    NEIGHBOURS,
    PR_MAX,
    kernel_distance,
    kernel_subset_size,
    memorisation,
    precision_recall,
)
from .extractors import FeatureExtractor, get_extractor
from .feature_cache import cached_features
from .frechet import FrechetAccumulator
from .shards import Shards

#: Entries of a row's `protocol` that two KIDs share when they can be compared. KID is unbiased: not the counts.
KID_MEASURE = ("extractor", "extractor_sha256", "resizer", "psi")
#: Likewise for two Fréchet distances, which depend on how many pictures there are.
MEASURE = (*KID_MEASURE, "n_fake", "n_real")

CHUNK = 64
ALONE = Shards()


class Evaluator:
    """Compares generated pictures with a data set; the reals' features are computed once and kept on disk.

    Args:
        extractor: the feature extractor, or its name.
        reals: the data set: indexable, `(uint8 [3, H, W], label)`; pictures are used as they are, never mirrored. With
            a `fingerprint` its features are kept in the cache.
        seed: of subsets and choices.
        max_reals: at most so many reals, evenly spread over the set.
        shards: processes that measure together; each measures its share of the reals, and gives `evaluate` its share
            of the fakes.
    """

    @torch.inference_mode()
    def __init__(
        self,
        extractor: str | FeatureExtractor,
        reals: Any,
        *,
        seed: int,
        max_reals: int = 10_000,
        shards: Shards = ALONE,
    ) -> None:
        self.extractor = get_extractor(extractor) if isinstance(extractor, str) else extractor
        self.seed, self.shards = seed, shards
        self.real_features = self._real_features(reals, min(len(reals), max_reals))
        self._frechet = FrechetAccumulator(self.real_features)

    @torch.inference_mode()
    def evaluate(self, fakes: Iterable[Tensor], *, psi: float, noise: str = "const") -> dict[str, Any]:
        """Evaluate.

        Args:
            fakes: chunks of uint8 `[n, 3, H, W]`, of this process's share (`shards.share(count)`).
            psi: truncation that they were generated with, for the protocol.
            noise: noise inputs that they were generated with, for the protocol.

        Returns:
            `kid`, `kid_std`, `fid` (Inception's features) or `frechet` (any other), `precision`, `recall`,
            `memorisation`, and `protocol`; the same in every process.

        Raises:
            UserError: with fewer than two fakes.
        """
        with float32_in(tf32=False):  # the fakes are made meanwhile
            parts = [torch.zeros([0, self.extractor.num_features]), *(self.extractor(chunk) for chunk in fakes)]
            float32 = float32_format()
        features = self.shards.gather(torch.cat(parts))
        if len(features) < 2:
            raise UserError(f"metrics.num_fakes={len(features)}: at least 2 pictures are needed")
        reals = self.real_features
        kid, kid_std = kernel_distance(features, reals, seed=self.seed)
        precision, recall = precision_recall(features, reals, seed=self.seed)
        return {
            "kid": kid,
            "kid_std": kid_std,
            self.extractor.frechet_name: self._frechet.distance_of(features),
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
                "float32": float32,
                "noise": noise,
                "seed": self.seed,
                "kid_subsets": KID_SUBSETS,
                "kid_subset_size": kernel_subset_size(len(features), len(reals)),
                "precision_recall_max": PR_MAX,
                "precision_recall_neighbours": NEIGHBOURS,
            },
        }

    def _real_features(self, reals: Any, count: int) -> Tensor:
        def compute() -> Tensor:
            mine = [i * len(reals) // count for i in self.shards.share(count)]
            parts = [torch.zeros([0, self.extractor.num_features])]
            for start in range(0, len(mine), CHUNK):
                parts.append(self.extractor(torch.stack([reals[i][0] for i in mine[start : start + CHUNK]])))
            return self.shards.gather(torch.cat(parts))

        fingerprint = getattr(reals, "fingerprint", None)
        if fingerprint is None:
            return compute()
        facts = {
            "fingerprint": fingerprint,
            "resolution": reals.resolution,
            "pictures": len(reals),
            "used": count,
            "extractor": self.extractor.name,
            "extractor_sha256": self.extractor.sha256,
            "resizer": self.extractor.resizer,
        }
        return cached_features(facts, count, compute, self.shards)
