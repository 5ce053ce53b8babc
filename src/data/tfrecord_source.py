"""StyleGAN's TFRecords as a source of pictures: one file a resolution, labels beside them.

    NAME-r02.tfrecords … NAME-r10.tfrecords   features `shape` (C, H, W) and `data` (uint8, channels first)
    NAME-rxx.labels                           a .npy file, float `[N, classes]`, one-hot, in the order of the records

The fork justinpinkney/stylegan2 writes the encoded picture as `img` instead of `data`, to one file.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..options import OptionError
from .decode import BadPicture
from .tf_example import NotAnExample, parse_example
from .tfrecord import RecordFile, first_record

SUFFIX, LABELS_SUFFIX = ".tfrecords", ".labels"
LABELS_NAME = "dataset.json"  # as in folders and zips
MAX_CLASS = 9999


@dataclass(frozen=True)
class _Picture:
    """A record's picture: shape C, H, W and either raw or encoded bytes."""

    shape: tuple[int, ...]
    raw: memoryview | None
    encoded: memoryview | None


class TFRecordSource:
    """The records of one TFRecord file, named `FILE/00000012`, in their order.

    Raw pictures are handed out as PPM or PGM (the same bytes, interleaved), encoded ones as they are; labels as the
    `dataset.json` of a folder would hold them.

    Args:
        path: of the file.
        labels: class of each record, or None.
    """

    def __init__(self, path: Path, labels: list[int] | None = None) -> None:
        self.records, self.labels = RecordFile(path), labels
        if labels is not None and len(labels) != len(self.records):
            raise OptionError(
                "dataset.path", path, f"{len(self.records)} records but {len(labels)} labels; was it copied in full?"
            )

    @classmethod
    def open(cls, path: Path, resolution: int | None = None) -> "TFRecordSource | None":
        """Open a TFRecord file, or the one of a folder that fits.

        Args:
            path: file or folder.
            resolution: px a side to look for among a folder's files; None, or one that is not there, takes the largest.

        Raises:
            UserError: for damaged or other TFRecords, two files of one size, or labels that do not fit.
        """
        if path.is_dir():
            files = sorted(path.glob(f"*{SUFFIX}"))
            if not files:
                return None
            path = _choose(path, files, resolution)
        elif path.suffix != SUFFIX:
            return None
        else:
            _size(path)
        labels_path = _find_labels(path)
        return cls(path, None if labels_path is None else read_labels(labels_path))

    def names(self) -> list[str]:
        """Names of all records, in their order."""
        return [f"{self.records.path.name}/{i:08d}" for i in range(len(self.records))]

    def read(self, name: str) -> bytes:
        """Picture of one record as the bytes of a picture file, or the labels as those of `dataset.json`."""
        if name == LABELS_NAME:
            if self.labels is None:
                raise BadPicture("no labels")
            return json.dumps({"labels": list(zip(self.names(), self.labels, strict=True))}).encode()
        try:
            picture = _picture(self.records.read(int(name.rpartition("/")[2])))
        except NotAnExample as error:
            raise BadPicture(f"not a picture of StyleGAN's TFRecords ({error})") from error
        if picture.encoded is not None:
            return bytes(picture.encoded)
        assert picture.raw is not None
        channels, height, width = picture.shape
        pixels = np.frombuffer(picture.raw, np.uint8).reshape(channels, height, width).transpose(1, 2, 0)
        return b"P%d\n%d %d\n255\n" % (6 if channels == 3 else 5, width, height) + pixels.tobytes()


def read_labels(path: Path) -> list[int] | None:
    """Read a file of one-hot labels.

    Returns:
        The class of each record; None for labels of no classes.

    Raises:
        UserError: when it is damaged, of another form, or not one-hot.
    """
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise UserError(f"{path}: not a .npy file of labels, or cut short; was it copied in full?") from error
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.dtype.kind not in "fiub":
        found = f"{table.dtype} {list(table.shape)}" if isinstance(table, np.ndarray) else "an archive"
        raise UserError(f"{path}: holds {found}; labels are numbers [records, classes], one-hot")
    if table.shape[1] == 0:
        return None
    if table.shape[1] > MAX_CLASS + 1:
        raise UserError(f"{path}: {table.shape[1]} classes, at most {MAX_CLASS + 1} can be used")
    wrong = np.flatnonzero((np.count_nonzero(table, axis=1) != 1) | (table.max(axis=1, initial=0) != 1))
    if len(wrong):
        raise UserError(
            f"{path}: the label of record {wrong[0]} is not one-hot (one class of 1, the others 0), nor are those of "
            f"{len(wrong) - 1} others; only classes can be used: take the file away to use the pictures without labels"
        )
    return [int(label) for label in table.argmax(axis=1)]


def _choose(folder: Path, files: list[Path], resolution: int | None) -> Path:
    """The file of the wanted resolution, else the largest."""
    by_size: dict[int, Path] = {}
    for file in files:
        size = _size(file)
        if size in by_size:
            raise OptionError(
                "dataset.path",
                folder,
                f"{by_size[size].name} and {file.name} both hold pictures of {size} px; give the path of one file",
            )
        by_size[size] = file
    return by_size[resolution if resolution in by_size else max(by_size)]


def _size(file: Path) -> int:
    """Shorter side of a file's first picture.

    Raises:
        UserError: when its records are something else than pictures.
    """
    try:
        return min(_picture(first_record(file)).shape[1:])
    except NotAnExample as error:
        raise UserError(f"{file}: its records are not pictures as StyleGAN's TFRecords hold them ({error})") from error


def _picture(record: bytes) -> _Picture:
    """The picture of an Example.

    Raises:
        NotAnExample: when there is none.
    """
    features = parse_example(record)
    if not {"shape"} < set(features) or not {"data", "img"} & set(features):
        names = ", ".join(ascii(name[:30])[1:-1] for name in sorted(features)[:6]) or "none"
        raise NotAnExample(f"its features are {names}; shape and data, or shape and img, are needed")
    shape = features["shape"]
    if not shape or len(shape) != 3 or not all(isinstance(n, int) and 0 < n < 2**31 for n in shape):
        raise NotAnExample("its shape is not three numbers C, H, W")
    dims = tuple(int(n) for n in shape)  # type: ignore[arg-type]
    raw, encoded = (_bytes(features.get(key)) for key in ("data", "img"))
    if encoded is None and (raw is None or len(raw) != math.prod(dims)):
        raise NotAnExample(f"{0 if raw is None else len(raw)} bytes for a shape of {list(dims)}")
    if encoded is None and dims[0] not in (1, 3):
        raise NotAnExample(f"{dims[0]} channels; pictures have 3, or 1")
    return _Picture(dims, raw, encoded)


def _bytes(feature: list[memoryview] | list[int] | None) -> memoryview | None:
    values = feature or []
    return values[0] if len(values) == 1 and isinstance(values[0], memoryview) else None


def _find_labels(file: Path) -> Path | None:
    """The labels of a TFRecord file: `NAME-rxx.labels`, or the only ones in its folder.

    Raises:
        UserError: when several could be meant.
    """
    own = file.parent / f"{file.stem.rpartition('-r')[0] or file.stem}-rxx{LABELS_SUFFIX}"
    if own.is_file():
        return own
    others = sorted(file.parent.glob(f"*{LABELS_SUFFIX}"))
    if len(others) > 1:
        raise UserError(
            f"{file}: {others[0].name} and {others[1].name} could both be its labels; call the right one {own.name}"
        )
    return others[0] if others else None
