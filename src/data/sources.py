"""Where pictures come from: folders, zips, TFRecords; each a list of names in a fixed order and a way to read one."""

import os
import re
import threading
import zipfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from ..options import OptionError
from .decode import BadPicture
from .tfrecord_source import open_tfrecords

#: What operating systems and storage devices put into folders, in lower case: files, then folders.
SYSTEM_NAMES = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "folder.htt", "picasa.ini"),
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
    )
)
#: Larger files are not pictures that anyone trains on; they are refused before they are read into memory.
MAX_FILE_BYTES = 2**30
_ENCRYPTED = 1  # bit of a member's flags


class Source(Protocol):
    """What a data set reads from; further kinds are classes of this form, known to `open_source`."""

    def names(self) -> list[str]:
        """Names of all pictures: visible files in natural order, records in their own."""

    def read(self, name: str) -> bytes:
        """Bytes of one file; a BadPicture when it cannot be read."""


class FolderSource:
    """The files of a folder and its subfolders, hidden ones, an operating system's own and link loops left out.

    A subfolder that cannot be listed is among the names, with a slash at its end, and reading it gives the reason: so
    every report of bad pictures names it. `left_out` are subfolders that are not looked into, as beginnings of names,
    with a slash at the end.
    """

    def __init__(self, path: Path, left_out: Sequence[str] = ()) -> None:
        self.path, self.left_out = path, tuple(left_out)

    def names(self) -> list[str]:
        """Relative names of all files, `img2` before `img10`, and of subfolders that cannot be listed (`sub/`).

        A UserError when the folder itself cannot be listed.
        """
        found: list[str] = []
        seen: set[tuple[int, int]] = set()

        def unreadable(error: OSError) -> None:
            folder = Path(os.fsdecode(error.filename))
            if folder == self.path:
                raise OptionError("dataset.path", self.path, f"cannot be read ({error.strerror or error})") from error
            found.append(f"{folder.relative_to(self.path)}/")

        for folder, folders, files in os.walk(self.path, followlinks=True, onerror=unreadable):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(f for f in folders if not is_hidden(f))
            found += [str((Path(folder) / f).relative_to(self.path)) for f in files if not is_hidden(f)]
        return sorted((name for name in found if not name.startswith(self.left_out)), key=natural_order)

    def read(self, name: str) -> bytes:
        """Bytes of one file."""
        path = self.path / name
        try:
            if is_folder(name):
                os.listdir(path)  # raises why
                raise BadPicture("a folder that could not be read")
            if path.exists() and not path.is_file():
                raise BadPicture("not a regular file")
            _check_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            kind = "a folder that " if is_folder(name) else ""
            raise BadPicture(f"{kind}cannot be read ({error.strerror or error})") from error

    def status(self, name: str) -> tuple[int, int]:
        """Size of one file in bytes, and a number that changes when it is written; (-1, -1) when it cannot be found."""
        try:
            status = os.stat(os.path.join(self.path, name))
        except OSError:
            return -1, -1
        return status.st_size, status.st_mtime_ns


