"""Rendering only as many codes as the decision needs: blends that cannot be the best any more are left out.

Looks at 64, 128, 256, … codes; each look may spend its part of the error (Bonferroni), so the whole race keeps `LEVEL`:
with it no blend that is the best, by its score or by its score less its price, is left out, and every bound holds.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .axis import Floats
from .comparison import LEVEL, compare
from .decision import DELTA, MIN_CODES, Cell, prices


def looks(codes: int) -> list[int]:
    """When to look, with at most so many codes: 64, 128, 256, … and the whole."""
    result, look = [], MIN_CODES
    while look < codes:
        result.append(look)
        look *= 2
    return [*result, codes]


def level_of_a_look(count: int) -> float:
    """Of the statements of one of so many looks, for all of them together to hold with `LEVEL`."""
    return 1 - (1 - LEVEL) / count


def race(
    cells: Sequence[Cell],
    counts: Sequence[int],
    pseudo_of: Callable[[int, list[int]], Floats],
    *,
    weights: Sequence[float] = (0.5, 0.5),
    delta: float = DELTA,
    seed: int = 0,
) -> Iterator[tuple[int, list[int]]]:
    """Race blends until one is left, or the one in front is known to be at most `delta` below the best.

    Args:
        cells: the blends.
        counts: of codes, when to look (see `looks`); with the last of them the blends are not compared here.
        pseudo_of: `(codes, indices) -> [codes, len(indices), A]`: pseudo-values of blends of the first codes.
        weights: exponent of each axis.
        delta: smallest difference that counts.
        seed: of the draws.

    Yields:
        How many codes, and the list of the blends' indices that are to have as many before the next is asked for;
        those that the caller removes from it are out.
    """
    racing, level = list(range(len(cells))), level_of_a_look(len(counts))
    for codes in counts:
        yield codes, racing
        if codes == counts[-1] or not racing:
            return
        pseudo, price = pseudo_of(codes, racing), prices([cells[i] for i in racing], delta)
        by_score = compare(pseudo, weights=weights, level=level, seed=seed)
        by_value = by_score.less(price)
        stay = np.flatnonzero(by_score.candidate | by_value.candidate)
        if len(stay) == 1 or by_value.regret[by_value.mean.argmax()] <= delta:
            return
        racing = [racing[i] for i in stay]
