"""Files of other projects that this one uses: where they come from, and that they are the right ones."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .native import file_sha256

DROP_IN = Path("weights")


@dataclass(frozen=True)
class RemoteFile:
    """A file that somebody publishes.

    Attributes:
        name: of the file on disk.
        urls: where it is.
        licence: of its contents.
        size: bytes, where known.
        sha256: where published.
    """

    name: str
    urls: tuple[str, ...]
    licence: str
    size: int | None = None
    sha256: str | None = None


def fetch_file(
    file: RemoteFile, *, folder: Path | None = None, mirror: str | None = None, progress: bool = True
) -> Path:
    """Find a file in the drop-in folder and check it.

    Raises:
        UserError: when it is not there, or is another file.
    """
    path = (folder or DROP_IN) / file.name
    if not path.is_file():
        raise UserError(f"{file.name} is needed and not in {path.parent}/: put it there from {file.urls[0]}")
    if file.sha256 is not None and file_sha256(path) != file.sha256:
        raise UserError(f"{path} is not the published file (its sha256 differs): delete it and get {file.urls[0]}")
    return path
