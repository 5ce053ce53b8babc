"""A file on its way: `<name>.part`, and beside it where its bytes came from, so that a later attempt can go on."""

import contextlib
import errno
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import UserError
from ..files import write_text

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Origin:
    """What the server said of the bytes in a partial file."""

    url: str  # that was asked for
    etag: str | None = None  # the response's strong ETag, or None
    modified: str | None = None  # its Last-Modified, or None
    total: int | None = None  # bytes of the whole file, or None where it did not say

    @property
    def validator(self) -> str | None:
        """What `If-Range` sends so that the rest of another file is not taken."""
        return self.etag or self.modified


class Partial:
    """`<name>.part` and its note `<name>.part.json`; the process that writes them holds the file's lock."""

    def __init__(self, path: Path) -> None:
        self.path, self.note = path, path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self, url: str, *, checked: bool) -> Origin | None:
        """Where the bytes came from, if `url` can go on with them, or None.

        Args:
            url: must be the same, and its server must have named something that shows a changed file,
            checked: unless the whole file's checksum is known, which shows that as well.
        """
        try:
            origin = Origin(**json.loads(self.note.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        same = origin.url == url and (origin.validator is not None or checked)
        fits = 0 < self.size <= (self.size if origin.total is None else origin.total)
        return origin if same and fits else None

    def begin(self, origin: Origin) -> None:
        """Forget the bytes and start anew from `origin`."""
        self.discard()
        write_text(self.note, json.dumps(asdict(origin)))

    def discard(self) -> None:
        """Delete both files."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def check_space(self, missing: int) -> None:
        """Refuse before the first byte what the disk cannot take."""
        free = shutil.disk_usage(self.path.parent).free
        if free < missing:
            raise UserError(
                f"{self.path.parent}: {missing / 1e6:.0f} MB are to be written and {free / 1e6:.0f} MB are free: "
                "make room, or set weights.folder"
            )


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses inside the block into one line."""
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno in NO_SPACE else (error.strerror or str(error)).lower()
        raise UserError(f"{path} cannot be written ({what}): make room or set weights.folder") from error
