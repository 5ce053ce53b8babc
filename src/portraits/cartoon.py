"""The domain "cartoons": the caricature in flat colours of two tones with thick dark outlines."""

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Colour, Field, between, curve, eye_colour, hair_colour, hue_colour, skin_colour
from .geometry import Geometry, PortraitParams
from .head import Head, build_head

_INK = np.array([0.075, 0.045, 0.055], np.float32)
_STROKE = 0.0075  # half the width of an outline, in picture widths


def _vivid(colour: Colour, gain: float = 1.28) -> Colour:
    grey = colour.mean()
    return np.asarray(np.clip(grey + (colour - grey) * gain + 0.02, 0, 1), np.float32)


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
    lean = 0.17 * (1.0 if p.light >= 0 else -1.0) * (0.45 + 0.55 * abs(p.light))
    cx, cy = g.centre + np.array([-lean, -0.02]) * g.scale
    r = np.sqrt((canvas.x - np.float32(cx)) ** 2 + ((canvas.y - np.float32(cy)) * np.float32(0.72)) ** 2)
    return canvas.mask(np.float32(radius * g.scale) - r, 0.012)


def _oval(canvas: Canvas, cx: float, cy: float, rx: float, ry: float) -> Field:
    """Return the radius ratio of an ellipse: 1 on its outline."""
    u, v = (canvas.x - np.float32(cx)) / np.float32(rx), (canvas.y - np.float32(cy)) / np.float32(ry)
    return np.asarray(np.sqrt(u * u + v * v), np.float32)


def _nose(canvas: Canvas, g: Geometry, base: Colour, dark: Colour) -> None:
    mark, s = g.landmarks, g.scale
    width = 0.5 * float(mark[35, 0] - mark[31, 0])
    x, y = canvas.x, canvas.y
    tip_y = 0.5 * float(mark[30, 1] + mark[33, 1])
    ball = _oval(canvas, float(mark[33, 0]), tip_y, 0.66 * width, 0.043 * s)
    left, right = (
        _oval(canvas, mark[k, 0] + side * 0.020 * s, mark[k, 1] - 0.008 * s, 0.36 * width, 0.021 * s)
        for k, side in ((31, 1), (35, -1))
    )
    wings = np.minimum(left, right)
    blend = np.clip(0.5 + 0.5 * (wings - ball) / np.float32(0.35), 0, 1)
    union = wings + (ball - wings) * blend - np.float32(0.35) * blend * (1 - blend)
    field = np.asarray((union - 1) * np.float32(0.03 * s), np.float32)
    gleam = np.sqrt((x - np.float32(mark[30, 0])) ** 2 + (y - np.float32(tip_y - 0.014 * s)) ** 2)
    red = base * np.array([1.0, 0.80, 0.76], np.float32)
    lower = canvas.mask(np.float32(tip_y - 0.020 * s) - y, 0.045)
    canvas.paint(canvas.mask(field + np.float32(0.002 * s)) * lower, red)
    spot = canvas.mask(np.asarray(gleam - np.float32(0.010 * s), np.float32), 0.012)
    canvas.paint(spot, base + (1 - base) * np.float32(0.6))
    lower = canvas.mask(np.float32(tip_y - 0.012 * s) - y, 0.03)
    canvas.paint(_stroke(canvas, field, 0.0055) * lower, dark * np.float32(0.42))


def _eye(canvas: Canvas, g: Geometry, p: PortraitParams, first: int, pupil: NDArray[np.float64]) -> None:
    s, mark = g.scale, g.landmarks[first : first + 6]
    lo, hi = mark.min(0) - 0.04 * s, mark.max(0) + 0.04 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    x, y = canvas.x[win], canvas.y[win]
    top, bottom = mark[[0, 1, 2, 3]], mark[[3, 4, 5, 0]]
    inside = canvas.mask(between(canvas, win, top, bottom))
    canvas.paint(inside, np.array([0.97, 0.97, 0.96], np.float32), win)
    r = np.sqrt((x - np.float32(pupil[0])) ** 2 + (y - np.float32(pupil[1])) ** 2)
    canvas.paint(inside * canvas.mask(r - np.float32(g.iris)), _vivid(eye_colour(p), 1.5), win)
    canvas.paint(inside * canvas.mask(r - np.float32(0.55 * g.iris)), _INK * 0.5, win)
    side = 1.0 if p.light >= 0 else -1.0
    spark = (x - np.float32(pupil[0] - 0.36 * g.iris * side)) ** 2 + (y - np.float32(pupil[1] - 0.36 * g.iris)) ** 2
    canvas.paint(inside * canvas.mask(np.sqrt(spark) - np.float32(0.28 * g.iris)), np.ones(3, np.float32), win)
    canvas.paint(_line(canvas, win, bottom, 0.0045), _INK, win)
    canvas.paint(_line(canvas, win, top, 0.0095), _INK, win)


