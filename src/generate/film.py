"""A film that passes through codes in a smooth loop, as mp4, WebP or GIF."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.interpolate import CubicSpline
from torch import Tensor

from ..errors import UserError
from ..files import atomic_write

ENCODER = "imageio_ffmpeg"


def film_format(asked: str | None) -> str:
    """The format to write: as asked, else mp4 where it can be written, else WebP."""
    there = find_spec(ENCODER) is not None
    if asked == "mp4" and not there:
        raise UserError(
            "film.format=mp4 needs imageio-ffmpeg (pip install imageio-ffmpeg, the extra `film`): install it, or "
            "choose film.format=webp or gif"
        )
    return asked or ("mp4" if there else "webp")


def loop(ws: Tensor, frames: int) -> Tensor:
    """Codes of a closed film: a periodic cubic spline through all codes and back to the first.

    Of at least two codes `[N, L, w_dim]` are made `[N · frames, L, w_dim]`; every `frames`-th is one of them.
    """
    keys = ws.cpu().numpy().astype(np.float64)
    spline = CubicSpline(np.arange(len(keys) + 1), np.concatenate([keys, keys[:1]]), bc_type="periodic")
    path = spline(np.arange(len(keys) * frames) / frames).astype(np.float32)
    path[::frames] = keys
    return torch.from_numpy(path).to(ws.device)


def write_film(path: Path, frames: Iterator[np.ndarray], fps: float, count: int) -> Path:
    """Write `count` frames uint8 `[H, W, 3]` as the suffix says, whole or not at all; frames are taken as they come."""
    try:
        with atomic_write(path) as partial:
            if path.suffix == ".mp4":
                _write_mp4(partial, frames, fps)
            else:
                step = 10 if path.suffix == ".gif" else 1
                _write_animation(partial, path.suffix[1:], frames, durations(fps, count, step))
    except RuntimeError as error:
        raise UserError(f"{path}: the film cannot be written ({error})") from error
    return path


def durations(fps: float, count: int, step: int) -> list[int]:
    """Milliseconds that each frame is shown: multiples of `step` whose sum is right at every frame."""
    ends = [round(number * 1000 / fps / step) * step for number in range(count + 1)]
    return [end - start for start, end in pairwise(ends)]


def _write_animation(path: Path, kind: str, frames: Iterator[np.ndarray], shown: list[int]) -> None:
    pictures = (Image.fromarray(frame) for frame in frames)
    options: dict[str, Any] = {"quality": 90, "method": 3} if kind == "webp" else {"disposal": 1}
    next(pictures).save(path, kind, save_all=True, append_images=pictures, duration=shown, loop=0, **options)


def _write_mp4(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    first = next(frames)
    height, width = first.shape[:2]
    options = {"codec": "libx264", "quality": 8, "macro_block_size": 2, "ffmpeg_log_level": "error"}
    writer = import_module(ENCODER).write_frames(
        str(path), (width, height), fps=fps, output_params=["-f", "mp4"], **options
    )
    writer.send(None)
    try:
        for frame in chain([first], frames):
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()
