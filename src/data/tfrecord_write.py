"""Writing StyleGAN's multi-resolution TFRecords, as StyleGAN, StyleGAN2 and -ADA on TensorFlow read them."""

import os
import shutil
from collections.abc import Iterable, Sequence, Sized
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor
from tqdm import tqdm

from ..errors import UserError
from .tf_example import encode_example
from .tfrecord import frame_record

MIN_LOG2 = 2  # the smallest level is 4 px


def write_tfrecords(
    folder: str | Path,
    images: Iterable[Tensor | np.ndarray],
    labels: Sequence[int] | None = None,
    *,
    progress: bool = True,
) -> Path:
    """Write pictures as TFRecords: a file a resolution from their own down to 4 px, and the labels; returns the folder.

    A level is the 2x2 box mean of the level above before that one was rounded; each is rounded half to even. The files
    are made in a hidden folder beside the target, which takes its name when all is written.

    Args:
        folder: new or empty; its name is the files' (`NAME/NAME-r08.tfrecords`).
        images: uint8 `[3, H, H]` or `[1, H, H]` each, all of one shape, H a power of two from 8 up; read once.
        labels: class of each picture; None writes no labels.
        progress: show a bar.

    Raises:
        UserError: for a folder that holds something, pictures of another form, none, or labels that do not fit.
    """
    folder = Path(folder)
    name = folder.resolve().name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is not empty; name a new folder for the TFRecords")
    if labels is not None and (len(labels) == 0 or min(labels) < 0):
        raise UserError(f"{folder}: labels are classes, counted from 0, one a picture")
    partial = folder.parent / f".{name}.{os.getpid()}.partial"
    total = len(images) if isinstance(images, Sized) else None
    try:
        partial.mkdir(parents=True)
        bar = tqdm(images, total=total, desc=f"writing {name}", unit="img", disable=None if progress else True)
        count = _write_levels(partial, name, bar)
        if labels is not None:
            _write_labels(partial / f"{name}-rxx.labels", labels, count)
        os.replace(partial, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def levels(image: np.ndarray) -> list[np.ndarray]:
    """A picture `[C, H, H]` at all sizes, as uint8: its own, then the halves, down to 4 px."""
    found, exact = [image], image.astype(np.float32)
    while exact.shape[1] > 1 << MIN_LOG2:
        rows = exact[:, 0::2], exact[:, 1::2]
        top_left, top_right, low_left, low_right = (row[:, :, k::2] for row in rows for k in (0, 1))
        exact = (top_left + top_right + low_left + low_right) * np.float32(0.25)
        found.append(np.rint(exact).clip(0, 255).astype(np.uint8))
    return found


def _write_levels(folder: Path, name: str, images: Iterable[Tensor | np.ndarray]) -> int:
    count, shape = 0, None
    with ExitStack() as stack:
        files: list[BinaryIO] = []
        for image in images:
            array = image.cpu().numpy() if isinstance(image, Tensor) else image
            if shape is None:
                shape = array.shape
                top = _log2_of(folder.parent / name, array)
                names = [f"{name}-r{k:02d}.tfrecords" for k in range(top, MIN_LOG2 - 1, -1)]
                files = [stack.enter_context(open(folder / file, "wb")) for file in names]
            if array.shape != shape or array.dtype != np.uint8:
                raise UserError(
                    f"{folder.parent / name}: picture {count} is {array.dtype} {list(array.shape)}, the first is uint8 "
                    f"{list(shape)}; all of one set are alike"
                )
            for file, level in zip(files, levels(array), strict=True):
                file.write(frame_record(encode_example({"shape": level.shape, "data": level.tobytes()})))
            count += 1
    if count == 0:
        raise UserError(f"{folder.parent / name}: no pictures to write")
    return count


def _log2_of(target: Path, image: np.ndarray) -> int:
    ok = image.dtype == np.uint8 and image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[1] == image.shape[2]
    side = image.shape[1] if ok else 0
    if side < 8 or side & (side - 1):
        raise UserError(
            f"{target}: TFRecords hold uint8 pictures [3, H, H] with H a power of two from 8 up, not {image.dtype} "
            f"{list(image.shape)}"
        )
    return side.bit_length() - 1


def _write_labels(path: Path, labels: Sequence[int], count: int) -> None:
    if len(labels) != count:
        raise UserError(f"{path.parent.parent / path.name}: {len(labels)} labels for {count} pictures")
    table = np.zeros([count, max(labels) + 1], np.float32)
    table[np.arange(count), list(labels)] = 1
    with open(path, "wb") as file:
        np.save(file, table)