def _brow(canvas: Canvas, g: Geometry, p: PortraitParams, points: NDArray[np.float64]) -> None:
    lo, hi = points.min(0) - 0.05, points.max(0) + 0.05
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    canvas.paint(
        _line(canvas, win, points, (0.021 - 0.004 * p.hair_length) * g.scale),
        _INK + 0.45 * hair_colour(p),
        win,
    )


def _mouth(canvas: Canvas, g: Geometry, base: Colour) -> None:
    s, mark = g.scale, g.landmarks[48:68]
    lo, hi = mark.min(0) - 0.04 * s, mark.max(0) + 0.04 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    lips = between(canvas, win, mark[0:7], mark[[6, 7, 8, 9, 10, 11, 0]])
    canvas.paint(canvas.mask(lips), _vivid(base * np.array([0.86, 0.44, 0.45], np.float32)), win)
    inner = between(canvas, win, mark[12:17], mark[[16, 17, 18, 19, 12]])
    gap = float(mark[18, 1] - mark[14, 1])
    shown = np.float32(np.clip(gap / (0.014 * s), 0, 1))  # closed lips hide the teeth
    canvas.paint(canvas.mask(inner) * shown, np.array([0.25, 0.05, 0.07], np.float32), win)
    teeth = np.maximum(inner, canvas.y[win] - np.float32(mark[14, 1] + 0.60 * gap))
    canvas.paint(canvas.mask(teeth) * shown, np.array([0.97, 0.96, 0.93], np.float32), win)
    middle = mark[[0, 12, 13, 14, 15, 16, 6]]
    canvas.paint(_line(canvas, win, middle, 0.0065), _INK, win)
    canvas.paint(_line(canvas, win, mark[[11, 10, 9, 8, 7]], 0.0040), _INK, win)


def _face(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    skin = _vivid(skin_colour(p))
    dark = _vivid(skin_colour(p) * np.array([0.74, 0.60, 0.56], np.float32))
    under = canvas.mask(canvas.y - np.float32(g.landmarks[8, 1] + 0.03 * g.scale), 0.01)
    _shape(canvas, head.neck, skin, under, dark)
    cloth = _vivid(hue_colour(-p.background + 0.35, 0.60, 0.66))
    _shape(canvas, head.body, cloth, _side(canvas, g, p, 0.50), cloth * np.float32(0.62))
    inner = canvas.mask(head.ears + np.float32(0.020 * g.scale))
    _shape(canvas, head.ears, skin, inner, dark)
    _shape(canvas, head.face, skin, _side(canvas, g, p, 0.335), dark)
    cheek = np.zeros_like(head.face)
    for k in (slice(36, 42), slice(42, 48)):
        ex, ey = g.landmarks[k].mean(0)
        dx = canvas.x - np.float32(ex + (ex - g.landmarks[30, 0]) * 0.26)
        r = np.sqrt(dx**2 + ((canvas.y - np.float32(ey + 0.165 * g.scale)) * np.float32(1.3)) ** 2)
        cheek = cheek + canvas.mask(np.asarray(r - np.float32(0.048 * g.scale), np.float32), 0.03)
    blush = skin * np.array([1.0, 0.72, 0.68], np.float32)
    canvas.paint(np.minimum(cheek, 1) * np.float32(0.55) * canvas.mask(head.face + np.float32(_STROKE)), blush)
    _nose(canvas, g, skin, dark)


def draw_cartoon(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    """Draw the caricature of an identity on a canvas that holds the background."""
    head = build_head(canvas, g, p, cartoon=True)
    hair = _vivid(hair_colour(p), 1.35)
    gleam = hair + (1 - hair) * np.float32(0.20)
    _shape(canvas, head.hair_back, hair * np.float32(0.58), np.zeros_like(head.face), hair)
    _face(canvas, g, p, head)
    _mouth(canvas, g, _vivid(skin_colour(p)))
    _eye(canvas, g, p, 36, g.pupils[0])
    _eye(canvas, g, p, 42, g.pupils[1])
    _brow(canvas, g, p, g.landmarks[17:22])
    _brow(canvas, g, p, g.landmarks[22:27])
    ring = np.abs(head.hair_ratio - np.float32(0.80)) - np.float32(0.055)
    top = canvas.y - np.float32(g.skull[1] - 0.10 * g.scale)
    lit = (canvas.x - np.float32(g.skull[0])) * np.float32(1.0 if p.light >= 0 else -1.0)
    top = np.maximum(top, lit + np.float32(0.02 * g.scale))
    sheen = canvas.mask(np.asarray(np.maximum(ring * np.float32(0.28 * g.scale), top), np.float32), 0.010)
    _shape(canvas, head.hair_front, hair, sheen, gleam)
