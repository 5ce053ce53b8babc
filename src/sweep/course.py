"""How far a sweep has come: which cells are still in it, and which of them lack codes.

Without racing every cell is rendered with all codes. In a race (`metrics.cariscore.race`) cells are looked at after 64,
128, 256, … codes, and those that cannot be the best any more get no further ones. All of it follows from the files, so
any process finds the same, and an interrupted sweep goes on where it was.
"""

from dataclasses import dataclass

import numpy as np

from ..metrics import Cell, exponents, race
from ..runs import Snapshot
from .features import load_pseudo
from .pictures import UNBLENDED
from .plan import Sweep
from .ranking import may_be_recommended

Place = tuple[Snapshot, int]  # of a cell: its snapshot and resolution


@dataclass(frozen=True)
class Course:
    """Where a sweep is."""

    codes: int  # with which its cells are rendered now
    racers: list[Place]  # the cells that are in it
    pending: list[Place]  # of those, the ones that lack codes; none when the sweep is over

    def jobs(self) -> list[tuple[Snapshot, list[int]]]:
        """What is to be rendered: snapshots, each with resolutions."""
        snapshots = dict.fromkeys(snapshot for snapshot, _ in self.pending)
        return [(s, [r for other, r in self.pending if other == s]) for s in snapshots]


def course_of(sweep: Sweep) -> Course:
    """Find out where a sweep is; its references are there.

    A cell that passed its gates and fails one with more codes has put out others for nothing, so the race is run again
    without it: those that it had put out may get further codes.
    """
    failed: set[Place] = set()
    while True:
        course, newly = _run(sweep, failed)
        if not newly:
            return course
        failed |= newly


def _run(sweep: Sweep, failed: set[Place]) -> tuple[Course, set[Place]]:
    """The race without the cells that failed; and those that fail now."""
    grid = [(snapshot, resolution) for snapshot in sweep.snapshots for resolution in sweep.recipes]

    def pseudo_of(codes: int, racing: list[int]) -> np.ndarray:
        paths = [sweep.table.features_path(sweep.key(*grid[i], codes)) for i in racing]
        return np.stack([load_pseudo(path) for path in paths], axis=1)

    racers, codes, weights = grid, 0, exponents(sweep.references.axes, sweep.alpha)
    cells = [Cell(snapshot.name, snapshot.kimg, resolution) for snapshot, resolution in grid]
    for codes, racing in race(cells, sweep.looks, pseudo_of, weights=weights, seed=sweep.settings.seed):
        racers = [grid[i] for i in racing]
        keys = {place: sweep.key(*place, codes) for place in racers}
        rows = sweep.table.rows(keys.values())
        incomplete = {s for s, _ in racers if not sweep.table.has(sweep.key(s, UNBLENDED, codes))}
        pending = [place for place, key in keys.items() if key not in rows or place[0] in incomplete]
        if pending:
            return Course(codes, racers, pending), set()
        out = {p for p in racers if not may_be_recommended(rows[keys[p]], gates=sweep.settings.gates)}
        if out and codes != sweep.looks[0]:
            return Course(codes, racers, []), out
        racing[:] = [i for i in racing if grid[i] not in out | failed]
    return Course(codes, racers, []), set()
