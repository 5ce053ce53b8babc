"""The work of an interrupted `prepare.py`, kept beside its target so that the same command goes on with it.

Jobs that share the work each make a part of the pictures there, with a log and a lock of their own.
"""

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..files import append_lines, remove_partials, unwritable, write_text
from ..lock import attempt, exclusive
from .render import Record

CHECKSUM = "png_crc32"
KEY, LOG = "key", "records.jsonl"


class Unfinished:
    """Pictures made so far, in a hidden folder beside the target."""

    def __init__(self, folder: Path, log: str = LOG) -> None:
        #: Number of a picture to what was found and done; with `reason` it was left out, with `faces` it is one that
        #: faces were cut out of, which have numbers of their own. What an earlier start has written counts after `has`.
        self.folder, self.records, self._log = folder, _records(folder), folder / log
        self._unchecked = set(self.records)

    def has(self, number: int) -> bool:
        """Whether a picture is done; one of an earlier start that is not there as it was made is forgotten."""
        if number in self._unchecked:
            self._unchecked.remove(number)
            if not self._is_whole(number):
                del self.records[number]
        return number in self.records

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

    def _is_whole(self, number: int) -> bool:
        record = self.records[number]
        if "reason" in record or "faces" in record:
            return True
        try:
            return zlib.crc32(self.path(number).read_bytes()) == record[CHECKSUM]
        except (KeyError, OSError):
            return False


@contextmanager
def one_at_a_time(out: Path, *, say: bool = True) -> Iterator[None]:
    """Let no other process make `out` while the block runs: what is there is to be seen and replaced within one."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(out.with_name(f".{out.name}.lock"), waiting=lambda: _say_waiting(out) if say else None):
            yield
    except OSError as error:
        raise unwritable(f"out={out}", error) from error


def clean(out: Path, *others: Path) -> None:
    """Within `one_at_a_time`, delete what a killed process has left of work on `out`, unless jobs are at it."""
    for lock in _folder(out).glob("part-*.lock"):
        with attempt(lock) as ours:
            if not ours:
                return
    shutil.rmtree(_folder(out), ignore_errors=True)
    for place in (out.parent, *others):
        remove_partials(place)


def unfinished(out: Path, key: str, *others: Path) -> Unfinished:
    """Within `one_at_a_time`, open the work on `out`, with what an earlier start with the same `key` has done.

    Parts that jobs are at are waited for. Leftovers of killed processes go, beside `out` and in `others`, folders that
    are written too.
    """
    folder = _begun(out, key, *others)
    _wait_for_parts(folder, out)
    work = Unfinished(folder)
    whole = filter(work.has, list(work.records))
    write_text(folder / LOG, "".join(json.dumps({"number": n, **work.records[n]}) + "\n" for n in whole))
    for log in folder.glob("part-*.jsonl"):
        log.unlink()
    return work


@contextmanager
def unfinished_part(out: Path, key: str, part: str) -> Iterator[Unfinished | None]:
    """Within `one_at_a_time`, which may end before, open the work on `out` for a job that makes a part of the pictures.

    None while another process is at that part.
    """
    folder = _begun(out, key)
    with attempt(folder / f"part-{part}.lock") as ours:
        yield Unfinished(folder, f"part-{part}.jsonl") if ours else None


def _folder(out: Path) -> Path:
    return out.with_name(f".{out.name}.unfinished")


def _begun(out: Path, key: str, *others: Path) -> Path:
    """The folder of the work on `out`: that of an earlier start with the same `key`, or an empty one."""
    folder = _folder(out)
    for place in (out.parent, *others):
        remove_partials(place)
    known = folder / KEY
    if not known.is_file() or known.read_text() != key:
        _wait_for_parts(folder, out)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_text(known, key)
    return folder


def _wait_for_parts(folder: Path, out: Path) -> None:
    """Wait for jobs that are at a part; none begins one meanwhile."""
    for lock in folder.glob("part-*.lock"):
        with exclusive(lock, waiting=lambda: _say_waiting(out)):
            pass


def _say_waiting(out: Path) -> None:
    print(f"waiting for another run on {out}")


def _records(folder: Path) -> dict[int, Record]:
    """Read the logs, up to damage by an interruption."""
    records: dict[int, Record] = {}
    for path in sorted(folder.glob("*.jsonl"), reverse=True):  # those of jobs, which are newer, after the command's
        for line in path.read_text().splitlines():
            with suppress(ValueError, KeyError):
                record = json.loads(line)
                records[int(record.pop("number"))] = record
    return records
