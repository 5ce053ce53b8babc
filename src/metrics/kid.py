"""KID with its own standard error, and snapshots compared with the one of the lowest, on common codes.

The spread over random subsets, which is usually given, is not that of the value: subsets share pictures, and all
snapshots share the training set. Here every code is left out once, of all snapshots together.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .cariscore.axis import Floats
from .cariscore.comparison import DRAWS, LEVEL, Comparison, with_the_best

DEGREE = 3


def kid_pseudo_values(snapshots: Sequence[Floats], reals: Floats) -> Floats:
    """Jackknife pseudo-values of KID: the unbiased squared MMD with kernel (x·y / d + 1)³ (arXiv 1801.01401, Eq. 4).

    The mean of a column is that snapshot's KID; the standard error of a mean, and of a difference of means, is that of
    independent rows. The training pictures stay as they are: the question is which snapshot is nearer to them.

    Args:
        snapshots: features `[N, d]` of each, of the same codes.
        reals: features `[M, d]`.

    Returns:
        `[N, K]`.
    """
    d, m = reals.shape[1], len(reals)
    within_reals = _kernel(reals, reals, d)
    constant = (within_reals.sum() - np.trace(within_reals)) / (m * (m - 1))
    columns = []
    for x in snapshots:
        n = len(x)
        kernel = _kernel(x, x, d)
        np.fill_diagonal(kernel, 0)
        own, total = kernel.sum(axis=1), kernel.sum()
        cross = _kernel(x, reals, d).mean(axis=1)
        value = total / (n * (n - 1)) - 2 * cross.mean() + constant
        without = (total - 2 * own) / ((n - 1) * (n - 2)) - 2 * (cross.sum() - cross) / (n - 1) + constant
        columns.append(n * value - (n - 1) * without)
    return np.stack(columns, axis=1)


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


def extrapolated(
    distance: Callable[[NDArray[np.int64]], float], fakes: int, *, halvings: int = 2, repeats: int = 4, seed: int = 0
) -> tuple[float, float]:
    """A biased distance at infinitely many fakes, by a line in 1 / N (Chong and Forsyth, arXiv 1911.07023).

    Args:
        distance: of the fakes with these indices.
        fakes: how many there are.
        halvings: how often their number is halved.
        repeats: random subsets of each smaller size.
        seed: of them.

    Returns:
        The value at 1 / N = 0, and the bias of the value of all fakes.
    """
    rng = np.random.default_rng(seed)
    sizes = [fakes] + [fakes >> k for k in range(1, halvings + 1) for _ in range(repeats)]
    values = [distance(rng.permutation(fakes)[:size]) for size in sizes]
    slope, intercept = np.polyfit(1 / np.array(sizes), values, 1)
    return float(intercept), float(slope / fakes)


def _kernel(x: Floats, y: Floats, d: int) -> Floats:
    return np.asarray((x.astype(np.float64) @ y.T / d + 1) ** DEGREE)
