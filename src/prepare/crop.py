"""From a picture of any shape to a square of one size: which part is taken, and by which filter it is resized."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import sparse

from ..data import BadPicture

Box = tuple[int, int, int, int]

CROPS = ("center", "wide", "keep")
_PILLOW = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "box": Image.Resampling.BOX,
}
FILTERS = (*_PILLOW, "area")
_ROWS = 512


def crop_box(width: int, height: int, crop: str, aspect: float | None = None) -> Box:
    """Choose the part of a picture that is taken: left, top, right, bottom in px.

    `crop` is `"center"` for the middle square, `"wide"` for the largest middle part of `aspect` (width over height), or
    `"keep"` for all of a square; a BadPicture says that it is none.
    """
    if crop == "keep" and width != height:
        raise BadPicture(f"{width}x{height} is not a square (crop=keep)")
    ratio = aspect if crop == "wide" and aspect is not None else 1.0
    taken_w, taken_h = min(width, round(height * ratio)), min(height, round(width / ratio))
    left, top = (width - taken_w) // 2, (height - taken_h) // 2
    return left, top, left + taken_w, top + taken_h


def content_size(resolution: int, aspect: float | None) -> tuple[int, int]:
    """Width and height, in px, that a part of `aspect` takes up in a square of `resolution` px."""
    if aspect is None:
        return resolution, resolution
    return (resolution, max(1, round(resolution / aspect))) if aspect >= 1 else (round(resolution * aspect), resolution)


def resize(rgb: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    """Resize uint8 `[H, W, 3]` to `size` (width, height) by a filter of `FILTERS`, antialiased; rounded to uint8."""
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return np.ascontiguousarray(rgb)
    if name == "area":
        return _resize_area(rgb, size)
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize(size, _PILLOW[name]))


def _resize_area(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mean over the area that each output pixel covers, edge pixels by their share; in strips of rows."""
    height, width = rgb.shape[:2]
    down, across = _coverage(height, size[1]), _coverage(width, size[0])
    total = np.zeros([size[1], size[0] * 3], np.float64)
    for top in range(0, height, _ROWS):
        strip = rgb[top : top + _ROWS].astype(np.float64)
        rows = len(strip)
        narrow = (across @ strip.transpose(1, 0, 2).reshape(width, -1)).reshape(size[0], rows, 3)
        total += down[:, top : top + rows] @ narrow.transpose(1, 0, 2).reshape(rows, -1)
    return np.clip(total.reshape(size[1], size[0], 3) + 0.5, 0, 255).astype(np.uint8)


def _coverage(before: int, after: int) -> sparse.csc_matrix:
    """Sparse `[after, before]`: share of each input pixel in each output pixel; rows add up to 1."""
    edges = np.unique(np.concatenate([np.arange(before + 1) / before, np.arange(after + 1) / after]))
    edges = edges[np.concatenate([[True], np.diff(edges) > 1e-12])]
    middle, share = (edges[1:] + edges[:-1]) / 2, np.diff(edges) * after
    rows, columns = (middle * after).astype(int), (middle * before).astype(int)
    return sparse.csc_matrix((share, (rows, columns)), shape=(after, before))


def to_square(content: np.ndarray, resolution: int, canvas: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """Place uint8 `[h, w, 3]` in the middle of a `resolution` px square, `canvas(width, height)` beside it."""
    height, width = content.shape[:2]
    if height == width == resolution:
        return content
    square = canvas(resolution, resolution)
    left, top = (resolution - width) // 2, (resolution - height) // 2
    square[top : top + height, left : left + width] = content
    return square
