"""The skin of "people": a relief of the face under soft light, blushes, shadows, folds of age."""

import numpy as np

from .canvas import Canvas, Field
from .geometry import Geometry
from .head import Head
from .palette import mix, rgb, skin_colour
from .parameters import PortraitParams, soft_step

_EYES = (slice(36, 42), slice(42, 48))
_BROWS = (slice(17, 22), slice(22, 27))


def _relief(canvas: Canvas, g: Geometry, head: Head) -> Field:
    """Return the height `[n, n]` of the face towards the viewer, in picture widths."""
    x, y, s, mark = canvas.x, canvas.y, g.scale, g.landmarks
    z = np.float32(0.20 * s) * np.sqrt(np.clip(1.10 - head.face_ratio**2, 0.03, None))
    root, tip, base = mark[27], mark[30], mark[33]
    width = 0.5 * float(mark[35, 0] - mark[31, 0])
    along = np.clip((y - np.float32(root[1])) / np.float32(tip[1] - root[1]), 0, 1.35)
    axis = np.float32(root[0]) + along * np.float32(tip[0] - root[0])
    fall = 1 / (1 + np.exp((y - np.float32(0.55 * tip[1] + 0.45 * base[1])) / np.float32(0.012 * s)))
    fall = fall / (1 + np.exp((np.float32(root[1] + 0.012 * s) - y) / np.float32(0.020 * s)))
    lateral = (x - axis) / (np.float32(0.68 * width) * (0.80 + 0.35 * along))
    z += np.float32(0.030 * s) * (0.15 + 0.85 * along) * fall * np.exp(-lateral * lateral)
    z += np.float32(0.024 * s) * canvas.gauss(tip[0], tip[1] + 0.006 * s, 0.66 * width, 0.030 * s)
    for k, sign in ((31, 1), (35, -1)):
        z += np.float32(0.014 * s) * canvas.gauss(
            mark[k, 0] + sign * 0.30 * width, mark[k, 1] - 0.016 * s, 0.36 * width, 0.022 * s
        )
    for eye, brow in zip(_EYES, _BROWS, strict=True):
        ex, ey = mark[eye].mean(0)
        bx, by = mark[brow].mean(0)
        z -= np.float32(0.017 * s) * canvas.gauss(ex, ey - 0.010 * s, 0.070 * s, 0.040 * s)
        z += np.float32(0.008 * s) * canvas.gauss(bx, by + 0.004 * s, 0.090 * s, 0.040 * s)
        cheek = ex + (ex - tip[0]) * 0.22
        z += np.float32(0.015 * s) * canvas.gauss(cheek, 0.5 * ey + 0.5 * mark[48, 1] + 0.01 * s, 0.085 * s, 0.070 * s)
    mouth = mark[48:68].mean(0)
    z += np.float32(0.012 * s) * canvas.gauss(mouth[0], mouth[1], 0.090 * s, 0.055 * s)
    z += np.float32(0.015 * s) * canvas.gauss(mark[8, 0], mark[8, 1] - 0.055 * s, 0.065 * s, 0.045 * s)
    return np.asarray(z, np.float32)


def _light(canvas: Canvas, z: Field, p: PortraitParams) -> Field:
    """Return wrapped Lambert light `[n, n]` from above and a side, about 1 where the skin faces the lamp."""
    dy, dx = np.gradient(z, np.float32(1.0 / canvas.n))
    lamp = np.array([-0.50 * p.light, -0.42, 0.80], np.float32)
    lamp /= np.linalg.norm(lamp)
    dot = (-dx * lamp[0] - dy * lamp[1] + lamp[2]) / np.sqrt(1 + dx * dx + dy * dy)
    return np.asarray(np.clip((dot + 0.35) / 1.35, 0, 1), np.float32)


def _blush(canvas: Canvas, g: Geometry) -> Field:
    s, mark = g.scale, g.landmarks
    blush = 0.7 * canvas.gauss(mark[30, 0], mark[30, 1], 0.050 * s, 0.040 * s)
    for eye in _EYES:
        ex, ey = mark[eye].mean(0)
        blush = blush + canvas.gauss(ex + (ex - mark[30, 0]) * 0.28, ey + 0.125 * s, 0.080 * s, 0.058 * s)
    return np.asarray(blush, np.float32)


