"""Regions of a portrait's head as signed fields, shared by the domains: face, hair, ears, neck, clothes."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Field, polar_field
from .geometry import Geometry, PortraitParams


@dataclass(frozen=True)
class Head:
    """Signed fields `[n, n]` of the regions of a head, shared by the two domains."""

    face: Field
    face_ratio: Field  # 0 centre, 1 outline
    hair_back: Field
    hair_front: Field  # drawn over the face
    hair_ratio: Field  # 0 at the middle of the hair's cap, 1 at its outline
    lock: Field  # a slow wave across the hair's strands in [-1, 1]
    neck: Field
    body: Field
    ears: Field


def _ellipse(x: Field, y: Field, cx: float, cy: float, rx: float, ry: float) -> Field:
    u, v = (x - np.float32(cx)) / np.float32(rx), (y - np.float32(cy)) / np.float32(ry)
    return np.asarray((np.sqrt(u * u + v * v) - 1) * np.float32(min(rx, ry)), np.float32)


def _hair(
    canvas: Canvas, g: Geometry, p: PortraitParams, length: float, cartoon: bool
) -> tuple[Field, Field, Field, Field]:
    x, y, s = canvas.x, canvas.y, g.scale
    cx, cy = (float(v) for v in g.skull)
    puff = 0.030 if cartoon else 0.008
    rx = float(g.skull_size[0]) + puff * s + (0.020 + 0.036 * length) * s
    ry = float(g.skull_size[1]) + puff * s + (0.036 + 0.012 * length) * s
    reach = (0.10 + 0.54 * length) * s
    down = np.clip((y - np.float32(cy)) / np.float32(reach), 0, None)
    up = np.clip((np.float32(cy) - y) / np.float32(ry), 0, None)
    wide = np.float32(rx) * (1 + np.float32(0.16 * length) * np.minimum(down, 1) * (1.2 - 0.5 * np.minimum(down, 1)))
    u = np.abs(x - np.float32(cx)) / wide
    ratio = np.sqrt(np.sqrt((u**2) ** 1.2 + (up**2) ** 1.2 + 1e-9) ** (1 / 0.6) + down**5)
    ratio = ratio - np.float32(0.022) * np.sin(np.float32(9.0 / s) * (y - np.float32(cy))) * np.minimum(u, 1) ** 2
    outer = (ratio - 1) * np.float32(0.8 * rx)
    # The opening that shows the face: its top is the hairline, its sides close in with longer hair.
    brow = float(g.landmarks[17:27, 1].mean())
    top = float(g.outline[:, 1].min())
    line = brow + (top - brow) * 0.56
    fx = float(0.55 * g.centre[0] + 0.45 * g.landmarks[27, 0])
    half = float(g.skull_size[0]) * (1.02 - 0.07 * length)
    lean = (x - np.float32(fx)) / np.float32(half)
    sweep = (0.030 + 0.075 * abs(p.hair_part)) * (1.0 if p.hair_part >= 0 else -1.0) * s
    tilt = np.float32(sweep) * lean * (1 - np.float32(0.3) * np.abs(lean))
    base = np.float32(cy + 0.10 * s)
    rise = np.clip((base - y + tilt) / np.float32(cy + 0.10 * s - line), 0, None)
    opening = np.sqrt(lean**2 + rise**2.9 + np.float32(1e-9))
    front = np.maximum(outer, (1 - opening) * np.float32(0.7 * half))
    cut = y - np.float32(cy + (0.10 + 0.62 * length) * s)
    strand = np.arctan2(x - np.float32(fx + 0.07 * s * p.hair_part), y - np.float32(top - 0.30 * s))
    lock = np.sin(np.float32(13.0) * strand)
    return outer, np.maximum(front, cut), np.asarray(ratio, np.float32), np.asarray(lock, np.float32)


def build_head(canvas: Canvas, g: Geometry, p: PortraitParams, cartoon: bool) -> Head:
    """Lay out the regions of a placed face as signed fields [n, n]; a cartoon's hair has more volume."""
    x, y, s = canvas.x, canvas.y, g.scale
    face, ratio = polar_field(canvas, g.outline, g.centre)
    length = 0.5 + 0.5 * p.hair_length
    outer, front, hair_ratio, lock = _hair(canvas, g, p, length, cartoon)
    mid = 0.5 * float(g.ears[0, 0] + g.ears[1, 0])
    chin = float(g.landmarks[8, 1])
    base = 0.92
    t = np.abs(x - np.float32(mid)) / np.float32(s)
    neck_half = 0.135 + 0.018 * p.jaw
    flare = np.clip(y - np.float32(base - 0.10), 0, None)
    neck = np.maximum(t * np.float32(s) - np.float32(neck_half * s) - 1.4 * flare**1.5, np.float32(chin - 0.25 * s) - y)
    slope = np.float32(base) + 0.02 + np.float32(0.10) * np.maximum(t - 0.14, 0) + 0.5 * np.maximum(t - 0.30, 0) ** 2
    scoop = np.float32(0.055) * np.clip(1 - (t / np.float32(0.15)) ** 2, 0, 1)
    body = (slope + scoop * np.float32(s) - y) * np.float32(0.9)
    ears = np.minimum(
        _ellipse(x, y, float(g.ears[0, 0]), float(g.ears[0, 1]), 0.036 * s, 0.074 * s),
        _ellipse(x, y, float(g.ears[1, 0]), float(g.ears[1, 1]), 0.036 * s, 0.074 * s),
    )
    return Head(face, ratio, outer, front, hair_ratio, lock, neck, np.asarray(body, np.float32), ears)
