"""Hair as signed fields: a mass about the skull, and the window in it that shows the face."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Field
from .geometry import Geometry
from .parameters import PortraitParams, soft_step


@dataclass(frozen=True)
class Hair:
    """Hair as fields `[n, n]`."""

    back: Field  # signed
    front: Field  # signed, drawn over the face
    ratio: Field  # 0 in the middle of the mass, 1 at its outline
    strand: Field  # in [-1, 1], across the strands or round the curls


@dataclass(frozen=True)
class _Cut:
    """What the parameters say about the hair, from 0 to 1, and in halves of the skull."""

    length: float
    curl: float
    bald: float
    top: float
    side: float
    end: float
    rise: float


def _cut(g: Geometry, p: PortraitParams) -> _Cut:
    length, volume = 0.5 + 0.5 * p.hair_length, 0.5 + 0.5 * p.hair_volume
    curl = soft_step(p.curl, -0.1, 0.8)
    bald = soft_step(p.hairline, 0.25, 0.75)
    top = (0.055 + 0.12 * volume + 0.12 * curl + 0.10 * g.puff) * (1 - bald) + 0.004
    side = 0.035 + (0.05 * volume + 0.13 * curl + 0.08 * g.puff) * (0.35 + 0.65 * length) + 0.10 * length - 0.01 * bald
    rise = 0.66 + 0.10 * p.hairline - 0.33 * soft_step(p.fringe, 0.1, 0.7) + 0.9 * bald
    return _Cut(length, curl, bald, top, side, 0.22 + 2.15 * length**1.25, rise)


def _mass(x: Field, y: Field, cut: _Cut) -> Field:
    """Return the radius ratio of the hair's mass; x and y in halves of the skull, y down from its middle."""
    low = np.maximum(y, 0) / np.float32(cut.end)
    within = np.minimum(low, 1)
    wide = 1 + cut.side * (1 + (1.1 * cut.length - 0.75) * within) + 0.16 * cut.length * within * (1 - 0.75 * within)
    up = np.maximum(-y, 0) / np.float32(1 + cut.top)
    across = np.abs(x) / wide
    ratio = np.power(across**2.4 + up**2.4, np.float32(1 / 2.4)) if cut.bald < 0.5 else np.hypot(across, up)
    ratio = np.power(ratio**6 + low**6 + np.float32(1e-12), np.float32(1 / 6))
    angle = np.arctan2(x, -y - np.float32(0.1))
    bumps = np.sin(15 * angle) * np.float32(0.030 * cut.curl) + np.sin(9 * angle + 1) * np.float32(0.012)
    wave = np.sin(np.float32(5.5) * y) * np.float32(0.03 * cut.length) * within
    return np.asarray(ratio + (bumps * (1 - cut.bald) + wave) * np.minimum(ratio, 1), np.float32)


def _window(x: Field, y: Field, p: PortraitParams, cut: _Cut) -> Field:
    """Return the radius ratio of the window that shows the face: 1 at the hairline."""
    side = 0.99 - 0.09 * cut.length - 0.05 * cut.curl
    part = p.hair_part
    lean = np.clip(x / np.float32(side), -1.1, 1.1)
    line = cut.rise - 0.16 * part * lean * (1.2 - 0.35 * lean * part)
    temples = 0.16 * soft_step(p.hairline, -0.3, 0.4) * np.exp(-(((np.abs(lean) - 0.58) / np.float32(0.22)) ** 2))
    frizz = 0.018 * cut.curl * np.sin(21 * x) + 0.02 * soft_step(p.fringe, 0.1, 0.7) * np.sin(26 * x + 4 * y)
    base = np.float32(0.22)
    up = np.maximum(base - y, 0) / np.maximum(line + temples + frizz + base, 0.2)
    return np.asarray(np.power(np.abs(lean) ** 3.4 + up**2.7 + np.float32(1e-9), np.float32(1 / 3)), np.float32)


def build_hair(canvas: Canvas, g: Geometry, p: PortraitParams, face_ratio: Field) -> Hair:
    """Lay the hair about a placed head.

    face_ratio `[n, n]` is 0 at the face's centre and 1 at its outline: the hair keeps off the cheeks.
    """
    rx, ry = (np.float32(v) for v in g.skull_size)
    cut = _cut(g, p)
    x, y = (canvas.x - np.float32(g.skull[0])) / rx, (canvas.y - np.float32(g.skull[1])) / ry
    ratio = _mass(x, y, cut)
    back = (ratio - 1) * np.float32(0.85 * rx)
    turned = (canvas.x - np.float32(0.6 * g.centre[0] + 0.4 * g.landmarks[27, 0])) / rx
    front = np.maximum(back, (1 - _window(turned, y, p, cut)) * np.float32(0.7 * rx))
    front = np.maximum(front, (y - np.float32(min(cut.end, 0.30 + 6 * max(cut.length - 0.3, 0)))) * ry)
    cheeks = np.float32(0.96 - 0.05 * cut.length) - face_ratio - 0.9 * np.maximum(np.float32(0.75) - y, 0) ** 2
    front = np.maximum(front, cheeks * np.float32(0.8 * rx))
    strands = np.sin(14 * np.arctan2(turned - np.float32(0.35 * p.hair_part), y + np.float32(1.6)) + 1.5 * y)
    curls = np.sin(15 * x + 1.2 * np.sin(11 * y)) * np.sin(15 * y + 1.2 * np.sin(11 * x))
    strand = strands + np.float32(cut.curl) * (curls - strands)
    return Hair(back, front, ratio, np.asarray(strand, np.float32))
