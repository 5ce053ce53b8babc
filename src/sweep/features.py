"""What is measured of a set of pictures, kept beside the sweep so that no picture is made or measured twice."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import image_grid, save_jpeg
from ..faces import LandmarkProvider
from ..files import atomic_write, copy_file, damage_of_zip
from ..metrics import Judge, Rows, locate, shrunk
from ..runs import CELL_COLUMNS, CELL_FACES

SCORE_VERSION = 8  # raise when what is stored, or how it is measured, changes
JPEG_END = b"\xff\xd9"
ROW, THUMBNAILS = "row.", "thumbnails"  # before the names of arrays that are features; one of them


class Collector:
    """Measures the pictures of one set of the common codes chunk by chunk, and keeps the first 16 to show.

    `before` is what was measured of the codes before these, and the picture that shows them.
    """

    def __init__(self, judge: Judge, provider: LandmarkProvider, before: tuple[Rows, Path] | None = None) -> None:
        self._judge, self._provider = judge, provider
        self._rows = [] if before is None else [before[0]]
        self._picture = None if before is None else before[1]
        self._shown: list[Tensor] = []

    def add(self, pictures: Tensor) -> None:
        """Take the next uint8 `[n, 3, H, W]`."""
        self._rows.append(self._judge.rows(locate(shrunk(pictures), self._provider)))
        if self._picture is None and sum(map(len, self._shown)) < CELL_FACES:
            self._shown.append(pictures[:CELL_FACES].cpu())

    def save(
        self,
        features_path: Path,
        picture_path: Path,
        *,
        more: bool,
        unblended: np.ndarray | None = None,
        is_unblended: bool = False,
    ) -> dict[str, Any]:
        """Write the pseudo-values and the picture, each whole or not at all.

        Args:
            features_path: of the pseudo-values.
            picture_path: of the picture.
            more: whether further codes may follow, so that features are kept.
            unblended: the un-blended snapshot's thumbnails, see `Judge.judged`.
            is_unblended: whether this is that one, so that its thumbnails are kept.

        Returns:
            What stands in the set's row: `codes`, `found` and `gates`.
        """
        rows = Rows.joined(self._rows)
        judged = self._judge.judged(rows, unblended)
        if self._picture is None:
            show(picture_path, torch.cat(self._shown))
        else:
            copy_file(self._picture, picture_path)
        kept = {f"{ROW}{name}": v for name, v in rows.arrays().items() if more or (is_unblended and name == THUMBNAILS)}
        save_arrays(features_path, pseudo=judged.pseudo, **kept)
        gates = {gate.name: gate.as_dict() for gate in judged.gates}
        return {"codes": len(judged.pseudo), "found": judged.found, "gates": gates}


def show(path: Path, pictures: Tensor) -> None:
    """Write the first 16 pictures, uint8 `[N, 3, H, W]`, as one."""
    save_jpeg(path, image_grid(pictures[:CELL_FACES], CELL_COLUMNS))


def load_pseudo(path: Path) -> np.ndarray:
    """Read the pseudo-values `[N, A]` that `Collector.save` wrote."""
    with np.load(path) as file:
        return np.asarray(file["pseudo"])


def load_rows(path: Path) -> Rows:
    """Read the features that `Collector.save` kept."""
    with np.load(path) as file:
        return Rows.from_arrays({name.removeprefix(ROW): file[name] for name in file.files if name.startswith(ROW)})


def load_thumbnails(path: Path) -> np.ndarray:
    """Read the thumbnails of an un-blended snapshot that `Collector.save` kept."""
    with np.load(path) as file:
        return np.asarray(file[f"{ROW}{THUMBNAILS}"], np.float64)


def has_features(path: Path) -> bool:
    """Whether a features file is there and as it was written, by its own checksums."""
    return path.is_file() and damage_of_zip(path) is None


def has_picture(path: Path) -> bool:
    """Whether a picture is there, and not cut short."""
    try:
        with open(path, "rb") as file:
            file.seek(-len(JPEG_END), os.SEEK_END)
            return file.read() == JPEG_END
    except OSError:
        return False


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an npz file, whole or not at all."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
