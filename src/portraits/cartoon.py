"""The domain "cartoons": the caricature in flat colours of two tones with thick dark outlines."""

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Field, between, curve
from .geometry import Geometry
from .head import Head, build_head, oval
from .palette import Colour, brow_colour, cloth_colour, eye_colour, hair_colour, mix, rgb, skin_colour
from .parameters import PortraitParams, soft_step

_INK = rgb(0.085, 0.050, 0.055)
_STROKE = 0.0080  # half the width of an outline, in picture widths


def _vivid(colour: Colour, gain: float = 1.30) -> Colour:
    grey = colour.mean()
    return np.asarray(np.clip(grey + (colour - grey) * gain + 0.03, 0, 1), np.float32)


def _stroke(canvas: Canvas, field: Field, half: float = _STROKE) -> Field:
    return canvas.mask(np.abs(field) - np.float32(half))


def _line(canvas: Canvas, win: tuple[slice, slice], points: NDArray[np.float64], half: float) -> Field:
    """Return the mask of a thick line through points [P, 2], thinner at its ends."""
    x, y = canvas.axis[win[1]], canvas.axis[win[0]][:, None]
    x0, x1 = float(points[:, 0].min()), float(points[:, 0].max())
    t = np.clip((x - x0) / max(x1 - x0, 1e-6), 0, 1)
    path = curve(x, points)
    steep = np.sqrt(1 + np.minimum(np.gradient(path, 1.0 / canvas.n), 2.0) ** 2) if path.size > 1 else 1.0
    thick = np.float32(half) * (0.55 + 0.45 * np.sin(np.pi * t)) * steep
    across = np.maximum(x0 - x, x - x1)
    return canvas.mask(np.maximum(np.abs(y - path) - thick, across[None, :]).astype(np.float32))


def _shape(canvas: Canvas, field: Field, base: Colour, shade: Field, dark: Colour) -> None:
    """Fill a region with its two tones and draw its outline."""
    tone = base[:, None, None] + shade * (dark - base)[:, None, None]
    canvas.paint(canvas.mask(field), np.asarray(tone, np.float32))
    canvas.paint(_stroke(canvas, field), _INK)


def _side(canvas: Canvas, g: Geometry, p: PortraitParams, radius: float) -> Field:
    """Return the shadow tone's mask: what lies outside a big disc that is moved towards the lamp."""
    lean = 0.16 * np.tanh(3 * p.light)
    cx, cy = g.centre + np.array([-lean, -0.02]) * g.scale
    r = np.sqrt((canvas.x - np.float32(cx)) ** 2 + ((canvas.y - np.float32(cy)) * np.float32(0.72)) ** 2)
    return canvas.mask(np.float32(radius * g.scale) - r, 0.012)


def _nose(canvas: Canvas, g: Geometry, base: Colour, dark: Colour) -> None:
    mark, s = g.landmarks, g.scale
    width = 0.5 * float(mark[35, 0] - mark[31, 0])
    tip_y = 0.5 * float(mark[30, 1] + mark[33, 1])
    ball = oval(canvas, float(mark[33, 0]), tip_y, 0.72 * width, 0.046 * s)
    left, right = (
        oval(canvas, mark[k, 0] + side * 0.22 * width, mark[k, 1] - 0.010 * s, 0.40 * width, 0.026 * s)
        for k, side in ((31, 1), (35, -1))
    )
    wings = np.minimum(left, right)
    blend = np.clip(0.5 + 0.5 * (wings - ball) / np.float32(0.35), 0, 1)
    union = wings + (ball - wings) * blend - np.float32(0.35) * blend * (1 - blend)
    field = np.asarray((union - 1) * np.float32(0.035 * s), np.float32)
    lower = canvas.mask(np.float32(tip_y - 0.034 * s) - canvas.y, 0.06)
    canvas.paint(canvas.mask(field) * lower, base * rgb(1.0, 0.80, 0.75))
    gleam = oval(canvas, float(mark[30, 0]), tip_y - 0.014 * s, 0.016 * s, 0.013 * s) - 1
    canvas.paint(canvas.mask(gleam * np.float32(0.014 * s), 0.012), mix(base, rgb(1, 1, 1), 0.6))
    lower = canvas.mask(np.float32(tip_y - 0.026 * s) - canvas.y, 0.035)
    canvas.paint(_stroke(canvas, field, 0.0065) * lower, dark * np.float32(0.42))


