"""`checksums.json` in the weights folder: the sha256 of each file, so that a large one is not read at every start.

Where nobody publishes a checksum, the first fetch decides: what comes later must be the same.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import file_sha256, write_text
from ..lock import exclusive
from .remote_file import RemoteFile
from .web import SNIFFED, is_web_page

FILE = "checksums.json"
BY_HAND = "placed by hand"


def check_present(file: RemoteFile, path: Path) -> None:
    """Check a file that lies in the weights folder, reading it only when it changed since the last check."""
    try:
        _check_present(file, path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def _check_present(file: RemoteFile, path: Path) -> None:
    status = path.stat()
    record = recorded(path)
    if record is None or (record["size"], record["mtime_ns"]) != (status.st_size, status.st_mtime_ns):
        with open(path, "rb") as opened:
            if is_web_page(opened.read(SNIFFED)):
                raise UserError(f"{path} is a web page, not the file of that name: delete it, and fetch it again")
        digest = file_sha256(path)
        if record is not None and file.sha256 is None and record["sha256"] != digest:
            raise UserError(
                f"{path} has changed: its sha256 is {digest}, {path.with_name(FILE)} recorded {record['sha256']} "
                f"({record['source']}); delete it to fetch it again, or its entry there if the new one is right"
            )
        reason = file.difference(status.st_size, digest)
        if reason is None:
            note(path, digest, BY_HAND if record is None else record["source"])
    else:
        reason = file.difference(status.st_size, record["sha256"])
    if reason is not None:
        raise UserError(f"{path} is not the published file: {reason}; delete it to fetch it again")


def recorded(path: Path) -> dict[str, Any] | None:
    """What `checksums.json` beside `path` says of it: `sha256`, `size`, `mtime_ns`, `source`; None for nothing."""
    return _read(path.with_name(FILE)).get(path.name)


def note(path: Path, digest: str, source: str) -> None:
    """Record a checked file; in a folder that cannot be written it is read again at the next start instead."""
    ledger, status = path.with_name(FILE), path.stat()
    entry = {"sha256": digest, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "source": source}
    try:
        with exclusive(ledger.with_name(f".{FILE}.lock")):
            entries = {**_read(ledger), path.name: entry}
            write_text(ledger, json.dumps(entries, indent=2, sort_keys=True) + "\n")
    except (OSError, UserError):
        return


def forget(path: Path) -> None:
    """Take back the record of a file that turned out to be another: the next one of that name is taken as it comes."""
    ledger = path.with_name(FILE)
    with suppress(OSError, UserError), exclusive(ledger.with_name(f".{FILE}.lock")):
        entries = _read(ledger)
        if entries.pop(path.name, None) is not None:
            write_text(ledger, json.dumps(entries, indent=2, sort_keys=True) + "\n")


def _read(ledger: Path) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(ledger.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{ledger} is damaged ({error}): delete it, the files are then checked anew") from error
    kinds = {"sha256": str, "size": int, "mtime_ns": int, "source": str}
    if not isinstance(entries, dict) or not all(
        isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
        for entry in entries.values()
    ):
        raise UserError(f"{ledger} is damaged: delete it, the files are then checked anew")
    return entries
