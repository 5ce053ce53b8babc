"""What is measured of a set of pictures, kept beside the sweep so that no picture is made or measured twice."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import image_grid, save_jpeg
from ..faces import LandmarkProvider
from ..files import atomic_write
from ..metrics import Judge, Rows, locate, shrunk
from ..runs import CELL_COLUMNS, CELL_FACES

SCORE_VERSION = 3  # raise when what is stored, or how it is measured, changes


class Collector:
    """Measures the pictures of one set of the common codes chunk by chunk, and keeps the first 16 to show.

    Args:
        judge: measures them.
        provider: finds their faces.
    """

    def __init__(self, judge: Judge, provider: LandmarkProvider) -> None:
        self._judge, self._provider = judge, provider
        self._rows: list[Rows] = []
        self._shown: list[Tensor] = []

    def add(self, pictures: Tensor) -> None:
        """Take the next uint8 `[n, 3, H, W]`."""
        self._rows.append(self._judge.rows(locate(shrunk(pictures), self._provider)))
        if sum(map(len, self._shown)) < CELL_FACES:
            self._shown.append(pictures[:CELL_FACES])

    def save(self, features_path: Path, picture_path: Path) -> dict[str, Any]:
        """Write the pseudo-values and the picture, each whole or not at all.

        Returns:
            What stands in the set's row: `found` and `gates`.
        """
        judged = self._judge.judged(Rows.joined(self._rows))
        show(picture_path, torch.cat(self._shown))
        save_arrays(features_path, pseudo=judged.pseudo)
        return {"found": judged.found, "gates": {gate.name: gate.as_dict() for gate in judged.gates}}


def show(path: Path, pictures: Tensor) -> None:
    """Write the first 16 pictures, uint8 `[N, 3, H, W]`, as one."""
    save_jpeg(path, image_grid(pictures[:CELL_FACES], CELL_COLUMNS))


def load_pseudo(path: Path) -> np.ndarray:
    """Read the pseudo-values `[N, A]` that `Collector.save` wrote."""
    with np.load(path) as file:
        return np.asarray(file["pseudo"])


def has_features(path: Path) -> bool:
    """Whether a features file is there and whole (one that a full disk or a crash cut short is made again)."""
    return path.is_file() and zipfile.is_zipfile(path)


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an npz file, whole or not at all."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
