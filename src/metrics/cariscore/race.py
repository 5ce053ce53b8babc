"""Rendering only as many codes as the decision needs: blends that cannot be the best any more are left out.

Looks at 64, 128, 256, … codes; each look may spend its part of the error (Bonferroni), so the whole race keeps `level`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .axis import Floats
from .comparison import LEVEL, compare
from .decision import DELTA, MIN_CODES, Cell, prices


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


def looks(codes: int) -> list[int]:
    """When to look, with at most so many codes: 64, 128, 256, … and the whole."""
    result, look = [], MIN_CODES
    while look < codes:
        result.append(look)
        look *= 2
    return [*result, codes]


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
    price, steps = prices(cells, delta), looks(codes)
    for look in steps:
        rendered, before = rendered + (look - before) * len(alive), look
        pseudo = pseudo_of(look, alive)
        found = compare(pseudo, weights=weights, price=price[alive], level=1 - (1 - level) / len(steps))
        front = int(found.mean.argmax())
        pick, decided = alive[front], bool(found.regret[front] <= delta)
        alive = [i for i, stays in zip(alive, found.candidate, strict=True) if stays]
        if decided or len(alive) == 1:
            decided = True
            break
    return Race(pick, before, rendered, alive, decided)
