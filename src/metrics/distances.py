"""Distances between two sets of feature vectors: precision and recall, memorisation."""

import torch
from torch import Tensor

NEIGHBOURS = 3
PR_MAX = 2000
TWIN = 0.25  # of the median distance: pictures nearer than that are one


def precision_recall(fakes: Tensor, reals: Tensor, *, seed: int, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall (arXiv 1904.06991, Eq. 1): share of one set inside the other's k-NN balls.

    Features are `[N, d]` and `[M, d]`; of a set of more than 2000 pictures `seed` chooses as many.
    """
    generator = torch.Generator().manual_seed(seed)
    fakes, reals = (x[torch.randperm(len(x), generator=generator)[:PR_MAX]] for x in (fakes, reals))
    return _share_covered(fakes, reals, neighbours), _share_covered(reals, fakes, neighbours)


def memorisation(fakes: Tensor, reals: Tensor, mirrored: Tensor) -> float | None:
    """Median distance of fakes to the nearest real or mirror image, over that of reals to their nearest other real.

    Around 1 or above for a model that invents; towards 0 for one that repeats its training pictures. Of reals that are
    near duplicates one counts, since their distances would set the scale; None where all are one. Features are
    `[N, d]`, those of the training pictures and of their mirror images `[M, d]`.
    """
    among = torch.cdist(reals, reals)
    kept = without_twins(among)
    if len(kept) < 2:
        return None
    others = among[kept][:, kept].fill_diagonal_(float("inf"))
    nearest = torch.minimum(*(torch.cdist(fakes, known).amin(dim=1) for known in (reals, mirrored)))
    return float(nearest.median() / others.amin(dim=1).median())


def without_twins(among: Tensor) -> list[int]:
    """Indices of points, one of each group of near duplicates, from distances between them `[N, N]`.

    Two nearer than `TWIN` times the median of all are twins.
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
    nearest = (
        torch.cdist(reference, reference).topk(k + 1, dim=1, largest=False).values
    )  # the first is the point itself
    radius = nearest[:, -1]
    return float((torch.cdist(points, reference) <= radius[None]).any(dim=1).float().mean())
