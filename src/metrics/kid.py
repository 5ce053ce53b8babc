"""KID with its own standard error, and snapshots compared with the one of the lowest, on common codes.

KID comes first: it is unbiased at the few hundred pictures that a caricature data set has. The spread over random
subsets, which is usually given with it, is not that of the value: subsets share pictures, and all snapshots share the
training set. Here every code is left out once, of all snapshots together.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .cariscore.axis import Floats
from .cariscore.comparison import DRAWS, LEVEL, Comparison, with_the_best

DEGREE = 3
BLOCK = 1024  # rows of a kernel matrix at a time
MIN_FAKES = 3  # that leave an unbiased value when one is left out


class KernelDistance:
    """KID from one set of reals: the unbiased squared MMD with kernel (x·y / d + 1)³ (arXiv 1801.01401, Eq. 4).

    Args:
        reals: features `[M, d]`, M at least 2.
    """

    def __init__(self, reals: Tensor) -> None:
        self._reals = reals.double()
        m = len(reals)
        self._within = float(sum(block.sum() for block in _without_diagonal(self._reals)) / (m * (m - 1)))

    def pseudo_values(self, fakes: Tensor) -> Floats:
        """Jackknife pseudo-values `[N]`: their mean is KID, and rows of the same codes make differences paired.

        The standard error of a mean, and of a difference of means, is that of independent rows. The training pictures
        stay as they are: the question is which snapshot is nearer to them.

        Args:
            fakes: features `[N, d]`, N at least 3.
        """
        x = fakes.double()
        n = len(x)
        own = torch.cat([block.sum(dim=1) for block in _without_diagonal(x)])
        cross = torch.cat([_kernel(part, self._reals).mean(dim=1) for part in x.split(BLOCK)])
        total, crossed = own.sum(), cross.sum()
        value = total / (n * (n - 1)) - 2 * crossed / n + self._within
        without = (total - 2 * own) / ((n - 1) * (n - 2)) - 2 * (crossed - cross) / (n - 1) + self._within
        return np.asarray((n * value - (n - 1) * without).numpy())


def error_of(pseudo: Floats) -> float:
    """Standard error of the mean of pseudo-values, or of differences of paired ones, `[N]`."""
    return float(pseudo.std(ddof=1) / np.sqrt(len(pseudo)))


def lowest(pseudo: Floats, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compare snapshots with the one of the lowest distance.

    Args:
        pseudo: pseudo-values `[N, K]` of the distance.
        level: of the statement.
        draws: replicates.
        seed: of them.

    Returns:
        A comparison whose scores are the distances with their signs turned.
    """
    n = len(pseudo)
    mean = -pseudo.mean(axis=0)
    noise = np.random.default_rng(seed).standard_normal((draws, n)) @ (pseudo + mean) / np.sqrt(n * (n - 1))
    return with_the_best(mean, mean + noise, level)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.t() / x.shape[1] + 1) ** DEGREE


def _without_diagonal(x: Tensor) -> Iterator[Tensor]:
    """The kernel matrix of a set with itself, in blocks of rows; 0 where a row meets itself."""
    for start in range(0, len(x), BLOCK):
        block = _kernel(x[start : start + BLOCK], x)
        block.diagonal(start).zero_()
        yield block
