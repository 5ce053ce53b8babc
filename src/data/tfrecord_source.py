"""StyleGAN's TFRecords as a source of pictures: one file a resolution, labels beside them.

    NAME-r02.tfrecords … NAME-r10.tfrecords   features `shape` (C, H, W) and `data` (uint8, channels first)
    NAME-rxx.labels                           a .npy file, float `[N, classes]`, one-hot, in the order of the records

The fork justinpinkney/stylegan2 writes the encoded picture as `img` instead of `data`, to one file. TensorFlow's own
tools write it as `image/encoded` or `image`, without a shape, to `NAME.tfrecord` or to shards `NAME-00000-of-00004`.
"""

import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import UserError
from ..options import OptionError
from .decode import BadPicture
from .tf_example import NotAnExample, parse_example
from .tfrecord import RecordFile, first_record, is_record_file

SUFFIXES, LABELS_SUFFIX = (".tfrecords", ".tfrecord"), ".labels"
SHARD = re.compile(r"(?P<set>.+)-(?P<index>[0-9]{5})-of-(?P<count>[0-9]{5})")  # the whole name, at its end
ENCODED = ("img", "image/encoded", "image")
LABELS_NAME = "dataset.json"  # as in folders and zips
MAX_CLASS = 9999


@dataclass(frozen=True)
class _Picture:
    """A record's picture: shape C, H, W (of an encoded one perhaps empty) and either raw or encoded bytes."""

    shape: tuple[int, ...]
    raw: bytes | None
    encoded: bytes | None


class TFRecordSource:
    """The records of a TFRecord file or of all shards of a set, named `FILE/00000012`, in their order.

    Raw pictures are handed out as PPM or PGM (the same bytes, interleaved), encoded ones as they are; labels, of a file
    of their own, as the `dataset.json` of a folder would hold them.
    """

    def __init__(self, paths: Sequence[Path], labels: Path | None = None) -> None:
        self.files = {path.name: RecordFile(path) for path in paths}
        self.labels: list[int] | None = None  # class of each record
        self.labels_problem: str | None = None  # why the file of labels cannot be used
        try:
            self.labels = None if labels is None else read_labels(labels)
        except UserError as error:
            self.labels_problem = str(error)
        count = sum(map(len, self.files.values()))
        if self.labels is not None and len(self.labels) != count:
            self.labels_problem = f"{labels}: {count} records but {len(self.labels)} labels; was it copied in full?"
            self.labels = None

    def names(self) -> list[str]:
        """Names of all records, in their order."""
        return [f"{name}/{i:08d}" for name, records in self.files.items() for i in range(len(records))]

    def read(self, name: str) -> bytes:
        """Picture of one record as the bytes of a picture file, or the labels as those of `dataset.json`."""
        if name == LABELS_NAME:
            if self.labels is None:
                raise BadPicture("no labels")
            return json.dumps({"labels": list(zip(self.names(), self.labels, strict=True))}).encode()
        file, _, index = name.rpartition("/")
        try:
            picture = _picture(self.files[file].read(int(index)))
        except NotAnExample as error:
            raise BadPicture(f"not a picture of StyleGAN's TFRecords ({error})") from error
        if picture.encoded is not None:
            return picture.encoded
        assert picture.raw is not None
        channels, height, width = picture.shape
        pixels = np.frombuffer(picture.raw, np.uint8).reshape(channels, height, width).transpose(1, 2, 0)
        return b"P%d\n%d %d\n255\n" % (6 if channels == 3 else 5, width, height) + pixels.tobytes()


def open_tfrecords(path: Path, resolution: int | None = None) -> TFRecordSource | None:
    """Open a TFRecord file, or the one of a folder's that has the resolution, else the largest; None where is none."""
    if path.is_dir():
        sets = _sets(path)
        if not sets:
            return None
        paths = _choose(path, sets, resolution)
    elif path.suffix.lower() in SUFFIXES or is_record_file(path):
        _size(path)
        paths = [path]
    else:
        return None
    labels = _find_labels(paths[0])
    source = TFRecordSource(paths, labels if isinstance(labels, Path) else None)
    if isinstance(labels, str):
        source.labels_problem = labels
    return source


def read_labels(path: Path) -> list[int] | None:
    """Read a file of one-hot labels: the class of each record; None for labels of no classes."""
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


