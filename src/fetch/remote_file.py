"""`RemoteFile`: what others publish, and where; which URLs are opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import UserError
from ..options import Kind, Options, Range, matching

SCHEMES = ("http", "https", "file")
Sha256 = Annotated[str, matching("[0-9a-f]{8,64}", "64 hexadecimal digits in lower case, the first 8 or more of them")]


def _urls(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(url, str) for url in value):
        raise ValueError
    for url in value:
        scheme_of(url)
    return tuple(value)


@dataclass(frozen=True)
class RemoteFile(Options):
    """A file that others publish."""

    name: Annotated[str, matching(r"(?!\.\.?$)[^/\\]+", "the name of a file, without a folder")]  # of the file on disk
    urls: Annotated[tuple[str, ...], Kind(("a list of URLs",), _urls)]  # tried in order; http, https or file
    licence: str  # under which it is published, or `"unknown"`
    size: Annotated[int, Range(1)] | None = None  # in bytes, or None where it is not known
    # hexadecimal digits, all 64 or the first ones (at least 8) where only those are published; or None
    sha256: Sha256 | None = None

    def difference(self, size: int, sha256: str) -> str | None:
        """Say in what a file of `size` bytes with this checksum differs from the published one, or None."""
        if self.size is not None and size != self.size:
            return f"it has {size} bytes, not {self.size}"
        if self.sha256 is not None and not sha256.startswith(self.sha256):
            return f"its sha256 is {sha256}, not {self.sha256}"
        return None


def scheme_of(url: str) -> str:
    """Return the scheme of a URL, http, https or file; a ValueError for another."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:  # an unfinished [IPv6] address
        raise ValueError(f"not a URL ({error})") from error
    if scheme not in SCHEMES:
        raise ValueError(f"only {', '.join(SCHEMES)} URLs are opened")
    return scheme


def local_path(url: str) -> Path:
    """The path that a `file:` URL names."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UserError(f"{url}: a file: URL of this machine is expected, such as file:///folder")
    return Path(url2pathname(parts.path))
