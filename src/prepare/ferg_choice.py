"""Which frames of a FERG tree become the data set: balanced, chosen by stride or difference, bad ones replaced."""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data import BadPicture, Source
from ..lock import exclusive
from .farthest import farthest, neighbour, stride, thumbnail, widest_gap
from .ferg import Cell, Frame, TooFew, Tree, balanced_counts
from .parallel import in_order
from .settings import PrepareSettings
from .work_folder import Unfinished

#: Frames that `farthest` looks at for each picture it takes: neighbours are near-duplicates, all of them are too many.
CANDIDATES = 16
#: Makes pictures of frames and returns those that cannot be used: index to reason.
Make = Callable[[Iterable[Frame]], dict[int, str]]


class FergChoice:
    """A balanced choice of frames that settles on frames that can be used."""

    def __init__(self, tree: Tree, count: int, bad: dict[int, str]) -> None:
        #: `bad`: index of a file in the source to why it cannot be used, as given and as found since.
        self.tree, self.count, self.bad = tree, count, dict(bad)
        self.picks: dict[Cell, list[Frame]] = {}  # chosen of each cell

    def frames(self) -> list[Frame]:
        """The chosen ones."""
        return [f for cell in sorted(self.picks) for f in self.picks[cell]]

    def usable(self, cell: Cell) -> list[Frame]:
        """Frames of a cell that are not known to be bad."""
        return [f for f in self.tree.cells[cell] if f.index not in self.bad]

    def counts(self) -> dict[Cell, int]:
        """How many frames to take of each cell."""
        return balanced_counts({cell: len(self.usable(cell)) for cell in self.tree.cells}, self.count)

    def choose(self, choose: Callable[[list[Frame], int], list[Frame]]) -> None:
        """Make the first choice: `choose(frames, count)` of every cell."""
        for cell, count in self.counts().items():
            self.picks[cell] = choose(self.usable(cell), count)

    def settle(self, make: Make) -> None:
        """Make the pictures; replace what turns out bad by neighbours, its cell's lack by other cells' frames."""
        while bad := make(self.frames()):
            self.bad |= bad
            for cell, count in self.counts().items():
                self.picks[cell] = self._mended(cell, count)

    def look_at_all(self, make: Make) -> None:
        """Make all pictures that may be usable, so that `bad` is all that is not."""
        self.bad |= make(f for cell in sorted(self.tree.cells) for f in self.usable(cell))

    def _mended(self, cell: Cell, count: int) -> list[Frame]:
        by_number = {f.frame: f for f in self.usable(cell)}
        used = [f.frame for f in self.picks[cell] if f.index not in self.bad]
        failed = [f.frame for f in self.picks[cell] if f.index in self.bad]
        numbers = sorted(by_number)
        for wanted in failed:
            used += _one(neighbour(numbers, wanted, used))
        while len(used) < count:
            used += _one(widest_gap(numbers, used))
        return [by_number[n] for n in sorted(used)[:count]]


def _one(number: int | None) -> list[int]:
    return [] if number is None else [number]


def first_choice(choice: FergChoice, settings: PrepareSettings, source: Source, work: Unfinished) -> None:
    """Choose frames as `settings.select` says; a choice that an earlier start made is taken up again."""
    if settings.select != "farthest":
        choice.choose(lambda frames, count: [frames[i] for i in stride(len(frames), count)])
        return
    with exclusive(work.folder / "choice.lock"):  # of jobs the first compares, the others wait for what it has found
        known = work.load("choice")
        if known is None:
            with suppress(TooFew):  # which all of them raise below
                _compare(choice, settings, source)
            bad = [[index, reason] for index, reason in choice.bad.items()]
            work.save("choice", known := {"taken": sorted(f.index for f in choice.frames()), "bad": bad})
    choice.bad |= {int(index): str(reason) for index, reason in known["bad"]}
    choice.counts()
    taken = set(known["taken"])
    choice.picks = {cell: [f for f in frames if f.index in taken] for cell, frames in choice.tree.cells.items()}


def _compare(choice: FergChoice, settings: PrepareSettings, source: Source) -> None:
    """Look at the thumbnails of `CANDIDATES` frames a picture, and take the most different ones of each cell."""

    def look(frame: Frame) -> np.ndarray | str:
        try:
            return thumbnail(source.read(frame.name), settings.backdrop.behind, settings.max_pixels)
        except BadPicture as error:
            return str(error)

    seen: dict[int, np.ndarray] = {}
    while todo := _unseen(choice, seen):
        for frame, found in tqdm(in_order(look, todo), total=len(todo), desc="comparing", unit="img", disable=None):
            if isinstance(found, str):
                choice.bad[frame.index] = found
            else:
                seen[frame.index] = found

    def most_different(frames: list[Frame], count: int) -> list[Frame]:
        known = [f for f in frames if f.index in seen]
        return [known[i] for i in farthest(np.stack([seen[f.index] for f in known]), count)] if count else []

    choice.choose(most_different)


def _unseen(choice: FergChoice, seen: Collection[int]) -> list[Frame]:
    """Candidates still to be looked at, evenly over the frames of each cell that has too few."""
    todo: list[Frame] = []
    for cell, count in choice.counts().items():
        frames = choice.usable(cell)
        if sum(f.index in seen for f in frames) < count:
            candidates = stride(len(frames), min(len(frames), CANDIDATES * count))
            todo += [frames[i] for i in candidates if frames[i].index not in seen]
    return todo


def describe(choice: FergChoice, empty: Collection[Cell]) -> dict[str, Any]:
    """Plain data for the report: pictures of each cell, numbers that are missing, cells that could not be filled."""
    counts = {cell: len(frames) for cell, frames in choice.picks.items()}
    most = max(counts.values())
    table: dict[str, dict[str, int]] = {}
    for (character, expression), n in sorted(counts.items()):
        table.setdefault(character, {})[expression] = n
    return {
        "files": sum(len(frames) for frames in choice.tree.cells.values()),
        "cells": table,
        "short": {"_".join(cell): n for cell, n in sorted(counts.items()) if n < most - 1},
        "empty": ["_".join(cell) for cell in empty],
        "missing_numbers": {"_".join(cell): numbers for cell, numbers in sorted(choice.tree.missing.items())},
    }
