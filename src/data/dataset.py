"""Data sets of pictures: folder or zip, checked once up front, decoded in memory when they fit.

    ds = open_dataset("pictures/", resolution=64);  image, label = ds[0]     # uint8 [3, 64, 64], int or None
"""

import hashlib
import json
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .images import RESIZE_FILTER, BadPicture, decode_picture, parse_background, resize_square
from .report import DatasetReport

MEMORY_LIMIT_MB = 2048
MIN_PICTURES = 2
_NOT_PICTURES = {".json", ".txt", ".md", ".csv", ".yaml", ".yml", ".html", ".pdf", ".py", ".npy", ".npz"}


class FolderSource:
    """The files of a folder and its subfolders, hidden ones and link loops left out, in natural order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Relative names of all files, `img2` before `img10`."""
        found = []
        seen: set[tuple[int, int]] = set()
        for folder, folders, files in os.walk(self.path, followlinks=True):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            found += [str((Path(folder) / f).relative_to(self.path)) for f in files if not f.startswith(".")]
        return sorted(found, key=natural_order)

    def read(self, name: str) -> bytes:
        """Bytes of one file."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise BadPicture(f"cannot be read ({error.strerror or error})") from error


class ZipSource:
    """The members of a zip; each thread and process reads through a handle of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path}: not a zip file, or cut short; was it copied in full?")

    def _handle(self) -> zipfile.ZipFile:
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.pid, self._local.zip = os.getpid(), zipfile.ZipFile(self.path)
        handle: zipfile.ZipFile = self._local.zip
        return handle

    def names(self) -> list[str]:
        """Names of all members that are files and not hidden, in natural order."""
        infos = [i for i in self._handle().infolist() if not i.is_dir()]
        shown = [i.filename for i in infos if not any(p.startswith((".", "__MACOSX")) for p in i.filename.split("/"))]
        return sorted(shown, key=natural_order)

    def read(self, name: str) -> bytes:
        """Bytes of one member."""
        try:
            return self._handle().read(name)
        except Exception as error:  # noqa: BLE001 (zipfile raises many kinds on damage)
            raise BadPicture(f"cannot be read from the zip ({error})") from error

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path, self._local = state["path"], threading.local()


class PictureDataset:
    """Square pictures of one size, indexable.

    Attributes:
        name: of the set.
        resolution: px a side.
        labels: class of each picture, or None.
        fingerprint: SHA-256 over names, contents and settings.
        report: what the check found.
        images: uint8 `[N, 3, H, W]` when the set is in memory, else None.
    """

    def __init__(
        self,
        name: str,
        resolution: int,
        *,
        fingerprint: str,
        report: DatasetReport,
        images: Tensor | None = None,
        labels: list[int] | None = None,
        decode: "PictureDecoder | None" = None,
    ) -> None:
        self.name, self.resolution, self.fingerprint, self.report = name, resolution, fingerprint, report
        self.images, self.labels, self._decode = images, labels, decode

    def __len__(self) -> int:
        return self.report.used

    @property
    def num_classes(self) -> int:
        """Number of classes, 0 without labels."""
        return max(self.labels) + 1 if self.labels else 0

    def __getitem__(self, index: int) -> tuple[Tensor, int | None]:
        """Picture `index` as uint8 `[3, H, W]` and its class."""
        if not 0 <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        label = self.labels[index] if self.labels else None
        if self.images is not None:
            return self.images[index], label
        assert self._decode is not None
        return self._decode(index), label

    def __iter__(self) -> Iterator[tuple[Tensor, int | None]]:
        return (self[i] for i in range(len(self)))


class PictureDecoder:
    """Reads picture `index` of a source, cropped and resized."""

    def __init__(
        self, source: FolderSource | ZipSource, names: list[str], resolution: int, background: tuple[int, int, int]
    ) -> None:
        self.source, self.names, self.resolution, self.background = source, names, resolution, background

    def __call__(self, index: int) -> Tensor:
        """uint8 `[3, r, r]`."""
        rgb = decode_picture(self.source.read(self.names[index]), background=self.background).rgb
        return _chw(resize_square(rgb, self.resolution))


