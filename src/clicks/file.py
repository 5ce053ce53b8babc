"""`clicks.jsonl`: a line a click, only ever appended to.

A line holds all that a fit needs, so files of several sittings, people and sweeps are merged by writing one behind the
other; a click that stands in two of them counts once. A click that was taken back stays, and a later line says so.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import UserError
from ..files import append_lines

CLICKS = "clicks.jsonl"
Answer = Literal["left", "right", "equal"]


@dataclass(frozen=True)
class Side:
    """A blend as it stood when it was shown."""

    label: str  # which, such as `kimg-000004.00/16`
    key: str  # its identity in the sweep: snapshot file, resolution, protocol
    places: Mapping[str, float]  # on the score's axes, by name
    kid: float | None = None  # of its snapshot; None when it was not measured


@dataclass(frozen=True)
class Click:
    """One answer."""

    left: Side
    right: Side
    answer: Answer  # which was liked better
    who: str  # gave it
    codes: tuple[int, ...] = ()  # numbers of the common codes whose pictures were shown
    id: str = field(default_factory=lambda: uuid.uuid4().hex)  # of this click, in any file
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))  # when, in UTC

    @property
    def pair(self) -> frozenset[str]:
        """The keys of both blends, whichever side they were on."""
        return frozenset((self.left.key, self.right.key))


def append_click(path: Path, click: Click) -> None:
    """Append a click.

    Raises:
        UserError: when the file cannot be written.
    """
    append_lines(path, [json.dumps(asdict(click))])


def undo_click(path: Path, click: Click) -> None:
    """Take a click back, by a line of its own.

    Raises:
        UserError: when the file cannot be written.
    """
    append_lines(path, [json.dumps({"undo": click.id})])


def read_clicks(path: Path) -> list[Click]:
    """Read the clicks that count, in their order; a line that a crash cut short is left out.

    Raises:
        UserError: when the file cannot be read, or a line is something else than a click.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); python pick.py makes such a file") from error
    clicks: dict[str, Click] = {}
    undone = set()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("undo"), str):
            undone.add(row["undo"])
            continue
        click = _click(row)
        if click is None:
            raise UserError(f"{path}: line {number} is no click: give a file that pick.py wrote, or several in one")
        clicks[click.id] = click
    return [click for click in clicks.values() if click.id not in undone]


def _click(row: Any) -> Click | None:
    """A click of its line; None for anything else."""
    try:
        sides = {name: _side(row[name]) for name in ("left", "right")}
        click = Click(**{**row, **sides, "codes": tuple(row["codes"])})
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return click if click.answer in get_args(Answer) and click.left.places.keys() == click.right.places.keys() else None


def _side(row: Mapping[str, Any]) -> Side:
    places = {str(name): float(place) for name, place in row["places"].items()}
    kid = None if row["kid"] is None else float(row["kid"])
    return Side(str(row["label"]), str(row["key"]), places, kid)
