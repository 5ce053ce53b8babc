"""Energy distances between sets of rows (Székely and Rizzo 2013), unbiased, with and without each row.

E(X, Y) = 2 mean |x - y| - mean |x - x'| - mean |y - y'|, pairs of a row with itself left out, and between sets of the
same codes the pairs of one code. Means without one row follow from sums over rows of the matrix of distances.
"""

from dataclasses import dataclass

import numpy as np

from .axis import Floats


@dataclass(frozen=True)
class Mean:
    """A mean distance, and the same without each row (or code) `[N]`, or `[1]` where no row is left out."""

    value: float
    without: Floats


def distances(a: Floats, b: Floats) -> Floats:
    """Euclidean distances `[N, M]` of rows."""
    square = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * (a @ b.T)
    return np.asarray(np.sqrt(np.maximum(square, 0)))


def within(x: Floats) -> Mean:
    """Mean distance of different rows of one set."""
    return _off_diagonal(distances(x, x))


def between_paired(x: Floats, y: Floats) -> Mean:
    """Mean distance of rows of different codes; row i of both sets is of code i."""
    return _off_diagonal(distances(x, y))


def between(x: Floats, target: Floats) -> Mean:
    """Mean distance to a set that stays as it is, with and without each row of x."""
    return mean_of(distances(x, target).mean(axis=1))


def mean_of(rows: Floats) -> Mean:
    """Mean of numbers `[N]`, and without each."""
    return Mean(float(rows.mean()), (rows.sum() - rows) / max(len(rows) - 1, 1))


def fixed(mean: Mean) -> Mean:
    """A mean of a set that stays as it is when rows of another are left out."""
    return Mean(mean.value, np.array([mean.value]))


def ratio(a: Mean, b: Mean) -> Mean:
    """One mean in units of another."""
    return Mean(a.value / b.value, a.without / b.without)


def mixture(a: Mean, b: Mean, share: float) -> Mean:
    """A mean that is `share` of b and the rest of a."""
    return Mean((1 - share) * a.value + share * b.value, (1 - share) * a.without + share * b.without)


def energy(cross: Mean, first: Mean, second: Mean) -> Mean:
    """The energy distance from its three means."""
    return Mean(2 * cross.value - first.value - second.value, 2 * cross.without - first.without - second.without)


def _off_diagonal(matrix: Floats) -> Mean:
    n = len(matrix)
    np.fill_diagonal(matrix, 0)
    total, own = matrix.sum(), matrix.sum(axis=0) + matrix.sum(axis=1)
    return Mean(float(total / (n * (n - 1))), (total - own) / max((n - 1) * (n - 2), 1))
