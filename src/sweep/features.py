"""Features of a set of pictures, kept beside the sweep so that no picture is made or measured twice."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data import image_grid, save_jpeg
from ..files import atomic_write
from ..metrics import BandFeatures, band_features, face_features, get_extractor

EXTRACTOR = "embedded"
STORED_VERSION = 2  # raise when what is stored, or how bands are measured, changes
SHOWN, COLUMNS = 16, 4


@dataclass(frozen=True)
class PictureFeatures:
    """Features of N pictures.

    Attributes:
        bands: structure and rendering, for the score.
        embedded: `[N, d]` of the extractor on the face alone, for the gates.
    """

    bands: BandFeatures
    embedded: Tensor


class Collector:
    """Measures the pictures of one set chunk by chunk, and keeps the first 16 to show."""

    def __init__(self) -> None:
        self._low: list[np.ndarray] = []
        self._high: list[np.ndarray] = []
        self._embedded: list[Tensor] = []
        self._shown: list[Tensor] = []

    def add(self, pictures: Tensor) -> None:
        """Take the next uint8 `[n, 3, H, W]`."""
        bands = band_features(pictures, extractor=EXTRACTOR)
        self._low.append(bands.low)
        self._high.append(bands.high)
        self._embedded.append(face_features(pictures, get_extractor(EXTRACTOR)))
        if sum(map(len, self._shown)) < SHOWN:
            self._shown.append(pictures[:SHOWN])

    def save(self, features_path: Path, picture_path: Path) -> None:
        """Write the features and the picture, each whole or not at all."""
        save_jpeg(picture_path, image_grid(torch.cat(self._shown)[:SHOWN], COLUMNS))
        arrays = {"low": np.concatenate(self._low), "high": np.concatenate(self._high)}
        save_arrays(features_path, **arrays, embedded=torch.cat(self._embedded).numpy())


def feature_protocol() -> dict[str, str | int]:
    """What decides the features of a given picture."""
    extractor = get_extractor(EXTRACTOR)
    return {
        "extractor": EXTRACTOR,
        "extractor_sha256": extractor.sha256,
        "resizer": extractor.resizer,
        "features_version": STORED_VERSION,
    }


def load_features(path: Path) -> PictureFeatures:
    """Read what `Collector.save` wrote."""
    with np.load(path) as file:
        return PictureFeatures(BandFeatures(file["low"], file["high"]), torch.from_numpy(file["embedded"]))


def has_features(path: Path) -> bool:
    """Whether a features file is there and whole (one that a full disk or a crash cut short is made again)."""
    return path.is_file() and zipfile.is_zipfile(path)


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an npz file, whole or not at all."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
