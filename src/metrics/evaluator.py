"""Evaluation of one snapshot: fakes against the data set, with the protocol beside the numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..device import float32_format, float32_in
from ..errors import UserError
from ..group import ALONE, Group
from .cariscore.axis import Floats
from .distances import NEIGHBOURS, PR_MAX, memorisation, precision_recall
from .extractors import FeatureExtractor, get_extractor
from .feature_cache import cached_features
from .frechet import FrechetAccumulator
from .kid import MIN_FAKES, KernelDistance, error_of

#: Entries of a row's `protocol` that two Fréchet distances share when they can be compared.
MEASURE = ("extractor", "extractor_sha256", "resizer", "psi", "n_fake", "n_real")

CHUNK = 64
MAX_REALS = 10_000


@dataclass(frozen=True)
class Evaluation:
    """What was found of a snapshot."""

    # `kid`, `kid_error` (its standard error), the Fréchet distance by its features' name (`FRECHET_NAMES`) with
    # `<name>_bias` (of the number of fakes), `precision`, `recall`, `memorisation`, `protocol`
    row: dict[str, Any]
    kid: Floats  # pseudo-values of KID `[N]`, a row a fake: those of snapshots of the same codes are compared in pairs


class Evaluator:
    """Compares generated pictures with a data set; the reals' features are computed once and kept on disk.

    Args:
        extractor: the feature extractor, or its name.
        reals: the data set: indexable, `(uint8 [3, H, W], label)`; pictures are compared as they are, and mirrored when
            it is asked whether they were memorised. With a `fingerprint` their features are kept in the cache.
        seed: of choices.
        max_reals: at most so many reals, evenly spread over the set.
        group: processes that measure together; each measures its share of the reals, and gives `evaluate` its share
            of the fakes.
    """

    @torch.inference_mode()
    def __init__(
        self,
        extractor: str | FeatureExtractor,
        reals: Any,
        *,
        seed: int,
        max_reals: int = MAX_REALS,
        group: Group = ALONE,
    ) -> None:
        self.extractor = get_extractor(extractor) if isinstance(extractor, str) else extractor
        self.seed, self.group = seed, group
        count = min(len(reals), max_reals)
        self.real_features = self._real_features(reals, count)
        self._mirrored = self._real_features(reals, count, mirrored=True)
        self._frechet, self._kernel = FrechetAccumulator(self.real_features), KernelDistance(self.real_features)

    @torch.inference_mode()
    def evaluate(self, fakes: Iterable[Tensor], *, psi: float, noise: str = "const") -> Evaluation:
        """Evaluate.

        Args:
            fakes: chunks of uint8 `[n, 3, H, W]`, of this process's share (`group.share(count)`).
            psi: truncation that they were generated with, for the protocol.
            noise: noise inputs that they were generated with, for the protocol.

        Returns:
            The same in every process.

        Raises:
            UserError: with fewer than three fakes.
        """
        with float32_in(tf32=False):  # the fakes are made meanwhile
            parts = [torch.zeros([0, self.extractor.num_features]), *(self.extractor(chunk) for chunk in fakes)]
            float32 = float32_format()
        features = self.group.gather(torch.cat(parts))
        if len(features) < MIN_FAKES:
            raise UserError(f"metrics.num_fakes={len(features)}: at least {MIN_FAKES} pictures are needed")
        reals, frechet = self.real_features, self.extractor.frechet_name
        kid = self._kernel.pseudo_values(features)
        precision, recall = precision_recall(features, reals, seed=self.seed)
        row = {
            "kid": float(kid.mean()),
            "kid_error": error_of(kid),
            frechet: self._frechet.distance_of(features),
            f"{frechet}_bias": self._frechet.bias_of(features),
            "precision": precision,
            "recall": recall,
            "memorisation": memorisation(features, reals, self._mirrored),
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
                "precision_recall_max": PR_MAX,
                "precision_recall_neighbours": NEIGHBOURS,
            },
        }
        return Evaluation(row, kid)

    def _real_features(self, reals: Any, count: int, *, mirrored: bool = False) -> Tensor:
        def compute() -> Tensor:
            mine = [i * len(reals) // count for i in self.group.share(count)]
            parts = [torch.zeros([0, self.extractor.num_features])]
            for start in range(0, len(mine), CHUNK):
                images = torch.stack([reals[i][0] for i in mine[start : start + CHUNK]])
                parts.append(self.extractor(images.flip(3) if mirrored else images))
            return self.group.gather(torch.cat(parts))

        fingerprint = getattr(reals, "fingerprint", None)
        if fingerprint is None:
            return compute()
        facts = {
            "fingerprint": fingerprint,
            "resolution": reals.resolution,
            "pictures": len(reals),
            "used": count,
            "mirrored": mirrored,
            "extractor": self.extractor.name,
            "extractor_sha256": self.extractor.sha256,
            "resizer": self.extractor.resizer,
        }
        return cached_features(facts, count, compute, self.group)