def _folds(canvas: Canvas, g: Geometry, p: PortraitParams) -> Field:
    """Return how dark shadows of the features and folds of age are, 0 to about 0.6."""
    x, y, s, mark = canvas.x, canvas.y, g.scale, g.landmarks
    old = soft_step(p.age, -0.2, 1.0)
    side = 0.026 * s * p.light
    dark = 0.36 * canvas.gauss(mark[33, 0] + side, mark[33, 1] + 0.013 * s, 0.056 * s, 0.018 * s)
    dark = dark + 0.24 * canvas.gauss(mark[57, 0] + 0.3 * side, mark[57, 1] + 0.020 * s, 0.058 * s, 0.016 * s)
    for eye, wing, corner, out in ((_EYES[0], 31, 48, -1), (_EYES[1], 35, 54, 1)):
        ex, low = float(mark[eye, 0].mean()), float(mark[eye, 1].max())
        dark = dark + (0.14 + 0.20 * old) * canvas.gauss(ex, low + 0.014 * s, 0.050 * s, 0.014 * s)
        dark = dark + 0.16 * canvas.gauss(
            ex - out * 0.045 * s, float(mark[eye, 1].min()) - 0.012 * s, 0.030 * s, 0.028 * s
        )
        top, end = mark[wing] + [out * 0.012 * s, -0.012 * s], mark[corner] + [out * 0.020 * s, 0.004 * s]
        t = np.clip((y - np.float32(top[1])) / np.float32(end[1] - top[1]), -0.2, 1.2)
        path = np.float32(top[0]) + t * np.float32(end[0] - top[0]) + np.float32(out * 0.018 * s) * np.sin(np.pi * t)
        fold = np.exp(-(((x - path) / np.float32(0.013 * s)) ** 2)) * np.sin(np.pi * np.clip(t * 0.83 + 0.17, 0, 1))
        dark = dark + (0.10 + 0.38 * old + 0.06 * max(p.smile, 0.0)) * fold
    for lift in (0.055, 0.090):
        line = np.float32(mark[17:27, 1].min() - lift * s)
        wave = (y - line + np.float32(0.25) * (x - np.float32(mark[27, 0])) ** 2) / np.float32(0.009 * s)
        dark = dark + 0.26 * old * np.exp(-(wave**2)) * canvas.gauss(mark[27, 0], float(line), 0.12 * s, 1.0)
    return np.asarray(np.clip(dark, 0, 0.7), np.float32)


def paint_skin(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    """Paint the face's skin, without its features."""
    base = skin_colour(p)
    deep = base * rgb(0.50, 0.37, 0.34)
    bright = mix(base, rgb(1.0, 0.97, 0.92), 0.42)
    light = _light(canvas, _relief(canvas, g, head), p)
    tone = base[:, None, None] * (1 - _blush(canvas, g) * rgb(0.00, 0.11, 0.095)[:, None, None])
    if p.build > 0:  # where a beard is shaved
        lower = canvas.gauss(g.landmarks[8, 0], g.landmarks[8, 1] - 0.03 * g.scale, 0.20 * g.scale, 0.12 * g.scale)
        tone = tone * (1 - np.float32(0.9 * p.build) * lower * rgb(0.16, 0.12, 0.09)[:, None, None])
    dark = np.clip((0.93 - light) / 0.62, 0, 1)
    tone = tone + dark * (deep[:, None, None] - tone) * np.float32(0.92)
    gleam = np.clip((light - 0.90) / 0.10, 0, 1) ** 2 * np.float32(0.40)
    tone = tone + gleam * (bright[:, None, None] - tone)
    tone = tone + _folds(canvas, g, p) * (deep[:, None, None] - tone)
    canvas.paint(canvas.mask(head.face, 0.012), np.asarray(tone, np.float32))


def paint_neck_and_ears(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    """Paint what is behind the face: neck in the chin's shadow, and ears."""
    x, s, mark = canvas.x, g.scale, g.landmarks
    base = skin_colour(p)
    side = np.clip((x - np.float32(mark[8, 0])) / np.float32(0.16 * s) * np.float32(p.light), -1, 1)
    neck = base[:, None, None] * (rgb(0.80, 0.71, 0.68)[:, None, None] - 0.10 * side)
    under = canvas.gauss(mark[8, 0] + 0.03 * s * p.light, mark[8, 1] - 0.005 * s, 0.20 * s, 0.055 * s) * np.float32(
        0.62
    )
    neck = neck + under * ((base * rgb(0.44, 0.33, 0.30))[:, None, None] - neck)
    canvas.paint(canvas.mask(head.neck, 0.014), np.asarray(neck, np.float32))
    inner = np.clip(1.0 + head.ears / np.float32(0.034 * s), 0, 1)  # 0 at the middle of an ear, 1 at its rim
    ear = (base * rgb(0.66, 0.50, 0.47))[:, None, None] * (1 - 0.14 * side)
    ear = ear + inner * ((base * rgb(0.90, 0.78, 0.74))[:, None, None] - ear)
    canvas.paint(canvas.mask(head.ears, 0.012), np.asarray(ear, np.float32))