def _eye(canvas: Canvas, g: Geometry, p: PortraitParams, first: int, pupil: NDArray[np.float64]) -> None:
    s, mark = g.scale, g.landmarks[first : first + 6]
    lo, hi = mark.min(0) - 0.04 * s, mark.max(0) + 0.04 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    x, y = canvas.x[win], canvas.y[win]
    top, bottom = mark[[0, 1, 2, 3]], mark[[3, 4, 5, 0]]
    inside = canvas.mask(between(canvas, win, top, bottom))
    canvas.paint(inside, rgb(0.97, 0.97, 0.95), win)
    r = np.sqrt((x - np.float32(pupil[0])) ** 2 + (y - np.float32(pupil[1])) ** 2)
    canvas.paint(inside * canvas.mask(r - np.float32(g.iris)), _vivid(eye_colour(p), 1.6), win)
    canvas.paint(inside * canvas.mask(r - np.float32(0.56 * g.iris)), _INK * 0.5, win)
    spark = np.hypot(
        x - np.float32(pupil[0] - 0.34 * g.iris * np.tanh(4 * p.light)), y - np.float32(pupil[1] - 0.36 * g.iris)
    )
    canvas.paint(inside * canvas.mask(spark - np.float32(0.28 * g.iris)), np.ones(3, np.float32), win)
    canvas.paint(_line(canvas, win, bottom, 0.0050), _INK, win)
    canvas.paint(_line(canvas, win, top, 0.0105 - 0.002 * p.build), _INK, win)


def _brow(canvas: Canvas, g: Geometry, p: PortraitParams, points: NDArray[np.float64]) -> None:
    lo, hi = points.min(0) - 0.05, points.max(0) + 0.05
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    half = (0.020 + 0.006 * p.brow_weight + 0.005 * p.build) * g.scale
    canvas.paint(_line(canvas, win, points, half), mix(_INK, brow_colour(p), 0.75), win)


def _mouth(canvas: Canvas, g: Geometry, p: PortraitParams, base: Colour) -> None:
    s, mark = g.scale, g.landmarks[48:68]
    lo, hi = mark.min(0) - 0.04 * s, mark.max(0) + 0.04 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    lips = between(canvas, win, mark[0:7], mark[[6, 7, 8, 9, 10, 11, 0]])
    rose = _vivid(base * rgb(0.88, 0.44, 0.44))
    canvas.paint(canvas.mask(lips), mix(rose, base * rgb(0.84, 0.60, 0.55), 0.20 + 0.30 * p.build), win)
    inner = between(canvas, win, mark[12:17], mark[[16, 17, 18, 19, 12]])
    gap = float(mark[18, 1] - mark[14, 1])
    shown = np.float32(np.clip(gap / (0.014 * s), 0, 1))  # closed lips hide the teeth
    canvas.paint(canvas.mask(inner) * shown, rgb(0.27, 0.06, 0.08), win)
    teeth = np.maximum(inner, canvas.y[win] - np.float32(mark[14, 1] + 0.66 * gap))
    canvas.paint(canvas.mask(teeth) * shown, rgb(0.97, 0.96, 0.93), win)
    canvas.paint(_line(canvas, win, mark[[0, 12, 13, 14, 15, 16, 6]], 0.0068), _INK, win)
    canvas.paint(_line(canvas, win, mark[[11, 10, 9, 8, 7]], 0.0045), _INK, win)


