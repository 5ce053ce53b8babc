"""The work of an interrupted `prepare.py`, kept beside its target so that the same command goes on with it.

Jobs that share the work each make a part of the pictures there, with a log and a lock of their own.
"""

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..files import append_lines, remove_partials, unwritable, write_text
from ..lock import attempt, exclusive
from .render import Record

CHECKSUM = "png_crc32"
KEY, LOG = "key", "records.jsonl"


class Unfinished:
    """Pictures made so far, in a hidden folder beside the target."""

    def __init__(self, folder: Path, records: dict[int, Record], log: str = LOG) -> None:
        #: Number of a picture to what was found and done; with `reason` it was left out, with `faces` it is one that
        #: faces were cut out of, which have numbers of their own.
        self.folder, self.records, self._log = folder, records, folder / log
        self.continued = len(records)  # pictures found from an earlier start

    def add(self, number: int, record: Record, png: bytes | None) -> None:
        """Keep a picture (or, without PNG, that it was left out)."""
        if png is not None:
            self.path(number).write_bytes(png)
            record = {**record, CHECKSUM: zlib.crc32(png)}
        self.records[number] = record
        append_lines(self._log, [json.dumps({"number": number, **record})])

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

    Parts that jobs are at are waited for. Leftovers of killed processes go, beside `out` and in `others`, folders that
    are written too.
    """
    with _begun(out, key, *others) as folder:
        _wait_for_parts(folder, out)
        records = _records(folder)
        lines = (json.dumps({"number": number, **record}) + "\n" for number, record in records.items())
        write_text(folder / LOG, "".join(lines))
        for log in folder.glob("part-*.jsonl"):
            log.unlink()
        yield Unfinished(folder, records)


@contextmanager
def unfinished_part(out: Path, key: str, part: str) -> Iterator[Unfinished | None]:
    """Open the work on `out` for a job that makes a part of the pictures; None while another process is at it."""
    with ExitStack() as held:
        with _begun(out, key, say=False) as folder:
            ours = held.enter_context(attempt(folder / f"part-{part}.lock"))
        yield Unfinished(folder, _records(folder), f"part-{part}.jsonl") if ours else None


@contextmanager
def _begun(out: Path, key: str, *others: Path, say: bool = True) -> Iterator[Path]:
    """Hold the work on `out` and give its folder: that of an earlier start with the same `key`, or an empty one."""
    folder = out.with_name(f".{out.name}.unfinished")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(_lock(out), waiting=lambda: _say_waiting(out) if say else None):
            for place in (out.parent, *others):
                remove_partials(place)
            known = folder / KEY
            if not known.is_file() or known.read_text() != key:
                _wait_for_parts(folder, out)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                write_text(known, key)
            yield folder
    except OSError as error:
        raise unwritable(f"out={out}", error) from error


def _wait_for_parts(folder: Path, out: Path) -> None:
    """Wait for jobs that are at a part; none begins one meanwhile."""
    for lock in folder.glob("part-*.lock"):
        with exclusive(lock, waiting=lambda: _say_waiting(out)):
            pass


def _say_waiting(out: Path) -> None:
    print(f"waiting for another run on {out}")


def _records(folder: Path) -> dict[int, Record]:
    """Read the logs up to damage by an interruption, without pictures that are not there as they were made."""
    records: dict[int, Record] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
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
    return records
