"""Rendering only as many codes as the decision needs: blends that cannot be the best any more are left out.

Looks at 64, 128, 256, … codes; each look may spend its part of the error (Bonferroni), so the whole race keeps `level`:
with it no blend that is the best, by its score or by its score less its price, is left out, and every bound holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .axis import Floats
from .comparison import LEVEL, compare
from .decision import DELTA, MIN_CODES, Cell, prices


@dataclass(frozen=True)
class Standing:
    """How a race stands after a look.

    Attributes:
        front: index of the blend in front, by score less price.
        stays: indices of the blends that may still be the best.
        decided: whether the regret of the one in front is known to be at most delta, so that the race is over.
    """

    front: int
    stays: list[int]
    decided: bool


def looks(codes: int) -> list[int]:
    """When to look, with at most so many codes: 64, 128, 256, … and the whole."""
    result, look = [], MIN_CODES
    while look < codes:
        result.append(look)
        look *= 2
    return [*result, codes]


def level_of_a_look(count: int, level: float = LEVEL) -> float:
    """Of the statements of one of so many looks, for all of them together to hold with `level`."""
    return 1 - (1 - level) / count


def standing(
    pseudo: Floats,
    cells: Sequence[Cell],
    *,
    level: float,
    weights: Sequence[float] = (0.5, 0.5),
    delta: float = DELTA,
    seed: int = 0,
) -> Standing:
    """Look at a race.

    Args:
        pseudo: pseudo-values `[N, C, A]` of the blends in it.
        cells: they.
        level: of this look.
        weights: exponent of each axis.
        delta: smallest difference that counts.
        seed: of the draws.
    """
    price = prices(cells, delta)
    by_score, by_value = (compare(pseudo, weights=weights, price=p, level=level, seed=seed) for p in (0.0, price))
    front = int(by_value.mean.argmax())
    stays = np.flatnonzero(by_score.candidate | by_value.candidate).tolist()
    return Standing(front, stays, len(stays) == 1 or bool(by_value.regret[front] <= delta))


@dataclass(frozen=True)
class Race:
    """What a race did.

    Attributes:
        pick: index of the blend in front.
        codes: rendered of the blends that stayed to the end.
        rendered: pictures of blends rendered.
        alive: indices of the blends that stayed.
        decided: whether the pick's regret is known to be at most delta.
    """

    pick: int
    codes: int
    rendered: int
    alive: list[int]
    decided: bool


def race(
    pseudo_of: Callable[[int, list[int]], Floats],
    cells: Sequence[Cell],
    codes: int,
    *,
    weights: Sequence[float] = (0.5, 0.5),
    delta: float = DELTA,
    level: float = LEVEL,
) -> Race:
    """Render in doubling batches until the pick is known to be at most delta below the best.

    Args:
        pseudo_of: `(codes, indices of cells) -> [codes, cells, A]`, of the first codes; renders what is missing.
        cells: all.
        codes: at most so many.
        weights: exponent of each axis.
        delta: smallest difference that counts.
        level: of the whole race.
    """
    alive, rendered, before = list(range(len(cells))), 0, 0
    steps = looks(codes)
    part = level_of_a_look(len(steps), level)
    for look in steps:
        rendered, before = rendered + (look - before) * len(alive), look
        pseudo = pseudo_of(look, alive)
        found = standing(pseudo, [cells[i] for i in alive], level=part, weights=weights, delta=delta)
        pick, alive = alive[found.front], [alive[i] for i in found.stays]
        if found.decided:
            break
    return Race(pick, before, rendered, alive, found.decided)
