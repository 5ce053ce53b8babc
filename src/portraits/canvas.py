"""Canvas of the procedural portraits: a supersampled pixel grid, soft masks, curves.

Everything is analytic: a region is a signed field (negative inside, about a distance in picture widths), and
its mask is the field passed through a soft step as wide as a pixel, so that a picture at 64 px is about the
reduced one of 256 px.
"""

import numpy as np
from numpy.typing import NDArray

from .palette import wall_colours
from .parameters import PortraitParams

Field = NDArray[np.float32]


class Canvas:
    """Planar float32 colours `[3, n, n]` over the unit square, with pixel-soft masks; edges are `soft` wide."""

    def __init__(self, n: int, soft: float) -> None:
        axis = (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n)
        self.n, self.soft, self.axis = n, np.float32(soft), axis
        self.x = np.broadcast_to(axis[None, :], (n, n))
        self.y = np.broadcast_to(axis[:, None], (n, n))
        self.rgb: Field = np.zeros((3, n, n), np.float32)

    def window(self, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice]:
        """Return the (rows, columns) of a box of the unit square, cut to the picture, never empty."""
        lo = np.clip(np.floor(np.array([y0, x0]) * self.n), 0, self.n - 1).astype(int)
        hi = np.clip(np.ceil(np.array([y1, x1]) * self.n), 1, self.n).astype(int)
        hi = np.maximum(hi, lo + 1)
        return slice(lo[0], hi[0]), slice(lo[1], hi[1])

    def mask(self, field: Field, soft: float | None = None) -> Field:
        """Return the coverage in [0, 1] of the inside of a signed field."""
        width = self.soft if soft is None else np.float32(max(soft, float(self.soft)))
        t = np.clip(np.float32(0.5) - field / width, 0, 1)
        return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)

    def gauss(self, cx: float, cy: float, sx: float, sy: float, where: tuple[slice, slice] | None = None) -> Field:
        """Return the bump exp(-((x-cx)/sx)² - ((y-cy)/sy)²) over the picture, or over a window of it."""
        rows, columns = where or (slice(None), slice(None))
        u = (self.axis[columns] - np.float32(cx)) / np.float32(sx)
        v = (self.axis[rows] - np.float32(cy)) / np.float32(sy)
        return np.exp(-v * v)[:, None] * np.exp(-u * u)[None, :]

    def paint(self, alpha: Field, colour: Field, where: tuple[slice, slice] | None = None) -> None:
        """Lay a colour (`[3]` or `[3, h, w]`) over the picture, or over a window of it."""
        target = self.rgb if where is None else self.rgb[:, where[0], where[1]]
        colour = colour[:, None, None] if colour.ndim == 1 else colour
        target += alpha * (colour - target)


def paint_backdrop(canvas: Canvas, p: PortraitParams) -> None:
    """Fill the canvas with an identity's own background: a wall of its colour, lit by its lamp."""
    light, dark = wall_colours(p)
    glow = canvas.gauss(0.5 - 0.30 * p.light, 0.36, 0.80, 0.72)
    canvas.rgb[:] = dark[:, None, None] + glow * (light - dark)[:, None, None]


def curve(x: Field, points: NDArray[np.float64]) -> Field:
    """Return y of a smooth curve through points [P, 2], at each x of a vector; flat outside its ends."""
    points = points[np.argsort(points[:, 0])]
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = (padded[k : len(padded) - 3 + k, None] for k in range(4))
    t = np.linspace(0, 1, 6)[None, :, None]
    dense = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    dense = dense.reshape(-1, 2)
    return np.asarray(np.interp(x, np.maximum.accumulate(dense[:, 0]), dense[:, 1]), dtype=np.float32)


def between(canvas: Canvas, where: tuple[slice, slice], top: NDArray[np.float64], bottom: NDArray[np.float64]) -> Field:
    """Return the signed field of the region between two curves that share their ends."""
    x, y = canvas.axis[where[1]], canvas.axis[where[0]][:, None]
    up, low = curve(x, top), curve(x, bottom)
    x0, x1 = max(top[:, 0].min(), bottom[:, 0].min()), min(top[:, 0].max(), bottom[:, 0].max())
    across = np.maximum(np.float32(x0) - x, x - np.float32(x1))
    return np.asarray(np.maximum(np.maximum(up - y, y - low), across[None, :]), np.float32)


def polar_field(canvas: Canvas, outline: NDArray[np.float64], centre: NDArray[np.float64]) -> tuple[Field, Field]:
    """Return (signed field, radius ratio) of a closed curve that is star-shaped about a centre."""
    dx, dy = canvas.x - np.float32(centre[0]), canvas.y - np.float32(centre[1])
    offset = outline - centre
    theta = np.arctan2(offset[:, 1], offset[:, 0])
    table = np.linspace(-np.pi, np.pi, 513)
    radius = np.interp(table, theta[np.argsort(theta)], np.hypot(*offset.T)[np.argsort(theta)], period=2 * np.pi)
    position = (np.arctan2(dy, dx) + np.float32(np.pi)) * np.float32(512 / (2 * np.pi))
    index = np.clip(position.astype(np.int32), 0, 511)
    table32 = radius.astype(np.float32)
    edge = table32[index] + (position - index) * (table32[1:] - table32[:-1])[index]
    r = np.sqrt(dx * dx + dy * dy)
    return np.asarray(r - edge, np.float32), np.asarray(r / edge, np.float32)
