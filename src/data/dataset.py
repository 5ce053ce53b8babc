"""Data sets of pictures: folder, zip or TFRecords, checked once up front, decoded in memory when they fit.

ds = open_dataset("pictures/", resolution=64);  image, label = ds[0]     # uint8 [3, 64, 64], int or None
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..files import expanded
from ..options import OptionError
from .decode import (
    MAX_PIXELS,
    RESIZE_FILTER,
    BadPicture,
    DecodedPicture,
    decode_picture,
    parse_background,
    resize_square,
)
from .icc import TO_SRGB
from .labels import read_labels
from .report import DatasetReport
from .sources import Source, not_of_kinds, open_source

MEMORY_LIMIT_MB = 2048
MIN_PICTURES = 2
DIGITS = 16  # of a file's digest that are kept
Decode = Callable[[bytes], DecodedPicture]
#: Suffixes of files that lie beside pictures and are passed over without a word.
NOT_PICTURES = frozenset(
    (
        *(".json", ".txt", ".md", ".csv", ".yaml", ".yml", ".xml", ".html", ".pdf", ".py", ".npy", ".npz", ".log"),
        *(".db", ".ini", ".lnk", ".url", ".webloc", ".xmp", ".aae", ".md5", ".sha256"),  # beside the pictures of others
    )
)


class PictureDataset:
    """Square pictures of one size, indexable.

    Attributes:
        name: of the set.
        resolution: px a side.
        images: uint8 `[N, 3, H, W]` when the set is in memory, else None.
        labels: class of each picture, or None.
        fingerprint: SHA-256 over names, contents and settings.
        contents: name of each picture to a digest of its file, 16 hexadecimal digits; empty for drawn pictures.
        report: what the check found.
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
        contents: Mapping[str, str] | None = None,
    ) -> None:
        self.contents = dict(contents or {})
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

    def __init__(self, source: Source, contents: Mapping[str, str], resolution: int, decode: Decode) -> None:
        self.source, self.resolution, self.decode = source, resolution, decode
        self.names, self.digests = list(contents), list(contents.values())

    def __call__(self, index: int) -> Tensor:
        """uint8 `[3, r, r]`."""
        name = self.names[index]
        try:
            data = self.source.read(name)
            if hashlib.sha256(data).hexdigest()[:DIGITS] != self.digests[index]:
                raise UserError(f"{name}: is another picture than when the data set was checked; put it back")
            rgb = self.decode(data).rgb
        except BadPicture as error:
            raise UserError(f"{name}: {error}; it was fine when the data set was checked, leave it in place") from error
        return _chw(resize_square(rgb, self.resolution))