class ZipSource:
    """The members of a zip; each thread and process reads through a handle of its own. A UserError for another file.

    Names are as in a folder: with `/` also where Windows wrote `\\`, without `./`, `../` and a leading `/`. Of members
    with one name, as zips have them that were added to, each has a name of its own: `a (1).png`, `a (2).png`, and the
    last, which programs take by the name, `a.png`.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._local = path, threading.local()
        try:
            empty = path.stat().st_size == 0
            self._handle()
        except (zipfile.BadZipFile, OSError) as error:
            what = "an empty file" if empty else "not a zip file, or cut short"
            raise OptionError("dataset.path", path, f"{what}; was it copied in full?") from error

    def _handle(self) -> zipfile.ZipFile:
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.zip = zipfile.ZipFile(self.path)
            self._local.members = _members(self._local.zip)
            self._local.pid = os.getpid()
        handle: zipfile.ZipFile = self._local.zip
        return handle

    def _info(self, name: str) -> zipfile.ZipInfo:
        self._handle()
        members: dict[str, zipfile.ZipInfo] = self._local.members
        return members[name]

    def names(self) -> list[str]:
        """Names of all members that are files and not hidden, in natural order."""
        self._handle()
        return sorted(self._local.members, key=natural_order)

    def written_name(self, name: str) -> str:
        """The name under which a member stands in the zip, which others may have too."""
        return _member_name(self._info(name).filename)

    def read(self, name: str) -> bytes:
        """Bytes of one member."""
        try:
            handle, info = self._handle(), self._info(name)
            _check_size(info.file_size)
            if info.flag_bits & _ENCRYPTED:
                raise BadPicture("protected by a password: unpack the zip first")
            return handle.read(info)
        except BadPicture:
            raise
        except KeyError as error:
            raise BadPicture("not in the zip") from error
        except NotImplementedError as error:
            raise BadPicture("packed by a method that is not read here: unpack the zip first") from error
        except Exception as error:  # zipfile raises many kinds on damage, and names the member in them
            raise BadPicture("cannot be read from the zip (damaged)") from error

    def status(self, name: str) -> tuple[int, int]:
        """Size of one member in bytes, and a number that changes with its content."""
        info = self._info(name)
        return info.file_size, info.CRC

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path, self._local = state["path"], threading.local()


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip that are not hidden, each by a name of its own."""
    named = [
        (_member_name(info.filename), info) for info in archive.infolist() if not info.filename.endswith(("/", "\\"))
    ]
    named = [(name, info) for name, info in named if not is_hidden(name)]
    last = dict(named)
    members: dict[str, zipfile.ZipInfo] = {}
    for name, info in named:
        own, number = name, 0
        while (own in last and last[own] is not info) or own in members:
            number += 1
            stem, suffix = os.path.splitext(name)
            own = f"{stem} ({number}){suffix}"
        members[own] = info
    return members


def _member_name(written: str) -> str:
    """A member's name as that of a file in a folder."""
    return "/".join(part for part in written.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def open_source(path: Path, resolution: int | None = None) -> Source:
    """Open TFRecords, a folder, or a zip; a UserError for a missing path, or one that no kind can use.

    `resolution` is the px a side that is wanted, for kinds that hold each picture in several sizes; None for the
    largest.
    """
    if not path.exists():
        raise OptionError("dataset.path", path, "no such folder or file")
    records = open_tfrecords(path, resolution)
    if records is not None or path.is_dir():
        return records or FolderSource(path)
    if path.is_file():
        return ZipSource(path)
    raise OptionError("dataset.path", path, "neither a folder, a zip of pictures, nor TFRecords")


def natural_order(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key by which `img2` comes before `img10`; names that count the same (`img1`, `img01`) go by spelling."""
    parts = [part for part in re.split(r"([0-9]+)", name) if part]
    key = [(0, len(p.lstrip("0")), p.lstrip("0")) if p[0] in "0123456789" else (1, 0, p) for p in parts]
    return key, name


def not_of_kinds(names: Iterable[str], suffixes: Collection[str]) -> list[str]:
    """The names without those of files with such (lower-case) suffixes; folders that cannot be listed stay."""
    return [name for name in names if is_folder(name) or Path(name).suffix.lower() not in suffixes]


def is_folder(name: str) -> bool:
    """Whether a name is that of a subfolder that cannot be listed."""
    return name.endswith("/")


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder above it, is hidden: by a dot, or because an operating system has put it there."""
    return any(part.startswith(".") or part.lower() in SYSTEM_NAMES for part in name.split("/"))


def _check_size(num_bytes: int) -> None:
    if num_bytes > MAX_FILE_BYTES:
        raise BadPicture(f"a file of more than {MAX_FILE_BYTES // 2**20} MB")
