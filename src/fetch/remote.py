"""What can be downloaded, and where from and to: `RemoteFile`, and the settings that the scripts make of `weights`."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import UserError
from ..files import expanded

SCHEMES = ("http", "https", "file")
MIN_HASH_DIGITS, HASH_DIGITS = 8, 64


@dataclass(frozen=True)
class RemoteFile:
    """A file that others publish.

    Attributes:
        name: of the file on disk.
        urls: tried in order; http, https or file.
        licence: under which it is published, or `"unknown"`.
        size: in bytes, or None where it is not known.
        sha256: hexadecimal digits, all 64 or the first ones (at least 8) where only those are published; or None.
    """

    name: str
    urls: tuple[str, ...]
    licence: str
    size: int | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or Path(self.name).name != self.name or self.name in ("", "..", "."):
            raise UserError(f"{self.name!r}: the name of a file, without a folder, is expected")
        for url in self.urls:
            check_scheme(url, f"{self.name}: url")
        if not isinstance(self.licence, str) or not self.licence:
            raise UserError(f"{self.name}: licence={self.licence!r}: a text is expected, unknown if nobody says")
        if self.size is not None and not (type(self.size) is int and self.size > 0):
            raise UserError(f"{self.name}: size={self.size!r}: a number of bytes or null is expected")
        if self.sha256 is not None and not (
            isinstance(self.sha256, str) and re.fullmatch(f"[0-9a-f]{{{MIN_HASH_DIGITS},{HASH_DIGITS}}}", self.sha256)
        ):
            raise UserError(
                f"{self.name}: sha256={self.sha256!r}: {HASH_DIGITS} hexadecimal digits in lower case, the first "
                f"{MIN_HASH_DIGITS} or more of them, or null are expected"
            )


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        timeout_sec: without an answer or a byte.
        attempts: failures in a row, without progress in between, before a URL is given up.
        first_wait_sec: after the first failure; it doubles with each one more.
        longest_wait_sec: the most that is waited, also where the server asks for more.
        sleep: waits so many seconds.
    """

    timeout_sec: float = 20.0
    attempts: int = 5
    first_wait_sec: float = 1.0
    longest_wait_sec: float = 60.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Settings:
    """Where weights lie and come from, see `configure`."""

    folder: Path = Path("weights")
    mirror: str | None = None
    patience: Patience = field(default_factory=Patience)


_current = Settings()


def configure(*, folder: Any = "weights", mirror: Any = None, patience: Patience | None = None) -> None:
    """Set, for this process, where weights lie and where they are looked for first: the options `weights.*`.

    Args:
        folder: of downloaded files and of those put there by hand; a relative one starts at the current directory.
        mirror: None, or a folder, or the base of http, https or file URLs.
        patience: with servers; None for the default.

    Raises:
        UserError: naming the option that cannot be.
    """
    global _current
    if not isinstance(folder, str | Path) or not str(folder):
        raise UserError(f"weights.folder={folder}: give a text")
    if mirror is not None:
        if not isinstance(mirror, str) or not mirror:
            raise UserError(f"weights.mirror={mirror}: give a text or null")
        mirror_base(mirror)
    _current = Settings(expanded(folder), mirror, patience or Patience())


def settings() -> Settings:
    """The settings of this process."""
    return _current


def check_scheme(url: str, label: str) -> str:
    """Return the scheme of a URL, http, https or file.

    Raises:
        UserError: for another.
    """
    scheme = urlsplit(url).scheme if isinstance(url, str) else ""
    if scheme not in SCHEMES:
        raise UserError(f"{label}={url}: only {', '.join(SCHEMES)} URLs are opened")
    return scheme


def mirror_base(mirror: str) -> str | Path:
    """Read `weights.mirror`: a folder as a path, or the base of URLs as a text without a slash at its end.

    Raises:
        UserError: for a scheme that is not opened.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", mirror):
        return expanded(mirror)
    if check_scheme(mirror, "weights.mirror") == "file":
        return local_path(mirror)
    return mirror.rstrip("/")


def local_path(url: str) -> Path:
    """The path that a `file:` URL names.

    Raises:
        UserError: when it names another machine.
    """
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UserError(f"{url}: a file: URL of this machine is expected, such as file:///folder")
    return Path(url2pathname(parts.path))
