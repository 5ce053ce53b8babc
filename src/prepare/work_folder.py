"""The work of an interrupted `prepare.py`, kept beside its target so that the same command goes on with it."""

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ..files import remove_partials, unwritable, write_text
from ..lock import attempt, exclusive
from .render import Record

CHECKSUM = "png_crc32"


class Unfinished:
    """Pictures made so far, in a hidden folder beside the target."""

    def __init__(self, folder: Path, records: dict[int, Record], log: TextIO) -> None:
        #: Number of a picture to what was found and done; with `reason` it was left out, with `faces` it is one that
        #: faces were cut out of, which have numbers of their own.
        self.folder, self.records, self._log = folder, records, log
        self.continued = len(records)  # pictures found from an earlier start

    def add(self, number: int, record: Record, png: bytes | None) -> None:
        """Keep a picture (or, without PNG, that it was left out)."""
        if png is not None:
            self.path(number).write_bytes(png)
            record = {**record, CHECKSUM: zlib.crc32(png)}
        self.records[number] = record
        self._log.write(json.dumps({"number": number, **record}) + "\n")
        self._log.flush()

    def path(self, number: int) -> Path:
        """Where the PNG of a picture is."""
        return self.folder / f"{number}.png"

    def load(self, name: str) -> Any:
        """Plain data kept by `save`, or None."""
        try:
            return json.loads((self.folder / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None

    def save(self, name: str, value: Any) -> None:
        """Keep plain data for the next start."""
        write_text(self.folder / f"{name}.json", json.dumps(value))


def clean(out: Path, *others: Path) -> None:
    """Delete what a process has left that was killed when `out` was written, unless one is at work on it."""
    with attempt(_lock(out)) as ours:  # which takes the lock's file away, too
        if ours:
            shutil.rmtree(out.with_name(f".{out.name}.unfinished"), ignore_errors=True)
            for place in (out.parent, *others):
                remove_partials(place)


def _lock(out: Path) -> Path:
    return out.with_name(f".{out.name}.lock")


@contextmanager
def unfinished(out: Path, key: str, *others: Path) -> Iterator[Unfinished]:
    """Open the work on `out`, with what an earlier start with the same `key` has done; one process at a time.

    Leftovers of killed processes go, beside `out` and in `others`, folders that are written too.
    """
    folder = out.with_name(f".{out.name}.unfinished")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(_lock(out), waiting=lambda: print(f"waiting for another run on {out}")):
            for place in (out.parent, *others):
                remove_partials(place)
            known = folder / "key"
            if not known.is_file() or known.read_text() != key:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                write_text(known, key)
            records = _records(folder)
            with open(folder / "records.jsonl", "a", encoding="utf-8") as log:
                yield Unfinished(folder, records, log)
    except OSError as error:
        raise unwritable(f"out={out}", error) from error


def _records(folder: Path) -> dict[int, Record]:
    """Read the log up to damage by an interruption, without pictures that are not there as they were made."""
    path = folder / "records.jsonl"
    records: dict[int, Record] = {}
    good = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
            number = int(record.pop("number"))
            whole = (
                "reason" in record
                or "faces" in record
                or zlib.crc32((folder / f"{number}.png").read_bytes()) == record[CHECKSUM]
            )
        except (ValueError, KeyError, OSError):
            continue
        if whole:
            records[number] = record
            good.append(line)
    write_text(path, "".join(f"{line}\n" for line in good))
    return records
