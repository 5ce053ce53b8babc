"""The built-in data set: procedural portraits, drawn once and kept in a cache folder."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from . import portrait_canvas, portrait_cartoon, portrait_geometry, portrait_head, portrait_people, portraits
from .dataset import PictureDataset
from .portraits import render_portraits
from .report import DatasetReport

#: Seeds from here on are never trained on: held-out portraits for projection and evaluation.
HELD_OUT_SEED = 1_000_000
_SOURCES = (portraits, portrait_canvas, portrait_cartoon, portrait_geometry, portrait_head, portrait_people)
_CHUNK = 100


def cache_folder() -> Path:
    """Where drawn portraits are kept: `$XDG_CACHE_HOME/caricature`, by default `~/.cache/caricature`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caricature"


def open_portraits(
    domain: str, num_images: int, resolution: int, *, first_seed: int = 0, name: str | None = None
) -> PictureDataset:
    """Open `num_images` portraits of one domain, seeds `first_seed` on.

    Args:
        domain: `"people"` or `"cartoons"`.
        num_images: how many.
        resolution: px a side.
        first_seed: seed of the first; `HELD_OUT_SEED` for held-out ones.
        name: of the set; None for the domain.

    Returns:
        An in-memory data set.

    Raises:
        UserError: for an unknown domain or an unusable resolution.
    """
    key = _cache_key(domain, num_images, resolution, first_seed)
    path = cache_folder() / f"portraits-{domain}-{resolution}-{num_images}-{key}.npy"
    pictures = np.load(path) if path.exists() else _draw(path, domain, num_images, resolution, first_seed)
    fingerprint = hashlib.sha256(np.ascontiguousarray(pictures)).hexdigest()
    images = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    report = DatasetReport(source=f"built-in portraits ({domain}, seeds {first_seed}..{first_seed + num_images - 1})")
    report.used = num_images
    return PictureDataset(name or domain, resolution, fingerprint=fingerprint, report=report, images=images)


def _draw(path: Path, domain: str, num_images: int, resolution: int, first_seed: int) -> np.ndarray:
    chunks = []
    for start in range(first_seed, first_seed + num_images, _CHUNK):
        seeds = range(start, min(start + _CHUNK, first_seed + num_images))
        chunks.append(render_portraits(domain, seeds, resolution))
    pictures = np.concatenate(chunks)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.save(file, pictures)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return pictures


def _cache_key(domain: str, num_images: int, resolution: int, first_seed: int) -> str:
    digest = hashlib.sha256(f"{domain}/{num_images}/{resolution}/{first_seed}".encode())
    for module in _SOURCES:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
