"""Prepared pictures into their target: a zip as stylegan2-ada-pytorch reads it, or StyleGAN's TFRecords."""

import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..files import atomic_write, write_text
from .manifest import NAME
from .work_folder import Unfinished

_PER_FOLDER = 1000
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of members: the same pictures give the same zip, byte for byte


def member_name(index: int) -> str:
    """Name of picture `index` in a zip: `00001/img00001234.png`."""
    return f"{index // _PER_FOLDER:05d}/img{index:08d}.png"


def write_zip(
    out: Path, work: Unfinished, numbers: Sequence[int], labels: Sequence[int] | None, manifest: dict[str, Any]
) -> None:
    """Write the numbered PNGs of the work, `dataset.json` and the manifest to a zip, whole or not at all."""
    names = [member_name(i) for i in range(len(numbers))]
    table = None if labels is None else [[name, label] for name, label in zip(names, labels, strict=True)]
    with atomic_write(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, number in zip(names, numbers, strict=True):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), work.path(number).read_bytes())
        archive.writestr(zipfile.ZipInfo("dataset.json", _EPOCH), json.dumps({"labels": table}))
        archive.writestr(zipfile.ZipInfo(NAME, _EPOCH), json.dumps(manifest, indent=1))


def write_tfrecord(
    out: Path, work: Unfinished, numbers: Sequence[int], labels: Sequence[int] | None, manifest: dict[str, Any]
) -> None:
    """Write TFRecords and the manifest to a folder, whole or not at all; arguments as `write_zip`."""
    from ..data import write_tfrecords

    staging = work.folder / "tfrecords"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    write_tfrecords(staging / out.name, (_pixels(work.path(n)) for n in numbers), labels)
    write_text(staging / out.name / NAME, json.dumps(manifest, indent=1))
    if out.exists():
        os.replace(out, staging / "old")
    os.replace(staging / out.name, out)


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.ascontiguousarray(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
