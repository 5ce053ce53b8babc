"""Which blend of a sweep to recommend, how sure that is, and what would make it surer.

The pick has the highest score less its price: a doubling of training must bring `DELTA`, a doubling of the blend's
resolution half of it. The price is a constant, so the pick does not hang on how many codes were rendered, as the
earliest of those that cannot be told apart would.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .axis import Floats
from .comparison import LEVEL, Comparison, compare, may_be_best

MIN_CODES = 64  # fewer do not tell their own spread
DELTA = 0.01  # smallest difference of scores that counts
RESOLUTION_PRICE = 0.5  # of a doubling of the blend's resolution, in doublings of training
ONE_SIDED = 1.645  # standard errors of a one-sided 95 % statement


@dataclass(frozen=True)
class Cell:
    """A blend of a sweep."""

    label: str
    kimg: float  # training of its snapshot, above 0
    resolution: int  # at which the two networks meet


@dataclass(frozen=True)
class Note:
    """Something to be said beside the recommendation."""

    kind: str  # `more_codes`, `flat`, `unseparated`, `add_resolution`, `train_longer`, `earlier_snapshots`
    value: int = 0  # the number of codes, the resolution, or the number of blends that it speaks of; 0 for none
    sure: bool = True  # whether the score is known to rise there, at 95 %, rather than not known to fall


@dataclass(frozen=True)
class Decision:
    """A recommendation; `level` holds for all its statements at once."""

    pick: int  # index of the recommended blend
    below_best: float  # its score is at most so much below the best one's
    regret: float  # the same of the score less its price
    candidates: list[int]  # indices of the blends that may have the best score
    equals: list[int]  # indices of the blends that are surely less than `DELTA` below it
    share: float  # of the draws in which the same rule picks it
    scores: Comparison  # all blends, by score
    notes: list[Note]  # what to say beside it


def prices(cells: Sequence[Cell], delta: float = DELTA) -> Floats:
    """What each blend must bring `[C]`."""
    return np.array([delta * (np.log2(c.kimg) + RESOLUTION_PRICE * np.log2(c.resolution)) for c in cells])


def decide(
    pseudo: Floats,
    cells: Sequence[Cell],
    *,
    weights: Sequence[float] = (0.5, 0.5),
    delta: float = DELTA,
    level: float = LEVEL,
    resolutions: Sequence[int] = (),
    grid: Sequence[Cell] | None = None,
    stopped: Sequence[Cell] = (),
    unblended: Floats | None = None,
    seed: int = 0,
) -> Decision | None:
    """Recommend a blend.

    Args:
        pseudo: pseudo-values `[N, C, A]` of the blends that may be recommended.
        cells: they.
        weights: exponent of each axis.
        delta: smallest difference that counts.
        level: of the statements.
        resolutions: at which the networks could be blended.
        grid: `cells` and those that a race has left out, since they cannot be the best; None for no others.
        stopped: cells that a gate keeps from being recommended: the grid has been looked at as far as they go.
        unblended: pseudo-values `[N, K, A]` of un-blended snapshots: never recommended, but told of when one may be
            as good as the best blend.
        seed: of the draws.

    Returns:
        The decision; None for fewer than `MIN_CODES` codes.
    """
    codes = len(pseudo)
    if codes < MIN_CODES:
        return None
    scores = compare(pseudo, weights=weights, level=level, seed=seed)
    values = scores.less(prices(cells, delta))
    pick = int(values.mean.argmax())
    regret = float(values.regret[pick])
    notes = []
    if regret > delta:
        notes.append(Note("more_codes", _codes_needed(values, pick, codes, delta)))
    grid = cells if grid is None else grid
    if scores.candidate.sum() >= max(len(grid) / 2, 3) and regret <= 2 * delta:
        notes.append(Note("flat", int(scores.candidate.sum())))
    if unblended is not None and _reaches(pseudo, unblended, weights, level, seed):
        notes.append(Note("unseparated"))
    notes += _edges(values, pick, cells, grid, stopped, resolutions)
    return Decision(
        pick=pick,
        below_best=float(scores.regret[pick]),
        regret=regret,
        candidates=np.flatnonzero(scores.candidate).tolist(),
        equals=np.flatnonzero(scores.regret <= delta).tolist(),
        share=float(values.share[pick]),
        scores=scores,
        notes=notes,
    )


def _codes_needed(values: Comparison, pick: int, codes: int, delta: float) -> int:
    """How many codes would bring the pick's regret down to delta, were all gaps as they look now."""
    rivals = values.candidate.copy()
    rivals[pick] = False
    room = delta + values.mean[pick] - values.mean[rivals]
    reach = values.critical[rivals] * values.gap_error[pick, rivals]
    return int(np.ceil(codes * float(np.square(reach / room).max(initial=1.0))))


def _reaches(blends: Floats, unblended: Floats, weights: Sequence[float], level: float, seed: int) -> bool:
    """Whether an un-blended snapshot may have the best score of all."""
    everything, which = np.concatenate([blends, unblended], axis=1), slice(blends.shape[1], None)
    return bool(may_be_best(everything, which, weights=weights, level=level, seed=seed).any())


def _edges(
    values: Comparison,
    pick: int,
    cells: Sequence[Cell],
    grid: Sequence[Cell],
    stopped: Sequence[Cell],
    resolutions: Sequence[int],
) -> list[Note]:
    """The best may lie outside of the grid: the pick is at its end, and the score is not known to fall towards it."""
    chosen, notes, seen = cells[pick], [], [*grid, *stopped]
    sizes, kimgs = sorted({c.resolution for c in seen}), sorted({c.kimg for c in seen})

    def rises(kimg: float, inner: Sequence[int]) -> bool:
        """Whether the pick is surely better than its neighbour inwards, where there is one."""
        for cell in grid:
            if cell.kimg == kimg and cell.resolution in inner:
                if cell not in cells:
                    return True  # a race has left it out
                i = cells.index(cell)
                return bool(values.mean[pick] - values.mean[i] > ONE_SIDED * values.gap_error[pick, i])
        return False

    larger = [r for r in resolutions if r > sizes[-1]]
    smaller = [r for r in resolutions if r < sizes[0]]
    if larger and chosen.resolution == sizes[-1]:
        notes.append(Note("add_resolution", min(larger), rises(chosen.kimg, sizes[-2:-1])))
    if smaller and chosen.resolution == sizes[0]:
        notes.append(Note("add_resolution", max(smaller), rises(chosen.kimg, sizes[1:2])))
    for end, inner, kind in ((-1, -2, "train_longer"), (0, 1, "earlier_snapshots")):
        if len(kimgs) > 1 and chosen.kimg == kimgs[end]:
            notes.append(Note(kind, sure=rises(kimgs[inner], [chosen.resolution])))
    return notes
