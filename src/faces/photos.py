"""Photographs to look for faces in: one file, a folder, or a zip."""

import zipfile
from pathlib import Path

from ..data import NOT_PICTURES as _BESIDE_PICTURES, FolderSource, Source, ZipSource, not_of_kinds
from ..errors import UserError
from ..files import expanded

#: Suffixes of what lies among photographs; phones put films beside them.
NOT_PICTURES = frozenset((*_BESIDE_PICTURES, ".pt", ".pth", ".pkl", ".safetensors", ".mp4", ".mov"))


class FileSource:
    """One file as a source; the files named like it are there too, for its landmarks."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, FolderSource(path.parent)

    def names(self) -> list[str]:
        """The file itself first, then others that begin with its stem."""
        others = sorted(p for p in self.path.parent.glob("*") if p.is_file() and p != self.path)
        beside = [p.name for p in others if p.stem in (self.path.stem, self.path.name)]
        return [self.path.name, *(name for name in beside if Path(name).suffix.lower() in NOT_PICTURES)]

    def read(self, name: str) -> bytes:
        """Bytes of one file."""
        return self.folder.read(name)


def open_photos(path: str | Path) -> Source:
    """Open photographs; a UserError when there are none at the path."""
    path = expanded(path)
    if not path.exists():
        raise UserError(f"photos={path}: no such file, folder or zip")
    source: Source = FileSource(path)
    if path.is_dir():
        source = FolderSource(path)
    elif zipfile.is_zipfile(path):
        source = ZipSource(path)
    if not (path.is_file() or path.is_dir()) or not picture_names(source):
        raise UserError(f"photos={path}: no pictures in it; give a picture, a folder or a zip of pictures")
    return source


def picture_names(source: Source) -> list[str]:
    """Names of the files that may be pictures."""
    return not_of_kinds(source.names(), NOT_PICTURES)
