"""Files written whole or not at all, and read with one clear message when they are damaged."""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from .errors import UserError

TORCH_WRITER = ("inline_container", "PytorchStreamWriter")  # how torch.save says that a disk is full
CACHE_VARIABLE = "CARICATURE_CACHE"
MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
PARTIAL = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)\.partial")  # as atomic_write names them: machine and process
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a path beside the target to write to; afterwards that file takes the target's place, or nothing has changed.

    The target's folder is made; a link stays a link; the file can be read by whom the umask allows. A UserError when it
    cannot be written, or is something else than a file. Writers that make a file of their own first, as `save_file` of
    safetensors does, would leave it when they are killed: give them no path, but take bytes of them.
    """
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        there = target.exists() and not target.is_file()
    except OSError as error:  # a name that is too long
        raise unwritable(path, error) from error
    if there:
        raise UserError(f"{path} is not a file: give the name of one")
    partial = target.with_name(f".{target.name}.{MACHINE}-{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, target)
    except OSError as error:
        raise unwritable(path, error) from error
    except RuntimeError as error:
        if not any(name in str(error) for name in TORCH_WRITER):
            raise
        raise UserError(f"{path}: cannot be written (is the disk full, or the folder read-only?)") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def unwritable(path: Path | str, error: OSError) -> UserError:
    """What to tell of a file that the system does not let us write."""
    room = ": make room, and the same command goes on" if error.errno in FULL else ""
    return UserError(f"{path}: cannot be written ({error.strerror or error}){room}")


def remove_partials(folder: Path, *, alone: bool = False) -> None:
    """Delete what killed processes left in a folder of files that `atomic_write` was writing.

    Unless this process is `alone` in writing there, what one of another machine, or one that lives, has there stays. A
    UserError when one cannot be deleted.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        match = PARTIAL.fullmatch(path.name)
        if match and (alone or (match[1] == MACHINE and not _lives(int(match[2])))):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"{path}: cannot be deleted ({error.strerror or error})") from error


def _lives(process: int) -> bool:
    """Whether a process of this machine is there; on Windows, where asking would end it, it is taken to be."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def damage_of_zip(path: Path) -> str | None:
    """What is wrong with a zip (`torch.save`, `np.savez`) by its checksums, which readers ignore; None if whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.testzip()
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, struct.error, zlib.error) as error:
        return str(error) or type(error).__name__
    return None if member is None else f"{member} differs from its checksum"


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def expanded(path: str | Path) -> Path:
    """A path with the home folder for a leading `~`, which shells leave alone in `key=~/x`.

    The `~name` of an unknown user stays as it is.
    """
    return Path(os.path.expanduser(path))


def cache_folder(name: str) -> Path:
    """Where what can be made again is kept: `$CARICATURE_CACHE/<name>`, or `caricature/<name>` in the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return (expanded(chosen) if chosen else user_cache_path("caricature", appauthor=False)) / name


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all, and return its path; a UserError when it cannot be written."""
    with atomic_write(path) as partial:
        partial.write_text(text)
    return path


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Append lines, without their ends, to a text file in one write, so that those of several processes do not mix.

    The file and its folder are made, also for no line; a last line that a crash cut short is ended first. A UserError
    when they cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+", buffering=0) as file:
            torn = file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
            data = ("\n" * torn + "".join(f"{line}\n" for line in lines)).encode()
            if file.write(data) < len(data):  # as much as there was room for
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise unwritable(path, error) from error


def save_array(path: Path, array: NDArray) -> Path:
    """Write a .npy file, whole or not at all, and return its path; a UserError when it cannot be written."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.save(file, array)
    return path


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all; one that has the content already stays as it is.

    A UserError when it cannot be written.
    """
    if not target.is_file() or target.read_bytes() != source.read_bytes():
        with atomic_write(target) as partial:
            shutil.copyfile(source, partial)


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a UserError when the file cannot be read, or is something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): restore it, or take another run=NAME") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (not a JSON object): restore it, or take another run=NAME")
    return value


def update_json(path: Path, **entries: Any) -> None:
    """Set entries of a JSON object in a file, which is made where there is none.

    A UserError when it cannot be read or written.
    """
    known = read_json(path) if path.exists() else {}
    write_text(path, json.dumps({**known, **entries}, indent=2) + "\n")
