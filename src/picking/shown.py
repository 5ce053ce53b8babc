"""The blends of a finished sweep that a person is asked about, and their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from ..clicks import MIN_PLACE, Side
from ..data import jpeg_text
from ..errors import UserError
from ..files import read_json
from ..runs import CELL_COLUMNS, CELL_FACES, RANKING
from ..tracking import read_rows

MIN_BLENDS = 4
FACE_PX = 384
ORIGINAL = "cells/base.jpg"


@dataclass(frozen=True)
class Blends:
    """What there is to choose from."""

    folder: Path  # of the sweep
    axes: tuple[str, ...]  # names of the score's axes
    sides: list[Side]  # the blends
    pictures: dict[str, Path]  # of each blend, by its key: sixteen faces of common codes in one file
    protocol: dict[str, Any]  # of the sweep: which codes the pictures are of, among others

    @classmethod
    def of(cls, folder: Path) -> "Blends":
        """Read a sweep: the blends that pass its gates and have something of each demand."""
        axes = tuple(axis["name"] for axis in read_json(folder / RANKING).get("axes", ()))
        if not axes:
            raise UserError(f"{folder} was ranked by an earlier score: run sweep.py again")
        kids = {row.get("kimg"): row.get("kid") for row in read_rows(folder.parents[1] / "metrics.jsonl")}
        rows = [row for row in read_rows(folder / "cells.jsonl") if row["kimg"] > 0 and row["eligible"]]
        rows = [row for row in rows if min(row[name] for name in axes) >= MIN_PLACE]
        rows = [row for row in rows if (folder / row["picture"]).is_file()]
        if len(rows) < MIN_BLENDS:
            raise UserError(
                f"{folder}: {len(rows)} blends pass the gates with at least {MIN_PLACE} on each axis, {MIN_BLENDS} are "
                "needed to choose between: train longer, or sweep more resolutions"
            )
        sides = [Side(r["label"], r["key"], {name: r[name] for name in axes}, kids.get(r["kimg"])) for r in rows]
        pictures = {row["key"]: folder / row["picture"] for row in rows}
        return cls(folder, axes, sides, pictures, read_json(folder / RANKING)["protocol"])

    def faces(self, key: str | None, codes: Sequence[int]) -> list[str]:
        """Pictures of some codes as data URIs: of a blend, or with None of the original network.

        A sweep that has been made anew since with other codes, or of another base, is refused.
        """
        if read_json(self.folder / RANKING)["protocol"] != self.protocol:
            raise UserError(f"{self.folder} has been swept again otherwise: start pick.py again")
        path = self.folder / ORIGINAL if key is None else self.pictures[key]
        return [_faces(path, path.stat().st_mtime_ns)[code] for code in codes]


@lru_cache(maxsize=64)
def _faces(path: Path, changed: int) -> tuple[str, ...]:
    """The sixteen faces of a picture, one by one."""
    try:
        with Image.open(path) as file:
            grid = file.convert("RGB")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): run sweep.py again") from error
    w, h = grid.width // CELL_COLUMNS, grid.height * CELL_COLUMNS // CELL_FACES
    found = []
    for i in range(CELL_FACES):
        left, top = w * (i % CELL_COLUMNS), h * (i // CELL_COLUMNS)
        face = jpeg_text(grid.crop((left, top, left + w, top + h)), FACE_PX, quality=92, subsampling=0)
        found.append(f"data:image/jpeg;base64,{face}")
    return tuple(found)
