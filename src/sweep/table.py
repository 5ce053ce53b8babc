"""The rows of a sweep, a row a cell, in two files.

`features/cells.jsonl` holds all that were ever made, not scored; jobs append to it, also from several processes, and
nothing is taken out. Each row has a checksum: one that a crash or a disk has changed counts as not there, and its cell
is made again, like one whose features are damaged. Rows of other settings or of another grid stay there with their
features and pictures, so that coming back to them costs nothing. `cells.jsonl` holds the scored rows of the grid that
was ranked last.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..files import append_lines, write_text
from ..tracking import read_rows
from .features import has_features, has_picture

CHECKSUM = "crc32"  # of a row without it


class CellTable:
    """The rows of one sweep folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "cells.jsonl"
        self.kept_path = folder / "features" / "cells.jsonl"

    def rows(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Rows by key, in the order of the keys, as far as their files are there and whole."""
        known = self._kept()
        return {key: known[key] for key in keys if key in known and self.has(key)}

    def open(self, protocol: Mapping[str, Any]) -> int:
        """Make the folder's beginnings; returned is how many rows of another protocol there are."""
        append_lines(self.kept_path, [])
        return sum(row["protocol"] != dict(protocol) for row in self._kept().values())

    def has(self, key: str) -> bool:
        """Whether the features and the picture under `key` are there and whole."""
        return has_features(self.features_path(key)) and has_picture(self.picture_path(key))

    def lock_path(self, key: str) -> Path:
        """The lock of whom makes what is under `key`."""
        return self.folder / "features" / f".{key}.lock"

    def damaged(self, keys: Iterable[str]) -> list[str]:
        """Those of a grid's cells that are there, but not whole."""
        keys = list(keys)
        whole, known = self.rows(keys), {*self._kept(), *(key for key in keys if self.features_path(key).is_file())}
        return [key for key in keys if key in known and key not in whole]

    def features_path(self, key: str) -> Path:
        """Where the features under `key` are."""
        return self.folder / "features" / f"{key}.npz"

    def picture_path(self, key: str) -> Path:
        """Where the picture under `key` is kept."""
        return self.folder / "features" / f"{key}.jpg"

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row with its checksum, so that rows of parallel jobs do not mix."""
        append_lines(self.kept_path, [json.dumps({**row, CHECKSUM: _checksum(row)})])

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rewrite `cells.jsonl`, whole or not at all."""
        write_text(self.path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))

    def scored(self) -> list[dict[str, Any]]:
        """The scored rows of the grid that was ranked last."""
        return read_rows(self.path)

    def _kept(self) -> dict[str, dict[str, Any]]:
        rows = ((row.pop(CHECKSUM, None), row) for row in read_rows(self.kept_path))
        return {row["key"]: row for checksum, row in rows if checksum == _checksum(row)}


def _checksum(row: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(row, sort_keys=True).encode()):08x}"
