"""Which W&B run a folder is, and how far that run has got: kept in the folder, so that every sitting continues it.

W&B's server knows how far a run has got, where it can be asked. An offline sitting cannot ask: its rows wait in a log
of W&B's for `wandb sync`, and must not be handed over a second time. So the folder remembers what was.
"""

import json
import platform
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files import update_json

TRAINING = "wandb"  # entry of `run.json` for the run of a training
READ_LOG_SEC = 60.0
LOG_HEADER_BYTES = 7  # before the first record


@dataclass(frozen=True)
class Place:
    """Where a folder is. Copied it is another one; moved, or seen from another machine, it is the same."""

    inode: int  # of the folder
    path: str  # of the folder, absolute
    host: str  # name of the machine

    @classmethod
    def of(cls, folder: Path) -> "Place":
        """The place of a folder, as this machine sees it."""
        return cls(folder.stat().st_ino, str(folder.resolve()), platform.node())

    def same(self, other: "Place") -> bool:
        """Whether a folder that was at this place is the one that is at the other now."""
        return self.inode == other.inode or (self.path, self.host) == (other.path, other.host)


class WandbRecord:
    """The W&B run of a folder. A new one has a new id.

    Args:
        file: JSON file in the folder; other entries of it stay.
        key: of this run's entry.
        given_id: the id that the environment asks for, or None.
        shown: a digest of what the folder holds before some nimg, where that can change: a run that shows something
            else does not go on. None where it cannot.

    Attributes:
        id: of the run.
        news: why it is a new one; empty when it goes on.
        first: images (nimg) from which on rows have not been handed over, as far as can be known here.
    """

    def __init__(
        self, file: Path, key: str, *, given_id: str | None = None, shown: Callable[[int], str] | None = None
    ) -> None:
        self._file, self._key, self._shown = file, key, shown
        self._place = Place.of(file.parent)
        facts = known_run(file, key)
        copied = bool(facts) and not Place(**facts["place"]).same(self._place)
        changed = bool(facts) and shown is not None and facts.get("shown") != shown(facts["first"])
        reason = "the folder is a copy" if copied else "it shows something else" if changed else ""
        self.news = "new" if not facts else f"new: {reason}" if reason else ""
        if given_id is not None and (self.news or facts["id"] != given_id):
            self.news = "new: WANDB_RUN_ID"
        self.id = given_id or (uuid.uuid4().hex[:8] if self.news else facts["id"])
        self._last = {} if self.news else facts
        self.first = int(self._last.get("first", 0))
        log = self._last.get("log")  # of a sitting that did not end well
        if log is not None and self._last["mode"] == "offline":
            self.first = max(self.first, _end_of_log(Path(log)))
            _remove_empty(Path(log))

    def found_on_server(self, first: int) -> None:
        """Take a server's word for the images from which on it has no rows.

        After an offline sitting it may not know of rows that wait to be uploaded.
        """
        self.first = max(self.first, first) if self._last.get("mode") == "offline" else first

    def opened(self, mode: str, log: str, path: str | None) -> None:
        """Note a sitting that begins: its log of W&B's, and `entity/project/id` on the server where that is known."""
        self._last = {"mode": mode, "log": log, "path": path or self._last.get("path")}
        self._write()

    def closed(self, first: int) -> None:
        """Note that all rows before `first` have been handed over, and that the sitting has ended well."""
        self.first = max(self.first, first)
        self._last["log"] = None
        self._last["shown"] = None if self._shown is None else self._shown(self.first)
        self._write()

    def _write(self) -> None:
        own = {"id": self.id, "first": self.first, "place": asdict(self._place), **self._last}
        update_json(self._file, **{self._key: own})


def known_run(file: Path, key: str = TRAINING) -> dict[str, Any]:
    """What `WandbRecord` has written into a file: `id`, `path` on the server, …; empty where there is nothing."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))[key]
        Place(**facts["place"])
        return dict(facts) if {"id", "first", "mode", "log"} <= facts.keys() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _end_of_log(log: Path) -> int:
    """Images from which on a log of W&B's has no rows; a killed sitting has lost what was not written yet."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(log)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=READ_LOG_SEC, check=True)
        return int(json.loads(done.stdout)["summary"]["nimg"]) + 1
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return 0


def _remove_empty(log: Path) -> None:
    """Remove what a killed offline sitting left when nothing of it was written: `wandb sync` takes no other with it."""
    if log.is_file() and log.stat().st_size <= LOG_HEADER_BYTES:
        shutil.rmtree(log.parent, ignore_errors=True)
