"""`RemoteFile`: what others publish, and where; which URLs are opened."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import UserError

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

    def difference(self, size: int, sha256: str) -> str | None:
        """Say in what a file of `size` bytes with this checksum differs from the published one, or None."""
        if self.size is not None and size != self.size:
            return f"it has {size} bytes, not {self.size}"
        if self.sha256 is not None and not sha256.startswith(self.sha256):
            return f"its sha256 is {sha256}, not {self.sha256}"
        return None


def check_scheme(url: str, label: str) -> str:
    """Return the scheme of a URL, http, https or file.

    Raises:
        UserError: for another.
    """
    try:
        scheme = urlsplit(url).scheme if isinstance(url, str) else ""
    except ValueError as error:  # an unfinished [IPv6] address
        raise UserError(f"{label}={url}: not a URL ({error})") from error
    if scheme not in SCHEMES:
        raise UserError(f"{label}={url}: only {', '.join(SCHEMES)} URLs are opened")
    return scheme


def local_path(url: str) -> Path:
    """The path that a `file:` URL names.

    Raises:
        UserError: when it names another machine.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UserError(f"{url}: a file: URL of this machine is expected, such as file:///folder")
    return Path(url2pathname(parts.path))
