"""Long strips (panoramas, scrolled pages) in overlapping tiles: reduced as a whole, their faces would vanish."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .face import Face

MAX_ASPECT = 3  # longer pictures are strips
MAX_SHARED = 0.5  # faces that share more than this part of the smaller one's box are one face

Tile = tuple[int, int, int, int]


def strip_tiles(width: int, height: int, max_side: int) -> list[Tile]:
    """Parts (left, top, right, bottom in px) in which a detector that reduces to `max_side` px is to look at a picture.

    They overlap by the strip's short side, so that each face is whole in one of them; it is the whole picture alone
    when it is no strip, or is not reduced.
    """
    short, long = sorted((width, height))
    if long <= max_side or long <= MAX_ASPECT * short:
        return [(0, 0, width, height)]
    length = max(2 * short, max_side)
    starts = [*range(0, long - length, length - short), long - length]
    if width == long:
        return [(start, 0, start + length, height) for start in starts]
    return [(0, start, width, start + length) for start in starts]


def find_in_tiles(
    image: NDArray[np.uint8], max_side: int, find: Callable[[NDArray[np.uint8]], list[Face]]
) -> list[Face]:
    """Find the faces of a picture, uint8 `[H, W, 3]`, of a strip tile by tile, each once; `find` takes one tile."""
    height, width = image.shape[:2]
    tiles = strip_tiles(width, height, max_side)
    if len(tiles) == 1:
        return find(image)
    found = []
    for left, top, right, bottom in tiles:
        tile = np.ascontiguousarray(image[top:bottom, left:right])
        found += [Face(face.landmarks + np.array([left, top]), face.score) for face in find(tile)]
    kept: list[Face] = []
    for face in sorted(found, key=lambda f: -f.score):
        if all(_shared(face.landmarks, other.landmarks) <= MAX_SHARED for other in kept):
            kept.append(face)
    return kept


def _shared(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Area that the boxes about two faces share, over the smaller one's."""
    sides = np.minimum(a.max(axis=0), b.max(axis=0)) - np.maximum(a.min(axis=0), b.min(axis=0))
    smaller = min(float(np.prod(np.ptp(points, axis=0))) for points in (a, b))
    return float(np.prod(np.maximum(sides, 0))) / max(smaller, 1e-9)