def _cheeks(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head, skin: Colour) -> None:
    """Paint red cheeks, and the folds of a smile, deeper with age."""
    mark, s = g.landmarks, g.scale
    blush = np.zeros_like(head.face)
    inside = canvas.mask(head.face + np.float32(_STROKE))
    for eye, wing, corner, out in ((slice(36, 42), 31, 48, -1), (slice(42, 48), 35, 54, 1)):
        ex, ey = mark[eye].mean(0)
        r = oval(canvas, float(ex) + out * 0.045 * s, float(ey) + 0.160 * s, 0.062 * s, 0.048 * s) - 1
        blush = np.maximum(blush, canvas.mask(r * np.float32(0.05 * s), 0.03))
        top, end = mark[wing] + [out * 0.020 * s, -0.02 * s], mark[corner] + [out * 0.022 * s, 0.0]
        t = np.clip((canvas.y - np.float32(top[1])) / np.float32(end[1] - top[1]), 0, 1)
        path = np.float32(top[0]) + t * np.float32(end[0] - top[0]) + np.float32(out * 0.022 * s) * np.sin(np.pi * t)
        across = np.maximum(np.float32(top[1]) - canvas.y, canvas.y - np.float32(end[1]))
        fold = canvas.mask(np.maximum(np.abs(canvas.x - path) - np.float32(0.006), across).astype(np.float32))
        canvas.paint(fold * np.float32(0.15 + 0.75 * soft_step(p.age, -0.2, 0.8)), skin * rgb(0.52, 0.36, 0.33))
    canvas.paint(blush * np.float32(0.50) * inside, skin * rgb(1.0, 0.72, 0.67))


def _facial_hair(canvas: Canvas, p: PortraitParams, head: Head, side: Field) -> None:
    colour = _vivid(brow_colour(p))
    for field, there in ((head.beard, p.beard), (head.moustache, p.moustache)):
        if field is not None:
            seen = np.float32(soft_step(there, 0, 0.2))
            tone = colour[:, None, None] * (1 - np.float32(0.3) * side)
            canvas.paint(canvas.mask(field) * seen, np.asarray(tone, np.float32))
            canvas.paint(_stroke(canvas, field, 0.0055) * seen, _INK)


def _hair(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    colour = _vivid(hair_colour(p), 1.35)
    hair, curl = head.hair, soft_step(p.curl, -0.1, 0.8)
    ring = np.abs(hair.ratio - np.float32(0.80)) - np.float32(0.060)
    top = canvas.y - np.float32(g.skull[1] - 0.10 * g.scale)
    lit = (canvas.x - np.float32(g.skull[0])) * np.float32(np.tanh(4 * p.light)) + np.float32(0.03 * g.scale)
    sheen = canvas.mask(np.maximum(np.maximum(ring * np.float32(0.28 * g.scale), top), lit).astype(np.float32), 0.012)
    locks = canvas.mask(((hair.strand + np.float32(0.62)) * np.float32(0.030)).astype(np.float32), 0.02)
    shade = colour * rgb(0.70, 0.66, 0.66)
    tone = colour[:, None, None] + locks * np.float32(0.45 + 0.35 * curl) * (shade - colour)[:, None, None]
    tone = tone + sheen * np.float32(0.26 * (1 - 0.6 * curl)) * (1 - tone)
    canvas.paint(canvas.mask(hair.front), np.asarray(tone, np.float32))
    canvas.paint(_stroke(canvas, hair.front), _INK)


def draw_cartoon(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    """Draw the caricature of an identity on a canvas that holds the background."""
    head = build_head(canvas, g, p)
    skin = _vivid(skin_colour(p))
    dark = _vivid(skin_colour(p) * rgb(0.74, 0.60, 0.56))
    side = _side(canvas, g, p, 0.315)
    behind = _vivid(hair_colour(p), 1.35) * np.float32(0.58)
    _shape(canvas, head.hair.back, behind, np.zeros_like(head.face), behind)
    under = canvas.mask(canvas.y - np.float32(g.landmarks[8, 1] + 0.035 * g.scale), 0.01)
    _shape(canvas, head.neck, dark, under, skin)
    cloth = _vivid(cloth_colour(p))
    _shape(canvas, np.maximum(head.body, -head.collar), cloth, _side(canvas, g, p, 0.42), cloth * np.float32(0.66))
    _shape(canvas, head.ears, skin, canvas.mask(head.ears + np.float32(0.020 * g.scale)), dark)
    _shape(canvas, head.face, skin, side, dark)
    _cheeks(canvas, g, p, head, skin)
    _nose(canvas, g, skin, dark)
    _facial_hair(canvas, p, head, side)
    _mouth(canvas, g, p, skin)
    for first, pupil in zip((36, 42), g.pupils, strict=True):
        _eye(canvas, g, p, first, pupil)
    for brow in (slice(17, 22), slice(22, 27)):
        _brow(canvas, g, p, g.landmarks[brow])
    _hair(canvas, g, p, head)
    if head.glasses is not None:
        canvas.paint(canvas.mask(head.glasses - np.float32(0.011 * g.scale)), _INK)
