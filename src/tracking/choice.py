"""What the page of a sweep shows of each blend, so that a person can choose one: its picture, gates, and commands."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..runs import run_argument
from .charts import cell_id
from .sheets import sheets_within

Row = Mapping[str, Any]
BUDGET = 6_500_000  # bytes of all pictures: the page has the recommended blend's larger once more
RECIPE = ("direction", "level", "width")


def choice_of(sweep_dir: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """What `choose.html` shows of a sweep's blends.

    Returns:
        `cards` (the blends), how many are `failing` a gate, and the sheets of what is `unblended`: the original network
        as `base`, the snapshots by name.
    """
    snapshots = dict.fromkeys(str(row["snapshot"]) for row in rows if row.get("snapshot"))
    paths = {f"cells/{name}.jpg": sweep_dir / "cells" / f"{name}.jpg" for name in ("base", *snapshots)}
    paths |= {row["picture"]: sweep_dir / row["picture"] for row in rows if row.get("picture")}
    sheets = sheets_within(paths, BUDGET)
    run = f"run={run_argument(sweep_dir.parents[1])}"
    cards = [_card(row, run, sheets.get(str(row.get("picture")))) for row in rows]
    known = {name: sheets.get(f"cells/{name}.jpg") for name in ("base", *snapshots)}
    return {
        "cards": cards,
        "failing": sum(bool(card["fails"]) for card in cards),
        "unblended": {name: sheet for name, sheet in known.items() if sheet},
    }


def _card(row: Row, run: str, sheet: str | None) -> dict[str, Any]:
    blend = [run, f"snapshot={row['kimg']:.10g}", f"blend.res={row['resolution']}"]
    blend += [f"blend.{name}={row[name]}" for name in RECIPE if row.get(name) is not None]
    return {
        "row": row,
        "id": cell_id(row),
        "sheet": sheet,
        "fails": [name for name, gate in (row.get("gates") or {}).items() if gate["passed"] is False],
        "generate": shlex.join(["python", "generate.py", *blend]),
        "caricature": shlex.join(["python", "caricature.py", "photos=FOLDER", *blend]),
    }
