"""Comparison of many blends with the best one, from jackknife pseudo-values of the same codes.

A row of pseudo-values belongs to a code in all sets at once (blends, base), so their covariance over the number of
codes is that of the places, anchors and all. Places are drawn and combined to scores afterwards: a product of powers
is steep at 0. Multiple comparisons with the best: Hsu, *Multiple Comparisons* (1996), with a covariance of any form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .axis import Floats

LEVEL = 0.95
DRAWS = 2000
NOTHING = 1e-9  # standard error of a difference that is none
CACHED = 2**15  # numbers that a core keeps near it


def combine(places: Floats, weights: Sequence[float]) -> Floats:
    """The score of places `[..., A]`: the product of their powers; nothing of one demand is nothing."""
    return np.asarray(np.prod(np.maximum(places, 0) ** np.asarray(weights), axis=-1))


@dataclass(frozen=True)
class Comparison:
    """All blends against the best one.

    With probability `level`, at once for all: the best blend is a candidate, and each is at most its regret below it.
    """

    mean: Floats  # scores `[C]`, without their bias in 1/N
    error: Floats  # their standard errors `[C]`
    gap_error: Floats  # standard errors of differences `[C, C]`
    critical: Floats  # how many of them count as none, by the blend in front `[C]`
    candidate: NDArray[np.bool_]  # which blends may be the best `[C]`
    regret: Floats  # upper bounds on the best score less each `[C]`
    share: Floats = field(repr=False)  # of the draws, how many each is the best of `[C]`
    noise: Floats = field(repr=False)  # of the draws, what each score differs by from its mean `[B, C]`

    def less(self, price: Floats) -> "Comparison":
        """The same blends by their scores less a price `[C]`: what they differ by at random stays."""
        mean = self.mean - price
        candidate, regret = _bounds(mean, self.gap_error, self.critical)
        share = _shares(mean + self.noise)
        return replace(self, mean=mean, candidate=candidate, regret=regret, share=share)


def compare(
    pseudo: Floats,
    *,
    weights: Sequence[float] = (0.5, 0.5),
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare all blends with the best one.

    Args:
        pseudo: pseudo-values `[N, C, A]` of N codes, C blends, A axes.
        weights: exponent of each axis.
        level: of the statement.
        draws: multivariate t replicates, with N - 1 degrees of freedom.
        seed: of them.
    """
    return with_the_best(*_drawn(pseudo, weights, draws, seed), level)


def may_be_best(
    pseudo: Floats,
    which: slice,
    *,
    weights: Sequence[float] = (0.5, 0.5),
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Which of some blends are candidates among all; arguments as `compare`."""
    mean, replicates = _drawn(pseudo, weights, draws, seed)
    noise = replicates - mean
    gap_error = _gap_errors(noise)[which]
    lead = mean - mean[which, None]
    critical = _critical(noise, noise[:, which], gap_error, level)
    return np.asarray((lead - critical[:, None] * gap_error <= NOTHING).all(axis=1))


def _drawn(pseudo: Floats, weights: Sequence[float], draws: int, seed: int) -> tuple[Floats, Floats]:
    """Scores `[C]` and replicates of them `[B, C]`."""
    n, c, a = pseudo.shape
    mean = pseudo.mean(axis=0)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((draws, n)) @ (pseudo - mean).reshape(n, c * a) / np.sqrt(n * (n - 1))
    noise *= np.sqrt((n - 1) / rng.chisquare(n - 1, size=(draws, 1)))
    replicates = combine(mean + noise.reshape(draws, c, a), weights)
    return combine(mean, weights), replicates


def with_the_best(mean: Floats, replicates: Floats, level: float = LEVEL) -> Comparison:
    """Compare blends by their scores `[C]` and replicates of these `[B, C]`."""
    noise = replicates - mean
    gap_error = _gap_errors(noise)
    critical = _critical(noise, noise, gap_error, level)
    candidate, regret = _bounds(mean, gap_error, critical)
    error = noise.std(axis=0, ddof=1)
    return Comparison(mean, error, gap_error, critical, candidate, regret, _shares(replicates), noise)


def _gap_errors(noise: Floats) -> Floats:
    """Standard errors of differences `[C, C]`."""
    covariance = np.atleast_2d(np.cov(noise.T))
    variance = np.diag(covariance)
    return np.asarray(np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, 0)))


def _critical(noise: Floats, of: Floats, gap_error: Floats, level: float) -> Floats:
    """How many standard errors of differences to all `[B, C]` are none, for each of some blends `[B, F]`.

    It takes B C F divisions, some draws at a time: as many as a core keeps near it.
    """
    unit = np.where(gap_error > NOTHING, gap_error, np.inf)
    size = max(CACHED // noise.shape[1], 1)
    furthest, apart = np.empty([len(unit), len(noise)]), np.empty([size, noise.shape[1]])
    for first in range(0, len(noise), size):
        some = slice(first, first + size)
        drawn, ours = noise[some], apart[: len(noise[some])]
        for i, column in enumerate(of[some].T):
            np.subtract(drawn, column[:, None], out=ours)
            np.divide(ours, unit[i], out=ours)
            ours.max(axis=1, out=furthest[i, some])
    return np.asarray(np.quantile(furthest, level, axis=1))


def _bounds(mean: Floats, gap_error: Floats, critical: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Which may be the best, and upper bounds on the best score less each."""
    lead = mean - mean[:, None]  # [i, j]: of j over i
    candidate = np.asarray((lead - critical[:, None] * gap_error <= NOTHING).all(axis=1))
    return candidate, np.asarray(np.maximum((lead + critical * gap_error)[:, candidate].max(axis=1), 0))


def joint(scores: Floats, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compare blends over several trainings of one recipe.

    The spread between trainings holds that of the codes. Two or three trainings do not tell the spread of each blend,
    so one spread is pooled over the blends of at least 3/4 of the best mean, the trainings' own levels apart. It is
    given 4 degrees of freedom a training beyond the first: a training's blends move together.

    Args:
        scores: `[trainings, C]`, at least two trainings, of the same codes.
        level: of the statement.
        draws: replicates.
        seed: of them.
    """
    k, c = scores.shape
    mean = scores.mean(axis=0)
    good = scores[:, mean >= 0.75 * mean.max()]
    rest = good - good.mean(axis=0) - good.mean(axis=1, keepdims=True) + good.mean()
    spread = np.sqrt(np.square(rest).sum() / ((k - 1) * max(good.shape[1] - 1, 1)))
    rng, freedom = np.random.default_rng(seed), 4 * (k - 1)
    noise = rng.standard_normal((draws, c)) * np.sqrt(freedom / rng.chisquare(freedom, size=(draws, 1)))
    return with_the_best(mean, mean + spread / np.sqrt(k) * noise, level)


def _shares(replicates: Floats) -> Floats:
    """Part of the draws in which each is the best; ties are divided."""
    best = replicates >= replicates.max(axis=1, keepdims=True)
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))