def open_dataset(
    path: str | Path,
    *,
    resolution: int | None = None,
    on_bad: str = "skip",
    background: str = "black",
    memory_limit_mb: float = MEMORY_LIMIT_MB,
    name: str | None = None,
) -> PictureDataset:
    """Open a folder or zip of pictures: decode each once, report what is converted or left out.

    Args:
        path: folder (searched through) or zip; `dataset.json` in it may hold `{"labels": [[name, int], ...]}`.
        resolution: px a side, a power of two; None when all pictures are squares of one such size already.
        on_bad: `"skip"` leaves bad pictures out with a reason, `"error"` refuses the set.
        background: colour behind transparent pictures.
        memory_limit_mb: a decoded set up to this size is kept in memory.
        name: of the set; None for the path's stem.

    Returns:
        The data set.

    Raises:
        UserError: for a missing path, no usable picture, sizes that differ without `resolution`, a wrong label file.
    """
    path = Path(path).expanduser()
    if on_bad not in ("skip", "error"):
        raise UserError(f"dataset.on_bad={on_bad}: choose skip or error")
    colour = parse_background(background)
    source = _open_source(path)
    names = [n for n in source.names() if Path(n).suffix.lower() not in _NOT_PICTURES]
    if not names:
        raise UserError(f"dataset.path={path}: no files in it; give a folder or zip of pictures")
    report = DatasetReport(source=str(path))
    check = _Check(source, report, colour, resolution, memory_limit_mb)
    for file in names:
        check.look(file)
    if report.skipped and on_bad == "error":
        file, reason = next(iter(report.skipped.items()))
        raise UserError(f"dataset.path={path}: {file}: {reason} ({len(report.skipped)} bad pictures, on_bad=error)")
    if report.used < MIN_PICTURES:
        reasons = f"; {report.summary()}" if report.skipped else ""
        raise UserError(f"dataset.path={path}: {report.used} usable pictures, at least {MIN_PICTURES} needed{reasons}")
    final = check.resolution_of_all()
    digest = check.digest
    digest.update(json.dumps([final, background, RESIZE_FILTER]).encode())
    images = check.images_in_memory()
    decoder = PictureDecoder(source, check.kept, final, colour) if images is None else None
    return PictureDataset(
        name or path.stem,
        final,
        fingerprint=digest.hexdigest(),
        report=report,
        images=images,
        labels=_labels(source, check.kept, path),
        decode=decoder,
    )


class _Check:
    """One pass over the files."""

    def __init__(
        self,
        source: FolderSource | ZipSource,
        report: DatasetReport,
        background: tuple[int, int, int],
        resolution: int | None,
        memory_limit_mb: float,
    ) -> None:
        self.source, self.report, self.background, self.resolution = source, report, background, resolution
        self.limit = memory_limit_mb * 2**20
        self.kept: list[str] = []
        self.sizes: set[tuple[int, int]] = set()
        self.digest = hashlib.sha256()
        self._pictures: list[np.ndarray] | None = []
        self._bytes = 0
        if resolution is not None and not _is_resolution(resolution):
            raise UserError(f"dataset.resolution={resolution}: must be a power of two, at least 8")

    def look(self, name: str) -> None:
        try:
            data = self.source.read(name)
            picture = decode_picture(data, background=self.background)
        except BadPicture as error:
            self.report.skipped[name] = str(error)
            return
        rgb, notes = picture.rgb, list(picture.notes)
        height, width = rgb.shape[:2]
        if height != width:
            notes.append("cropped to its middle square")
        if self.resolution is not None:
            if min(height, width) < self.resolution:
                notes.append("enlarged")
            rgb = resize_square(rgb, self.resolution)
        self.sizes.add((width, height))
        if notes:
            self.report.converted[name] = notes
        self.report.used += 1
        self.kept.append(name)
        self.digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
        if self._pictures is not None:
            self._pictures.append(rgb)
            self._bytes += rgb.nbytes
            if self._bytes > self.limit:
                self._pictures = None

    def resolution_of_all(self) -> int:
        if self.resolution is not None:
            return self.resolution
        width, height = next(iter(self.sizes))
        if len(self.sizes) == 1 and width == height and _is_resolution(width):
            return width
        shown = ", ".join(f"{w}x{h}" for w, h in sorted(self.sizes)[:4]) + (", ..." if len(self.sizes) > 4 else "")
        raise UserError(f"pictures of {shown} px: set dataset.resolution to a power of two to crop and resize them")

    def images_in_memory(self) -> Tensor | None:
        return None if self._pictures is None else torch.stack([_chw(p) for p in self._pictures])


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key by which `img2` comes before `img10`."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _open_source(path: Path) -> FolderSource | ZipSource:
    if path.is_dir():
        if next(path.glob("*.tfrecords"), None) is not None:
            raise UserError(f"{path}: TFRecords cannot be read by this version; convert them to a folder or zip of pictures")
        return FolderSource(path)
    if path.is_file():
        return ZipSource(path)
    raise UserError(f"dataset.path={path}: no such folder or file")


def _labels(source: FolderSource | ZipSource, kept: list[str], path: Path) -> list[int] | None:
    try:
        text = source.read("dataset.json")
    except BadPicture:
        return None
    try:
        listed = json.loads(text)["labels"]
        if listed is None:
            return None
        table = {str(name).replace("\\", "/"): int(label) for name, label in listed}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: its dataset.json is not {{'labels': [[name, number], ...]}} ({error})") from error
    missing = [name for name in kept if name not in table]
    if missing:
        raise UserError(f"{path}: dataset.json has no label for {missing[0]} and {len(missing) - 1} more")
    if min(table.values()) < 0:
        raise UserError(f"{path}: dataset.json has negative labels; classes count from 0")
    return [table[name] for name in kept]


def _is_resolution(value: int) -> bool:
    return value >= 8 and value & (value - 1) == 0


def _chw(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