def _sets(folder: Path) -> list[list[Path]]:
    """A folder's TFRecord files, the shards of a set together and in their order.

    A shard without a suffix is told by what is in it: other things are numbered in this way too.
    """
    files, shards = [], dict[tuple[str, int], dict[int, Path]]()
    try:
        paths = sorted(folder.iterdir())
    except OSError:  # which the source of folders says
        return []
    for path in paths:
        if match := SHARD.fullmatch(path.name):
            shards.setdefault((match["set"], int(match["count"])), {})[int(match["index"])] = path
        elif path.suffix.lower() in SUFFIXES:
            files.append([path])
    for (name, count), found in shards.items():
        if not name.lower().endswith(SUFFIXES) and not any(is_record_file(path) for path in found.values()):
            continue
        missing = [i for i in range(count) if i not in found]
        if missing:
            raise OptionError(
                "dataset.path",
                folder,
                f"{name}-{missing[0]:05d}-of-{count:05d} and {len(missing) - 1} other shards "
                "are missing; copy them, or give the path of one shard to use it alone",
            )
        files.append([found[i] for i in range(count)])
    return files


def _choose(folder: Path, sets: list[list[Path]], resolution: int | None) -> list[Path]:
    """The file or shards of the wanted resolution, else the largest."""
    by_size: dict[int, list[Path]] = {}
    for files in sets:
        size = _size(files[0])
        if size in by_size:
            raise OptionError(
                "dataset.path",
                folder,
                f"{by_size[size][0].name} and {files[0].name} both hold pictures of {size} px; give the path of one "
                "file",
            )
        by_size[size] = files
    return by_size[resolution if resolution in by_size else max(by_size)]


def _size(file: Path) -> int:
    """Shorter side of a file's first picture."""
    try:
        picture = _picture(first_record(file))
        if picture.shape:
            return min(picture.shape[1:])
        assert picture.encoded is not None
        with Image.open(io.BytesIO(picture.encoded)) as opened:
            return min(opened.size)
    except NotAnExample as error:
        raise UserError(f"{file}: its records are not pictures as StyleGAN's TFRecords hold them ({error})") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{file}: the image of its first record is not a picture that can be read") from error


def _picture(record: bytes) -> _Picture:
    """The picture of an Example; NotAnExample when there is none."""
    features = parse_example(record)
    encoded = next((found for key in ENCODED if (found := _bytes(features.get(key))) is not None), None)
    if encoded is None and not {"shape", "data"} <= set(features):
        names = ", ".join(ascii(name[:30])[1:-1] for name in sorted(features)[:6]) or "none"
        raise NotAnExample(f"its features are {names}; shape and data, or one of {', '.join(ENCODED)}, are needed")
    shape = features.get("shape")
    if shape is None and encoded is not None:
        return _Picture((), None, encoded)
    if not shape or len(shape) != 3 or not all(isinstance(n, int) and 0 < n < 2**31 for n in shape):
        raise NotAnExample("its shape is not three numbers C, H, W")
    dims = tuple(int(n) for n in shape)  # type: ignore[arg-type]
    raw = _bytes(features.get("data"))
    if encoded is None and (raw is None or len(raw) != math.prod(dims)):
        raise NotAnExample(f"{0 if raw is None else len(raw)} bytes for a shape of {list(dims)}")
    if encoded is None and dims[0] not in (1, 3):
        raise NotAnExample(f"{dims[0]} channels; pictures have 3, or 1")
    return _Picture(dims, raw, encoded)


def _bytes(feature: list[bytes] | list[int] | None) -> bytes | None:
    values = feature or []
    return values[0] if len(values) == 1 and isinstance(values[0], bytes) else None


def _find_labels(file: Path) -> Path | str | None:
    """The labels of a TFRecord file: `NAME-rxx.labels`, or the only ones in its folder; a sentence for several."""
    shard = SHARD.fullmatch(file.name)
    stem = Path(shard["set"] if shard else file.name)
    name = stem.stem if stem.suffix.lower() in SUFFIXES else stem.name
    own = file.parent / f"{name.rpartition('-r')[0] or name}-rxx{LABELS_SUFFIX}"
    if own.is_file():
        return own
    others = sorted(file.parent.glob(f"*{LABELS_SUFFIX}"))
    if len(others) > 1:
        return f"{file}: {others[0].name} and {others[1].name} could both be its labels; call the right one {own.name}"
    return others[0] if others else None
