"""Alignment from three points placed by hand: one similarity per character brings its face to FFHQ's places.

The places follow from FFHQ's crop (Karras et al., arXiv 1812.04948) for a face whose mouth lies as far below the eyes
as these lie apart: in a crop of side 1, eyes at (0.375, 0.475) and (0.625, 0.475), mouth at (0.5, 0.725).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from ..data import BadPicture
from ..files import expanded
from .crop import resize

#: Left eye (of the picture, not of the person), right eye, mouth, in a crop of side 1.
PLACES = ((0.375, 0.475), (0.625, 0.475), (0.5, 0.725))
PARTS = ("left eye", "right eye", "mouth")
PADDINGS = ("reflect", "background")
_MAX_REACH = 8  # crop side in picture sides
_MAX_WORK_PX = 4096
_MIN_EYES_PX = 2

Point = tuple[float, float]
Triple = tuple[Point, Point, Point]


@dataclass(frozen=True)
class Similarity:
    """Picture coordinates (px) of the crop's corner, and the crop's side as a vector: rotation and scale."""

    corner: complex  # top left, x + iy
    side: complex  # along the top edge, x + iy

    def quad(self) -> list[Point]:
        """Corners top left, bottom left, bottom right, top right in px."""
        down = self.side * 1j
        points = (self.corner, self.corner + down, self.corner + down + self.side, self.corner + self.side)
        return [(p.real, p.imag) for p in points]


def fit_similarity(points: Triple) -> Similarity:
    """Least-squares similarity (no reflection) from the unit crop, `PLACES`, to three points of a picture."""
    target = np.array([complex(*p) for p in PLACES])
    given = np.array([complex(*p) for p in points])
    centred = target - target.mean()
    side = complex((given * centred.conj()).sum() / (centred * centred.conj()).sum())
    return Similarity(complex(given.mean() - side * target.mean()), side)


def read_points(path: str | Path) -> dict[str, Triple]:
    """Read a YAML file `character: [[x, y], [x, y], [x, y]]`, left eye, right eye, mouth, in px; or a ValueError."""
    path = expanded(path)
    try:
        table = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(table, Mapping) or not table:
        raise ValueError("give character: [[x, y], [x, y], [x, y]], one character a line")
    return {str(name).lower(): _triple(str(name), value) for name, value in table.items()}


def _triple(name: str, value: Any) -> Triple:
    if not (isinstance(value, list) and len(value) == len(PARTS) and all(_is_point(p) for p in value)):
        raise ValueError(f"{name}: give three points [x, y] in px: {', '.join(PARTS)}")
    left, right, mouth = ((float(x), float(y)) for x, y in value)
    across, down = complex(*right) - complex(*left), complex(*mouth) - complex(*left)
    if abs(across) < _MIN_EYES_PX:
        raise ValueError(
            f"{name}: its eyes are less than {_MIN_EYES_PX} px apart; points are in px, not in shares of the picture"
        )
    if (across.conjugate() * down).imag <= 0:
        raise ValueError(
            f"{name}: the mouth does not lie below the eyes; left eye is the one on the left of the picture"
        )
    return left, right, mouth


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    )


def warp(
    rgb: np.ndarray, crop: Similarity, resolution: int, filter_name: str, fill: tuple[int, int, int] | None
) -> np.ndarray:
    """Cut a turned square out of a picture uint8 `[H, W, 3]`: uint8 `[resolution, resolution, 3]`.

    The filter is of the final reduction, from twice or more the size; beyond the edge lies a colour, or (None) the
    picture's reflection. A square many times larger than the picture is a BadPicture.
    """
    height, width = rgb.shape[:2]
    if abs(crop.side) > _MAX_REACH * max(height, width):
        raise BadPicture(f"its crop of {abs(crop.side):.0f} px does not fit {width}x{height} px: see align.points")
    corners = np.array(crop.quad())
    low, high = np.floor(corners.min(0)).astype(int) - 4, np.ceil(corners.max(0)).astype(int) + 4
    left, top = np.maximum(-low, 0)
    right, bottom = np.maximum(high - (width, height), 0)
    margins = ((top, bottom), (left, right), (0, 0))
    if fill is None:
        rgb = np.pad(rgb, margins, mode="reflect")
    else:
        padded = np.full([top + height + bottom, left + width + right, 3], fill, np.uint8)
        padded[top : top + height, left : left + width] = rgb
        rgb = padded
    work = min(resolution * 2 * max(1, math.ceil(abs(crop.side) / resolution)), _MAX_WORK_PX)
    work = max(work, resolution)
    step = crop.side / work
    origin = crop.corner + complex(left, top)
    affine = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    turned = Image.fromarray(rgb).transform((work, work), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    return resize(np.asarray(turned), (resolution, resolution), filter_name)
