"""What 10,000 cells at 1024 px would cost, by the measured pieces. An estimate: no such sweep was made."""

from collections.abc import Mapping
from typing import Any

SNAPSHOTS, RESOLUTIONS, CODES = 1250, 8, 256
CELLS = SNAPSHOTS * RESOLUTIONS
HOUR, GB = 3600, 1e9
PAGE_PX, DRAWS = 640, 2000  # width of a cell's picture while the page is made; replicates of a comparison


def estimate(record: Mapping[str, Any]) -> list[dict[str, float]]:
    """Put the pieces together.

    Args:
        record: of the parts `cells`, `table` and `large`.

    Returns:
        Core hours and gigabytes, two digits of each; a snapshot's sets are its blends and itself.
    """
    whole, narrow = record["large"]["rows"]
    judged = next(row for row in record["cells"]["rows"] if row["codes"] == CODES)
    many = next(row for row in reversed(record["table"]["rows"]) if "rank" in row)
    pictures = SNAPSHOTS * (RESOLUTIONS + 1) * CODES
    sets = SNAPSHOTS * (RESOLUTIONS + 1)
    seconds = {
        "render": pictures * whole["render_sec"] / whole["pictures"],
        "features": pictures * narrow["features"] / (_sets(narrow) * narrow["codes"]),
        "judge": sets * judged["judge"] / _sets(judged),
        "write": sets * narrow["write"] / _sets(narrow),
        "load": SNAPSHOTS
        * narrow["load"]
        / narrow["snapshots"]
        * whole["snapshot_bytes"]
        / narrow["bytes"]["snapshot"],
        "rank (one core, square of the cells)": many["rank"] * (CELLS / many["cells"]) ** 2,
        "page (one core)": many["page"] * CELLS / many["cells"],
    }
    size = narrow["bytes"]
    moved = {
        "read, snapshots, by jobs (digest, load)": 2 * SNAPSHOTS * whole["snapshot_bytes"],
        "read, snapshots, by the process that launches (digests)": SNAPSHOTS * whole["snapshot_bytes"],
        "read, base, by jobs that each start a process": SNAPSHOTS * whole["snapshot_bytes"],
        "read, rows, half of them a job": SNAPSHOTS * CELLS / 2 * size["row"],
        "written, pictures": sets * size["picture"],
        "written, features": sets * judged["bytes"]["features"],
        "memory for the page's pictures": CELLS * 3 * PAGE_PX**2,
        "memory for an array of a comparison": max(CELLS**2, DRAWS * CELLS) * 8,
    }
    return [
        {f"{name}, core hours": float(f"{value / HOUR:.2g}") for name, value in seconds.items()},
        {f"{name}, GB": float(f"{value / GB:.2g}") for name, value in moved.items()},
    ]


def _sets(row: Mapping[str, Any]) -> int:
    return int(row["snapshots"] * (row["resolutions"] + 1))
