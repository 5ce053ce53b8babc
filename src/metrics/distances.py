"""Distances between two sets of feature vectors: KID, Fréchet distance, precision and recall, memorisation.

KID comes first: it is unbiased at the few hundred pictures that a caricature data set has (arXiv 1801.01401); the
Fréchet distance (1706.08500) is biased upwards there. Neither is called FID unless the features are Inception's.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from .frechet import FrechetAccumulator

KID_SUBSETS = 20
KID_SUBSET_SIZE = 500
NEIGHBOURS = 3
PR_MAX = 2000
TWIN = 0.25  # of the median distance: pictures nearer than that are one


def polynomial_mmd(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD with the kernel (xᵀy / d + 1)³ (arXiv 1801.01401, Sec. 4, Eq. 4).

    Args:
        a: features `[N, d]`, N at least 2.
        b: features `[M, d]`, M at least 2.
    """
    a, b = a.double(), b.double()
    n, m, d = len(a), len(b), a.shape[1]
    k_aa, k_bb, k_ab = ((x @ y.t() / d + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    within_a = (k_aa.sum() - k_aa.trace()) / (n * (n - 1))
    within_b = (k_bb.sum() - k_bb.trace()) / (m * (m - 1))
    return float(within_a + within_b - 2 * k_ab.mean())


def kernel_distance(
    fakes: Tensor, reals: Tensor, *, seed: int, subsets: int = KID_SUBSETS, subset_size: int = KID_SUBSET_SIZE
) -> tuple[float, float]:
    """KID: mean and standard deviation of the MMD over random subsets.

    Args:
        fakes: features `[N, d]`.
        reals: features `[M, d]`.
        seed: of the subsets.
        subsets: how many.
        subset_size: pictures of each set in a subset, at most half of the smaller set.

    Returns:
        Mean and standard deviation over subsets. The mean of an unbiased estimator may be negative.
    """
    chosen = kernel_subsets(len(fakes), len(reals), seed=seed, subsets=subsets, subset_size=subset_size)
    values = [polynomial_mmd(fakes[a], reals[b]) for a, b in chosen]
    result = torch.tensor(values, dtype=torch.float64)
    return float(result.mean()), float(result.std())


def kernel_subsets(
    num_fakes: int, num_reals: int, *, seed: int, subsets: int = KID_SUBSETS, subset_size: int = KID_SUBSET_SIZE
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw the subsets of `kernel_distance`: pairs of indices of fakes and of reals, without repetition in a subset."""
    size = kernel_subset_size(num_fakes, num_reals, subset_size)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(subsets):
        fakes = torch.randperm(num_fakes, generator=generator)[:size]
        yield fakes, torch.randperm(num_reals, generator=generator)[:size]


def kernel_subset_size(num_fakes: int, num_reals: int, subset_size: int = KID_SUBSET_SIZE) -> int:
    """Pictures in a subset of `kernel_distance`: `subset_size`, but at most half of the smaller set, and at least 2."""
    return max(min(subset_size, num_fakes // 2, num_reals // 2), 2)


def frechet_distance(fakes: Tensor, reals: Tensor) -> float:
    """Fréchet distance of Gaussians fitted to two feature sets, in float64.

    Args:
        fakes: features `[N, d]`, N at least 2.
        reals: features `[M, d]`, M at least 2.
    """
    return FrechetAccumulator(reals).distance_of(fakes)


def precision_recall(fakes: Tensor, reals: Tensor, *, seed: int, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall (arXiv 1904.06991, Eq. 1): share of one set inside the other's k-NN balls.

    Args:
        fakes: features `[N, d]`.
        reals: features `[M, d]`.
        seed: of the choice when a set has more than 2000 pictures.
        neighbours: k.
    """
    generator = torch.Generator().manual_seed(seed)
    fakes, reals = (x[torch.randperm(len(x), generator=generator)[:PR_MAX]] for x in (fakes, reals))
    return _share_covered(fakes, reals, neighbours), _share_covered(reals, fakes, neighbours)


def memorisation(fakes: Tensor, reals: Tensor) -> float | None:
    """Median distance of fakes to their nearest real, over the median distance of reals to their nearest other real.

    Around 1 or above for a model that invents; towards 0 for one that repeats its training pictures. Of reals that are
    near duplicates one counts, since their distances would set the scale; None where all are one.
    """
    among = torch.cdist(reals, reals)
    kept = without_twins(among)
    if len(kept) < 2:
        return None
    others = among[kept][:, kept].fill_diagonal_(float("inf"))
    return float(torch.cdist(fakes, reals).amin(dim=1).median() / others.amin(dim=1).median())


def without_twins(among: Tensor) -> list[int]:
    """Indices of points, one of each group of near duplicates.

    Args:
        among: distances between them `[N, N]`; two nearer than `TWIN` times the median of all are twins.
    """
    apart = ~torch.eye(len(among), dtype=torch.bool, device=among.device)
    limit = TWIN * float(among[apart].median()) if len(among) > 1 else 0.0
    kept: list[int] = []
    for i in range(len(among)):
        if not kept or float(among[i, kept].min()) > limit:
            kept.append(i)
    return kept


def _share_covered(points: Tensor, reference: Tensor, neighbours: int) -> float:
    k = min(neighbours, len(reference) - 1)
    radius = torch.cdist(reference, reference).kthvalue(k + 1, dim=1).values  # the nearest is the point itself
    return float((torch.cdist(points, reference) <= radius[None]).any(dim=1).float().mean())