def open_dataset(
    path: str | Path,
    *,
    resolution: int | None = None,
    on_bad: str = "skip",
    background: str = "black",
    max_megapixels: float = MAX_PIXELS / 1e6,
    memory_limit_mb: float = MEMORY_LIMIT_MB,
    name: str | None = None,
) -> PictureDataset:
    """Open a folder, zip or TFRecords of pictures: decode each once, report what is converted or left out.

    Args:
        path: folder (searched through) or zip; `dataset.json` in it may hold `{"labels": [[name, int], ...]}`. Or a
            TFRecord file or folder, of which the level of `resolution` px is taken, else the largest.
        resolution: px a side, a power of two; None when all pictures are squares of one such size already.
        on_bad: `"skip"` leaves bad pictures out with a reason, `"error"` refuses the set.
        background: colour behind transparent pictures.
        max_megapixels: of a picture, in millions, see `decode_picture`; larger ones are bad.
        memory_limit_mb: a decoded set up to this size is kept in memory.
        name: of the set; None for the path's stem.

    Raises:
        UserError: for a missing path, no usable picture, sizes that differ without `resolution`, damaged TFRecords.
    """
    path = expanded(path)
    if on_bad not in ("skip", "error"):
        raise OptionError("dataset.on_bad", on_bad, "choose skip or error")
    try:
        colour = parse_background(background)
    except ValueError as error:
        raise OptionError("dataset.background", background, str(error)) from error
    source = open_source(path, resolution)
    everything = source.names()
    names = not_of_kinds(everything, NOT_PICTURES)
    if not names:
        what = "pictures" if everything else "files"
        raise OptionError("dataset.path", path, f"no {what} in it; give a folder or zip of pictures")
    report = DatasetReport(source=str(path))
    decode = partial(decode_picture, background=colour, max_pixels=int(max_megapixels * 1e6))
    check = _Check(source, report, decode, resolution, memory_limit_mb)
    for file in names:
        check.look(file)
    if report.skipped and on_bad == "error":
        file, reason = next(iter(report.skipped.items()))
        raise OptionError("dataset.path", path, f"{file}: {reason} ({len(report.skipped)} bad pictures, on_bad=error)")
    if report.used < MIN_PICTURES:
        lack = f"{report.used} usable pictures, at least {MIN_PICTURES} needed"
        raise OptionError("dataset.path", path, f"{lack}{report.details()}")
    final = check.resolution_of_all()
    found = read_labels(source, everything).of(list(check.contents))
    labels = None if found.classes is None else list(found.classes.values())
    report.labels_problem = found.problem
    digest = check.digest
    digest.update(json.dumps([final, background, RESIZE_FILTER]).encode())
    if labels is not None:
        digest.update(json.dumps(labels).encode())
    images = check.images_in_memory()
    decoder = PictureDecoder(source, check.contents, final, decode) if images is None else None
    return PictureDataset(
        name or path.stem,
        final,
        fingerprint=digest.hexdigest(),
        report=report,
        images=images,
        labels=labels,
        decode=decoder,
        contents=check.contents,
    )


class _Check:
    """One pass over the files."""

    def __init__(
        self,
        source: Source,
        report: DatasetReport,
        decode: Decode,
        resolution: int | None,
        memory_limit_mb: float,
    ) -> None:
        self.source, self.report, self.decode, self.resolution = source, report, decode, resolution
        self.limit = memory_limit_mb * 2**20
        self.contents: dict[str, str] = {}
        self.sizes: set[tuple[int, int]] = set()
        self.digest = hashlib.sha256()
        self._pictures: list[np.ndarray] | None = []
        self._bytes = 0
        if resolution is not None and not _is_resolution(resolution):
            raise OptionError("dataset.resolution", resolution, "must be a power of two, at least 8")

    def look(self, name: str) -> None:
        try:
            data = self.source.read(name)
            picture = self.decode(data)
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
        digest = hashlib.sha256(data)
        self.contents[name] = digest.hexdigest()[:DIGITS]
        self.digest.update(name.encode(errors="surrogateescape") + b"\0" + digest.digest())
        if picture.reduction > 1:
            self.digest.update(b"reduced")  # in full it is another picture
        if TO_SRGB in notes:
            self.digest.update(TO_SRGB.encode())  # features of such a set that were kept before are of other pixels
        if self._pictures is not None:
            self._pictures.append(rgb)
            self._bytes += rgb.nbytes
            if self._bytes > self.limit or (self.resolution is None and len(self.sizes) > 1):
                self._pictures = None

    def resolution_of_all(self) -> int:
        if self.resolution is not None:
            return self.resolution
        width, height = next(iter(self.sizes))
        if len(self.sizes) == 1 and width == height and _is_resolution(width):
            return width
        shown = ", ".join(f"{w}x{h}" for w, h in sorted(self.sizes)[:4]) + (", ..." if len(self.sizes) > 4 else "")
        raise OptionError(
            "dataset.path",
            self.report.source,
            f"pictures of {shown} px; set dataset.resolution to a power of two to crop and resize them",
        )

    def images_in_memory(self) -> Tensor | None:
        if self._pictures is None:
            return None
        first = self._pictures[0]
        images = torch.empty([len(self._pictures), 3, *first.shape[:2]], dtype=torch.uint8)
        for i in reversed(range(len(images))):  # from the end, so that each picture is freed as it is copied
            images[i] = _chw(self._pictures.pop())
        return images


def _is_resolution(value: int) -> bool:
    return value >= 8 and value & (value - 1) == 0


def _chw(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
