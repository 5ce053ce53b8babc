"""What a prepared set says about itself: every choice, every source file's hash, the versions that made it."""

import hashlib
import json
import os
import platform
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from ..data import FolderSource, Source, ZipSource
from .settings import PrepareSettings

NAME = "manifest.json"
MADE_BY = "caricature prepare.py"
#: Counts up when the same choices give other pictures than before.
RECIPE_VERSION = 1


def source_status(source: Source, path: Path, names: Sequence[str]) -> tuple[str, list[int]]:
    """Take stock of a source without reading its pictures.

    Returned are a digest that changes with the source's files, and the size of each in bytes (0 where it is not known).
    """
    if isinstance(source, FolderSource | ZipSource):
        statuses = [source.status(name) for name in names]
        known = [[name, *status] for name, status in zip(names, statuses, strict=True)]
        sizes = [size for size, _ in statuses]
    else:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        known = [[str(p.relative_to(path)), p.stat().st_size, p.stat().st_mtime_ns] for p in files]
        sizes = [0] * len(names)
    return hashlib.sha256(json.dumps(known).encode()).hexdigest(), sizes


def make_manifest(
    settings: PrepareSettings,
    stamp: str,
    pictures: list[dict[str, Any]],
    classes: list[str] | None,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """Put the manifest together, of the source's digest, rows of pictures, names of the labels and further parts."""
    return {
        "made_by": MADE_BY,
        "recipe_version": RECIPE_VERSION,
        "versions": {
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "numpy": np.__version__,
        },
        "source": os.fsdecode(settings.source.name),
        "source_stamp": stamp,
        "source_place": _place(settings),
        "options": settings.choices(),
        "classes": classes,
        "pictures": pictures,
        **details,
    }


def read_manifest(out: Path) -> dict[str, Any] | None:
    """Read the manifest of a prepared zip or folder of TFRecords; None when `out` is not one."""
    try:
        if out.is_dir():
            text = (out / NAME).read_bytes()
        else:
            with zipfile.ZipFile(out) as archive:
                text = archive.read(NAME)
        manifest = json.loads(text)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("made_by") == MADE_BY else None


def is_same(manifest: dict[str, Any], settings: PrepareSettings, stamp: str) -> bool:
    """Whether a finished set was made with the same choices of the same source."""
    return (
        manifest.get("recipe_version") == RECIPE_VERSION
        and manifest.get("source_stamp") == stamp
        and manifest.get("options") == json.loads(json.dumps(settings.choices()))
    )


def is_same_source(manifest: dict[str, Any], settings: PrepareSettings, stamp: str) -> bool:
    """Whether a finished set was made of this source, even if its files changed or moved since."""
    return manifest.get("source_stamp") == stamp or manifest.get("source_place") == _place(settings)


def _place(settings: PrepareSettings) -> str:
    """Digest of where the source is: it tells two of one name apart, and does not say where they are."""
    return hashlib.sha256(os.fsencode(settings.source.resolve())).hexdigest()


def key_of(settings: PrepareSettings, stamp: str) -> str:
    """Digest of choices and source, for work in progress."""
    parts = [RECIPE_VERSION, stamp, settings.choices()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
