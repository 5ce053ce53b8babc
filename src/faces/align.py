"""The FFHQ crop (Karras et al., arXiv 1812.04948, App. A): 68 landmarks to a square, the square to a picture.

Landmarks and quads are (x, y) in pixels, (0, 0) the middle of the top left pixel. Every network trained on FFHQ expects
faces cut out in this way, so the order of the steps and their roundings are those of the data set's own preparation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from ..errors import UserError

NUM_LANDMARKS = 68
OUTPUT_PX, TRANSFORM_PX = 1024, 4096
LEFT_EYE, RIGHT_EYE, MOUTH_CORNERS = slice(36, 42), slice(42, 48), (48, 54)
EYE_SCALE, MOUTH_SCALE, TOWARDS_MOUTH = 2.0, 1.8, 0.1
BORDER, MIN_BORDER_PX, PAD, BLUR = 0.1, 3, 0.3, 0.02  # shares of the quad's side

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """Where a crop lies in its photograph: a square, turned."""

    quad: Points  # `[4, 2]` (x, y) of its corners: top left, bottom left, bottom right, top right

    @property
    def size_px(self) -> float:
        """Side of the square in pixels of the photograph."""
        return float(np.linalg.norm(self.quad[3] - self.quad[0]))

    def matrix(self, side: int) -> Points:
        """Affine map `[2, 3]` of pixel indices (x, y) in a crop of `side` px to those in the photograph."""
        right, down = (self.quad[3] - self.quad[0]) / side, (self.quad[1] - self.quad[0]) / side
        # areas map onto areas: the crop's corner is half a pixel before its first pixel's middle
        origin = self.quad[0] + 0.5 * (right + down)
        return np.stack([right, down, origin], axis=1)

    def to_photo(self, points: Points, side: int) -> Points:
        """Pixel indices `[N, 2]` in a crop of `side` px as points of the photograph."""
        matrix = self.matrix(side)
        return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


@dataclass(frozen=True)
class AlignedFace:
    """A crop, uint8 `[S, S, 3]`, and where it came from."""

    image: NDArray[np.uint8]
    frame: Frame


def ffhq_quad(landmarks: NDArray) -> tuple[Points, float]:
    """The square that FFHQ cuts out around a face of landmarks `[68, 2]` (x, y) in pixels, iBUG 300-W order.

    Returns:
        Corners `[4, 2]`: top left, bottom left, bottom right, top right; and the side's length in pixels.

    Raises:
        UserError: for landmarks of another shape, that are not finite, or in which eyes and mouth fall on one point.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (NUM_LANDMARKS, 2) or not np.isfinite(points).all():
        raise UserError(f"landmarks of shape {list(points.shape)}: {NUM_LANDMARKS} finite points (x, y) are expected")
    left, right = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    eyes, across = (left + right) / 2, right - left
    down = points[list(MOUTH_CORNERS)].mean(axis=0) - eyes
    x = across + np.array([down[1], -down[0]])
    length = float(np.hypot(*x))
    if length == 0:
        raise UserError("landmarks whose eyes and mouth fall on one point are no face")
    x *= max(EYE_SCALE * np.hypot(*across), MOUTH_SCALE * np.hypot(*down)) / length
    y = np.array([-x[1], x[0]])
    centre = eyes + TOWARDS_MOUTH * down
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y]), 2 * float(np.hypot(*x))


def align_face(
    image: NDArray[np.uint8],
    landmarks: NDArray,
    *,
    output_size: int = OUTPUT_PX,
    transform_size: int = TRANSFORM_PX,
    padding: bool = True,
) -> AlignedFace:
    """Cut a face out of a photograph.

    Args:
        image: uint8 `[H, W, 3]`, upright.
        landmarks: `[68, 2]`, see `ffhq_quad`.
        output_size: px a side of the result.
        transform_size: px a side of the bilinear warp that is then reduced, antialiased.
        padding: continue the photograph beyond its edges by a blurred mirror image; otherwise black.

    Raises:
        UserError: as `ffhq_quad`, or for sizes that cannot be.
    """
    if output_size < 1 or transform_size < output_size:
        raise UserError(f"output_size={output_size}, transform_size={transform_size}: the warp is not the smaller one")
    quad, side = ffhq_quad(landmarks)
    frame = Frame(quad.copy())
    picture, quad, side = _shrink(Image.fromarray(image), quad, side, output_size)
    border = max(round(BORDER * side), MIN_BORDER_PX)
    picture, quad = _crop(picture, quad, border)
    if padding:
        picture, quad = _pad(picture, quad, side, border)
    corners = tuple(float(v) for v in (quad + 0.5).ravel())
    warped = picture.transform(
        (transform_size, transform_size), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR
    )
    if output_size < transform_size:
        warped = warped.resize((output_size, output_size), Image.Resampling.LANCZOS)
    return AlignedFace(np.asarray(warped), frame)


def _shrink(picture: Image.Image, quad: Points, side: float, output_size: int) -> tuple[Image.Image, Points, float]:
    """Reduce a photograph whose face is more than twice as large as wanted, so that the warp does not alias."""
    factor = int(0.5 * side / output_size)
    if factor <= 1:
        return picture, quad, side
    size = (max(round(picture.width / factor), 1), max(round(picture.height / factor), 1))
    return picture.resize(size, Image.Resampling.LANCZOS), quad / factor, side / factor


def _crop(picture: Image.Image, quad: Points, border: int) -> tuple[Image.Image, Points]:
    low, high = _bounds(quad)
    left, top = (max(int(v) - border, 0) for v in low)
    right, bottom = min(int(high[0]) + border, picture.width), min(int(high[1]) + border, picture.height)
    if right <= left or bottom <= top:
        raise UserError("the face lies outside of the picture: the landmarks belong to another picture")
    if (left, top, right, bottom) == (0, 0, *picture.size):
        return picture, quad
    return picture.crop((left, top, right, bottom)), quad - [left, top]


def _pad(picture: Image.Image, quad: Points, side: float, border: int) -> tuple[Image.Image, Points]:
    """Mirror the picture beyond its edges, blurred outwards and fading to its median colour."""
    low, high = _bounds(quad)
    margins = [-low[0], -low[1], high[0] - picture.width, high[1] - picture.height]
    needed = [max(int(m) + border, 0) for m in margins]
    if max(needed) <= border - 4:
        return picture, quad
    left, top, right, bottom = (max(n, round(PAD * side)) for n in needed)
    pixels = np.pad(np.asarray(picture, np.float32), ((top, bottom), (left, right), (0, 0)), "reflect")
    height, width = pixels.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    across = 1 - np.minimum(x / left, x[::-1] / right)
    along = 1 - np.minimum(y / top, y[::-1] / bottom)
    outside = np.maximum(along[:, None], across[None, :])[:, :, None]
    sigma = BLUR * side
    pixels += (gaussian_filter(pixels, [sigma, sigma, 0]) - pixels) * np.clip(3 * outside + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(outside, 0, 1)
    rounded = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Image.fromarray(rounded), quad + np.array([left, top])


def _bounds(quad: Points) -> tuple[Points, Points]:
    return np.floor(quad.min(axis=0)), np.ceil(quad.max(axis=0))
