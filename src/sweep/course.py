"""How far a sweep has come: which cells are still in it, and which of them lack codes.

Without racing every cell is rendered with all codes. In a race (`metrics.cariscore.race`) cells are looked at after 64,
128, 256, … codes, and those that cannot be the best any more get no further ones. All of it follows from the files, so
any process finds the same, and an interrupted sweep goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..metrics import exponents, level_of_a_look, standing
from ..runs import Snapshot
from .features import load_pseudo
from .pictures import UNBLENDED
from .plan import Sweep
from .ranking import Row, as_cell, may_be_recommended

Place = tuple[Snapshot, int]  # of a cell: its snapshot and resolution
Job = tuple[Snapshot, list[int]]  # a snapshot, and the resolutions of its cells


@dataclass(frozen=True)
class Course:
    """Where a sweep is.

    Attributes:
        codes: with which its cells are rendered now.
        racers: the cells that are in it.
        pending: of those, the ones that lack codes; none when the sweep is over.
    """

    codes: int
    racers: list[Place]
    pending: list[Place]

    def jobs(self) -> list[Job]:
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
    racers, codes = [(s, r) for s in sweep.snapshots for r in sweep.recipes], 0
    for codes in sweep.looks:
        keys = {place: sweep.key(*place, codes) for place in racers}
        rows = sweep.table.rows(keys.values())
        incomplete = {s for s, _ in racers if not sweep.table.has(sweep.key(s, UNBLENDED, codes))}
        pending = [place for place, key in keys.items() if key not in rows or place[0] in incomplete]
        if pending:
            return Course(codes, racers, pending), set()
        passing = [p for p in racers if may_be_recommended(rows[keys[p]], gates=sweep.settings.gates)]
        if codes != sweep.looks[0] and len(passing) < len(racers):
            return Course(codes, racers, []), set(racers) - set(passing)
        passing = [place for place in passing if place not in failed]
        if codes == sweep.looks[-1] or not passing:
            break
        left, over = _left(sweep, passing, [rows[keys[place]] for place in passing])
        if over:
            break
        racers = left
    return Course(codes, racers, []), set()


def _left(sweep: Sweep, places: Sequence[Place], rows: Sequence[Row]) -> tuple[list[Place], bool]:
    """The cells that may still be the best after a look, and whether the race is over."""
    found = standing(
        np.stack([load_pseudo(sweep.table.features_path(row["key"])) for row in rows], axis=1),
        [as_cell(row) for row in rows],
        level=level_of_a_look(len(sweep.looks)),
        weights=exponents(sweep.references.axes, sweep.alpha),
        seed=sweep.settings.seed,
    )
    return [places[i] for i in found.stays], found.decided
