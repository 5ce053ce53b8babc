"""FERG-DB: its tree of `character/character_expression/character_expression_number.png`, and a balanced choice from it.

Aneja et al., "Modeling Stylized Character Expressions via Deep Learning", ACCV 2016: renders of six characters with
seven expressions each, consecutive frames of animations.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import UserError

CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
EXPRESSIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
DEFAULT_COUNT = 776  # of the data set of the first caricature models
_NAME = re.compile(r"([a-z]+)_([a-z]+)_([0-9]+)\.png", re.IGNORECASE)

Cell = tuple[str, str]


@dataclass(frozen=True)
class Frame:
    """One picture of the tree."""

    index: int  # its place in the source's list of names
    name: str  # of its file in the source
    frame: int  # its own number


class TooFew(UserError):
    """More pictures are asked for than there are; the message says how many there are."""


@dataclass
class Tree:
    """What a FERG tree holds."""

    # frames of each (character, expression), by their numbers
    cells: dict[Cell, list[Frame]] = field(default_factory=dict)
    strange: dict[str, str] = field(default_factory=dict)  # name of a file to why it is not part of the set
    # numbers left out between a cell's first (1) and last frame
    missing: dict[Cell, list[int]] = field(default_factory=dict)

    @property
    def characters(self) -> list[str]:
        """Those that have pictures, in alphabetical order."""
        return sorted({character for character, _ in self.cells})

    def empty_cells(self) -> list[Cell]:
        """Cells of the known 6 x 7 without a picture."""
        return [(c, e) for c in CHARACTERS for e in EXPRESSIONS if not self.cells.get((c, e))]


def read_tree(names: Sequence[str], ignored_suffixes: frozenset[str] = frozenset()) -> Tree:
    """Sort file names into the cells of a FERG tree, wherever in the source it lies; some suffixes are passed over."""
    tree = Tree()
    for index, name in enumerate(names):
        parts = name.replace("\\", "/").split("/")
        match = _NAME.fullmatch(parts[-1])
        if match is None:
            if not parts[-1]:
                tree.strange[name] = "a folder that cannot be read"
            elif f".{parts[-1].rpartition('.')[2].lower()}" not in ignored_suffixes:
                tree.strange[name] = "not named character_expression_number.png"
            continue
        cell = (match[1].lower(), match[2].lower())
        if cell[0] not in CHARACTERS or cell[1] not in EXPRESSIONS:
            tree.strange[name] = f"no character {cell[0]} with {cell[1]} in FERG"
        elif [p.lower() for p in parts[-3:-1]] != [cell[0], "_".join(cell)]:
            tree.strange[name] = f"not in a folder {cell[0]}/{'_'.join(cell)}"
        else:
            tree.cells.setdefault(cell, []).append(Frame(index, name, int(match[3])))
    if not tree.cells:
        raise UserError(
            "source holds no file such as aia/aia_anger/aia_anger_1.png: give the folder FERG_DB_256, or for other "
            "pictures dataset=folder"
        )
    for cell, frames in tree.cells.items():
        frames.sort(key=lambda f: (f.frame, f.index))
        _drop_repeats(tree, frames)
        there = {f.frame for f in frames}
        absent = [n for n in range(1, min(frames[-1].frame, 10 * len(frames))) if n not in there]
        if absent:
            tree.missing[cell] = absent
    return tree


def _drop_repeats(tree: Tree, frames: list[Frame]) -> None:
    kept: list[Frame] = []
    for frame in frames:
        if kept and kept[-1].frame == frame.frame:
            tree.strange[frame.name] = f"the same frame as {kept[-1].name}"
        else:
            kept.append(frame)
    frames[:] = kept


def balanced_counts(available: Mapping[Cell, int], count: int) -> dict[Cell, int]:
    """Share `count` pictures out to cells: as equal as the cells allow, the remainder even over both axes.

    Without lack the cells differ by at most 1, and so do the sums of the characters and those of the expressions. What
    a cell lacks is shared by all others; TooFew where all together lack some.
    """
    total = sum(available.values())
    if total < count:
        raise TooFew(f"count={count}: the source has {total} usable pictures, ask for at most {total}")
    level = _level(available, count)
    taken = {cell: min(have, level) for cell, have in available.items()}
    order = {cell: i for i, cell in enumerate(_diagonal(sorted(available)))}
    by_character, by_expression = Counter[str](), Counter[str]()
    for (character, expression), n in taken.items():
        by_character[character] += n
        by_expression[expression] += n
    open_cells = {cell for cell, have in available.items() if have > level}
    for _ in range(count - sum(taken.values())):
        cell = min(open_cells, key=lambda c: (by_character[c[0]], by_expression[c[1]], order[c]))
        open_cells.remove(cell)
        taken[cell] += 1
        by_character[cell[0]] += 1
        by_expression[cell[1]] += 1
    return taken


def _level(available: Mapping[Cell, int], count: int) -> int:
    """The largest level to which all cells can be filled, as far as they have, with at most `count` in all."""
    low, high = 0, max(available.values(), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(have, middle) for have in available.values()) <= count:
            low = middle
        else:
            high = middle - 1
    return low


def _diagonal(cells: Sequence[Cell]) -> list[Cell]:
    """An order of cells in which every beginning is spread evenly over characters and over expressions."""
    characters, expressions = sorted({c for c, _ in cells}), sorted({e for _, e in cells})
    rows, columns = len(characters), len(expressions)
    period = math.lcm(rows, columns) if rows and columns else 1
    everywhere = [
        (characters[i % rows], expressions[(i % columns + i // period) % columns]) for i in range(rows * columns)
    ]
    wanted = set(cells)
    return [cell for cell in everywhere if cell in wanted]
