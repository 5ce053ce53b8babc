"""The weight of shape that a person's choices speak for: Bradley and Terry's model with CariScore as the strength.

P(a is preferred to b) = score_a^beta / (score_a^beta + score_b^beta) with score = S^alpha R^(1 - alpha) (Bradley and
Terry, *Biometrika* 39, 1952). alpha is what is asked for, beta how decided the person is. There are two unknowns, so
their posterior is held on a grid: nothing has to converge, intervals and the gain of a next question are sums over it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics import AxisName, exponents
from .file import Click

Floats = NDArray[np.float64]
ALPHAS = np.linspace(0.01, 0.99, 50)
BETAS = np.geomspace(0.5, 32, 13)
USUAL_BETA = 4.0  # median of the prior of beta; log-normal with a factor of e a standard deviation
MIN_PLACE = 0.05  # smaller places are not told from none: their logarithm is noise
CHOSEN = {"left": 1.0, "equal": 0.5, "right": 0.0}  # an equal is half a choice of each


@dataclass(frozen=True)
class Taste:
    """What is known of one alpha after some clicks."""

    axes: tuple[str, ...]  # names of the score's axes
    weight: Floats  # probability of each (alpha, beta) of the grid `[A, B]`

    @classmethod
    def of(cls, clicks: Sequence[Click], axes: Sequence[str]) -> "Taste":
        """Fit clicks.

        Args:
            clicks: any number of them; none leaves the prior, in which every alpha is as likely.
            axes: names of the score's axes, of shape (`s`) one.
        """
        log_weight = np.broadcast_to(-0.5 * np.log(BETAS / USUAL_BETA) ** 2, (len(ALPHAS), len(BETAS)))
        if clicks:
            places = [[[side.places[name] for name in axes] for side in (c.left, c.right)] for c in clicks]
            left, right = np.array(places).transpose(1, 0, 2)
            chosen = np.array([CHOSEN[click.answer] for click in clicks])[:, None, None]
            logits = _logits(left, right, axes)
            log_likelihood = -chosen * np.logaddexp(0, -logits) - (1 - chosen) * np.logaddexp(0, logits)
            log_weight = log_weight + log_likelihood.sum(axis=0)
        weight = np.exp(log_weight - log_weight.max())
        return cls(tuple(axes), weight / weight.sum())

    @property
    def alpha(self) -> float:
        """The mean."""
        return float(self.weight.sum(axis=1) @ ALPHAS)

    @property
    def interval(self) -> tuple[float, float]:
        """Between which alpha lies with 95 %."""
        of_alpha = self.weight.sum(axis=1)
        below = np.cumsum(of_alpha) - of_alpha / 2
        low, high = np.interp([0.025, 0.975], below, ALPHAS)
        return float(low), float(high)

    def lead(self, left: Floats, right: Floats) -> Floats:
        """By how much the left ones are ahead under the mean alpha, in logarithms of scores.

        Args:
            left: places `[n, axes]`.
            right: places of their rivals `[n, axes]`.
        """
        weights = np.array(exponents([AxisName(name) for name in self.axes], self.alpha))
        return np.asarray(_log_ratio(left, right) @ weights)

    def gain(self, left: Floats, right: Floats) -> Floats:
        """How much an answer is expected to tell of alpha, for each pair, in nats.

        The mutual information of answer and alpha, whatever beta is (Lindley, *Ann. Math. Statist.* 27, 1956).

        Args:
            left: places `[n, axes]`.
            right: places of their rivals `[n, axes]`.
        """
        chance = 1 / (1 + np.exp(-np.clip(_logits(left, right, self.axes), -50, 50)))
        of_alpha = self.weight.sum(axis=1)
        given_alpha = (chance * self.weight).sum(axis=2) / np.maximum(of_alpha, 1e-300)
        return np.asarray(_entropy(given_alpha @ of_alpha) - _entropy(given_alpha) @ of_alpha)


def _logits(left: Floats, right: Floats, axes: Sequence[str]) -> Floats:
    """Log odds of the left one `[n, A, B]`."""
    names = [AxisName(name) for name in axes]
    weights = np.array([exponents(names, float(alpha)) for alpha in ALPHAS])
    return np.asarray((_log_ratio(left, right) @ weights.T)[:, :, None] * BETAS)


def _log_ratio(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(left, MIN_PLACE)) - np.log(np.maximum(right, MIN_PLACE)))


def _entropy(chance: Floats) -> Floats:
    p = np.clip(chance, 1e-12, 1 - 1e-12)
    return np.asarray(-p * np.log(p) - (1 - p) * np.log(1 - p))
