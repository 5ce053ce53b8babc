"""The built-in data set: procedural portraits, drawn once and kept in a cache folder."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .. import portraits
from ..errors import UserError
from ..files import CACHE_VARIABLE, cache_folder, save_array
from ..portraits import render_portraits
from .dataset import PictureDataset
from .report import DatasetReport

#: Seeds from here on are never trained on: held-out portraits for projection and evaluation.
HELD_OUT_SEED = 1_000_000
_CHUNK = 100
MANY = 1000  # portraits that take so long that one wants to see them coming


def open_portraits(
    domain: str,
    num_images: int,
    resolution: int,
    *,
    background: str | None = None,
    first_seed: int = 0,
    name: str | None = None,
) -> PictureDataset:
    """Open `num_images` portraits of one domain, seeds `first_seed` on, as an in-memory data set.

    Args:
        domain: `"people"` or `"cartoons"`.
        num_images: how many.
        resolution: px a side.
        background: `"own"`, `"black"`, or None for the domain's usual one (see `render_portrait`).
        first_seed: seed of the first; `HELD_OUT_SEED` for held-out ones.
        name: of the set; None for the domain.

    Raises:
        UserError: for an unknown domain or background, an unusable resolution, no portraits, seeds on both sides of
            `HELD_OUT_SEED`, or a cache folder that cannot be written.
    """
    last_seed = first_seed + num_images - 1
    if num_images < 1:
        raise UserError(f"dataset.num_images={num_images}: must be at least 1")
    if first_seed < HELD_OUT_SEED <= last_seed:
        raise UserError(
            f"dataset.num_images={num_images}: portraits from seed {HELD_OUT_SEED} on are held out, ask for at most "
            f"{HELD_OUT_SEED - first_seed}"
        )
    key = _cache_key(domain, num_images, resolution, background, first_seed)
    path = cache_folder("portraits") / f"{domain}-{resolution}-{num_images}-{key}.npy"
    pictures = _load(path, (num_images, resolution, resolution, 3))
    if pictures is None:
        pictures = _draw(domain, num_images, resolution, background, first_seed)
        _store(path, pictures)
    fingerprint = hashlib.sha256(np.ascontiguousarray(pictures).data).hexdigest()
    images = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    report = DatasetReport(source=f"built-in portraits ({domain}, seeds {first_seed}..{last_seed})")
    report.used = num_images
    return PictureDataset(name or domain, resolution, fingerprint=fingerprint, report=report, images=images)


def _load(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Load cached portraits; None when they are not there or the file is damaged (it is then drawn again)."""
    try:
        pictures: np.ndarray = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return pictures if pictures.shape == shape and pictures.dtype == np.uint8 else None


def _draw(domain: str, num_images: int, resolution: int, background: str | None, first_seed: int) -> np.ndarray:
    end = first_seed + num_images
    starts = range(first_seed, end, _CHUNK)
    chunks = [range(s, min(s + _CHUNK, end)) for s in starts]
    if num_images >= MANY:
        print(f"drawing    {num_images} portraits, once: they are kept in {cache_folder('portraits')}", flush=True)
    parts = []
    with tqdm(total=num_images, unit="img", leave=False, disable=None if num_images >= MANY else True) as bar:
        for seeds in chunks:
            parts.append(render_portraits(domain, seeds, resolution, background=background))
            bar.update(len(seeds))
    return np.concatenate(parts)


def _store(path: Path, pictures: np.ndarray) -> None:
    try:
        save_array(path, pictures)
    except UserError as error:
        raise UserError(f"{error}: portraits are kept there; set {CACHE_VARIABLE} to another folder") from error


def _cache_key(domain: str, num_images: int, resolution: int, background: str | None, first_seed: int) -> str:
    digest = hashlib.sha256(f"{domain}/{num_images}/{resolution}/{background}/{first_seed}".encode())
    for module in sorted(Path(str(portraits.__file__)).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]
