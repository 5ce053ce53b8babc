"""One source picture to one square PNG, by the same choices for all, with a record of what was done to it."""

import hashlib
import io
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from ..data import BadPicture, Source, decode_picture
from .crop import content_size, crop_box, resize, to_square
from .duplicates import mean_colour, perceptual_hash
from .settings import PrepareSettings
from .similarity import Similarity, warp

LARGE_PIXELS, LARGE_BYTES = 4_000_000, 32 * 2**20
_one_large_at_a_time = threading.Lock()

Record = dict[str, Any]
Made = TypeVar("Made")


class Renderer:
    """Makes the pictures of one source, from several threads."""

    def __init__(self, settings: PrepareSettings, source: Source) -> None:
        self.settings, self.source = settings, source

    def __call__(self, name: str, num_bytes: int = 0, fit: Similarity | None = None) -> tuple[Record, bytes | None]:
        """Read, decode, cut (to `fit`, else to the crop that is set), resize and encode one picture.

        Returned are a record (`sha256`, `size`, `crop` or `quad`, `notes`, `hash`, `colour`; or `reason` alone) and the
        PNG, or None.
        """
        try:
            record, rgb = read_and_make(self.source, name, num_bytes, lambda data: self._render(data, fit))
        except BadPicture as error:
            return {"reason": str(error)}, None
        if self.settings.near_bits is not None:
            record |= {"hash": f"{perceptual_hash(rgb):016x}", "colour": mean_colour(rgb)}
        return record, encode_png(rgb)

    def _render(self, data: bytes, fit: Similarity | None) -> tuple[Record, np.ndarray]:
        settings = self.settings
        rgb, notes = decoded(data, settings)
        height, width = rgb.shape[:2]
        record: Record = {"sha256": hashlib.sha256(data).hexdigest(), "size": [width, height]}
        if fit is not None:
            assert settings.resolution is not None
            fill = settings.backdrop.colour if settings.align.padding == "background" else None
            square = warp(rgb, fit, settings.resolution, settings.filter, fill)
            record["quad"] = [[round(x, 3), round(y, 3)] for x, y in fit.quad()]
            notes.append("aligned by its character's three points")
            enlarged = abs(fit.side) < settings.resolution
        else:
            left, top, right, bottom = record["crop"] = crop_box(width, height, settings.crop, settings.ratio)
            part = rgb[top:bottom, left:right]
            resolution = settings.resolution or width
            content = resize(part, content_size(resolution, settings.ratio), settings.filter)
            square = to_square(content, resolution, settings.backdrop.canvas)
            if part.shape != rgb.shape:
                notes.append("cropped to its middle")
            enlarged = max(part.shape[:2]) < resolution
        if enlarged:
            notes.append("enlarged")
        return record | {"notes": notes}, square


def read_and_make(source: Source, name: str, num_bytes: int, make: Callable[[bytes], Made]) -> Made:
    """Read a file of `num_bytes` (0: not known) and `make` something of it, large ones one at a time in all threads."""
    with _one_large_at_a_time if num_bytes > LARGE_BYTES else nullcontext():
        data = source.read(name)
        alone = num_bytes <= LARGE_BYTES and _num_pixels(data) > LARGE_PIXELS
        with _one_large_at_a_time if alone else nullcontext():
            return make(data)


def decoded(data: bytes, settings: PrepareSettings) -> tuple[np.ndarray, list[str]]:
    """Decode a picture to uint8 `[H, W, 3]`, with notes; a BadPicture is also one smaller than `min_px`."""
    picture = decode_picture(data, background=settings.backdrop.behind, max_pixels=settings.max_pixels)
    height, width = picture.rgb.shape[:2]
    if settings.min_px is not None and min(width, height) < settings.min_px:
        raise BadPicture(f"{width}x{height} is smaller than min_px={settings.min_px}")
    return picture.rgb, list(picture.notes)


def encode_png(rgb: np.ndarray) -> bytes:
    """Encode uint8 `[H, W, 3]` as PNG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(out, "PNG")
    return out.getvalue()


def _num_pixels(data: bytes) -> int:
    """Pixels that a picture's header promises; 0 when it has none that can be read."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.width * picture.height
    except Exception:  # decoding it gives the reason in words
        return 0
