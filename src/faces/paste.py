"""A rendered face back into its photograph: the crop's warp undone, sub-pixel, with a feathered edge."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import UserError
from .align import Frame

FEATHER = 0.15


def paste_back(
    photo: NDArray[np.uint8], face: NDArray[np.uint8], frame: Frame, *, feather: float = FEATHER
) -> NDArray[np.uint8]:
    """Put a face where its crop came from: a new photograph, whose pixels outside of the square are the old ones.

    Args:
        photo: uint8 `[H, W, 3]`, upright.
        face: uint8 `[S, S, 3]`, any size.
        frame: of the crop, as `align_face` returns it.
        feather: share of the square's side over which the face fades in at each edge, 0 to 0.5; a UserError for others.
    """
    if not 0 <= feather <= 0.5:
        raise UserError(f"feather={feather}: a share from 0 to 0.5 of the face's side is expected")
    height, width = photo.shape[:2]
    low = np.maximum(np.floor(frame.quad.min(axis=0)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(frame.quad.max(axis=0)) + 2, [width, height]).astype(int)
    if (high <= low).any():
        return photo.copy()
    picture = Image.fromarray(face)
    side = min(face.shape[0], max(math.ceil(frame.size_px), 1))
    if side < face.shape[0]:  # the warp takes single pixels: reduce first, antialiased
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    warp = _inverse(frame.matrix(side), low)
    # the edge pixels are repeated twice, so that the interpolation at the edge has neighbours
    extended = Image.fromarray(np.pad(np.asarray(picture), ((2, 2), (2, 2), (0, 0)), "edge"))
    shifted = (warp[0], warp[1], warp[2] + 2, warp[3], warp[4], warp[5] + 2)
    warped = extended.transform(size, Image.Transform.AFFINE, shifted, Image.Resampling.BICUBIC)
    share = _mask(warp, size, side, feather)[:, :, None]
    result = photo.copy()
    region = result[low[1] : high[1], low[0] : high[0]]
    mixed = region + (np.asarray(warped, np.float32) - region) * share
    region[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return result


def _inverse(matrix: NDArray, low: NDArray) -> tuple[float, float, float, float, float, float]:
    """Coefficients (a, b, c, d, e, f) of Pillow's affine warp: areas of the region to areas of the crop."""
    inverse = np.linalg.inv(matrix[:, :2])
    # Pillow adds half a pixel to indices before the map and takes it off after it
    offset = inverse @ (low - 0.5 - matrix[:, 2]) + 0.5
    a, b, d, e = inverse[0, 0], inverse[0, 1], inverse[1, 0], inverse[1, 1]
    return float(a), float(b), float(offset[0]), float(d), float(e), float(offset[1])


def _mask(warp: tuple[float, ...], size: tuple[int, int], side: int, feather: float) -> NDArray[np.float32]:
    """Share of the face in each pixel of the region: 0 at the square's edge, smoothly to 1 inside."""
    a, b, c, d, e, f = warp
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    u, v = (a * x + b * y + c) / side, (d * x + e * y + f) / side
    ramp = max(feather, 0.5 / side)

    def rise(t: NDArray) -> NDArray:
        near = np.clip(np.minimum(t, 1 - t) / ramp, 0, 1)
        return near * near * (3 - 2 * near)

    return (rise(u) * rise(v)).astype(np.float32)
