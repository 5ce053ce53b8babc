"""`cells.jsonl`: a row a cell. Jobs append to it, also from several processes; the end of a sweep rewrites it scored.

It holds the rows of the grid that was asked for last. Rows of the same protocol outside that grid (another choice of
resolutions or snapshots) wait in `features/cells.jsonl`, so that coming back to them costs nothing.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import write_text
from ..tracking import read_rows
from .features import has_features

SCORES = ("s", "r", "cari", "share", "eligible")


class CellTable:
    """The rows of one sweep folder.

    Args:
        folder: of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "cells.jsonl"
        self.kept_path = folder / "features" / "cells.jsonl"

    def rows(self) -> dict[str, dict[str, Any]]:
        """The grid's rows by key."""
        return {row["key"]: row for row in read_rows(self.path)}

    def open(self, keys: Sequence[str], protocol: Mapping[str, Any]) -> int:
        """Make the table that of a grid: its known rows stand in it, in the grid's order, not scored yet.

        Args:
            keys: of the grid's cells.
            protocol: rows of another one are dropped.

        Returns:
            How many rows of another protocol were dropped.
        """
        known = {row["key"]: row for row in read_rows(self.kept_path)} | self.rows()
        usable = {key: row for key, row in known.items() if row["protocol"] == dict(protocol) and self.complete(row)}
        if known:
            cleared = {key: {**row, **dict.fromkeys(SCORES), "gates": {}} for key, row in usable.items()}
            write_rows(self.kept_path, (row for key, row in cleared.items() if key not in keys))
            write_rows(self.path, (cleared[key] for key in keys if key in cleared))
        return sum(row["protocol"] != dict(protocol) for row in known.values())

    def complete(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's files are there and whole."""
        return has_features(self.features_path(row["key"])) and (self.folder / row["picture"]).is_file()

    def features_path(self, key: str) -> Path:
        """Where the features under `key` are."""
        return self.folder / "features" / f"{key}.npz"

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row in a single write, so that rows of parallel jobs do not mix."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(target).st_size
            torn = size > 0 and os.pread(target, 1, size - 1) != b"\n"  # a crash cut the last row short
            os.write(target, (("\n" if torn else "") + json.dumps(row) + "\n").encode())
        finally:
            os.close(target)

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rewrite the table, whole or not at all."""
        write_rows(self.path, rows)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSONL file, whole or not at all."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
