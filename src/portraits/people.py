"""The domain "people": a painted portrait, natural proportions, Lambert shading of a face relief."""

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Colour, Field, between, curve, eye_colour, gauss, hair_colour, hue_colour, skin_colour
from .geometry import Geometry, PortraitParams
from .head import Head, build_head


def _rgb(r: float, g: float, b: float) -> Colour:
    return np.array([r, g, b], np.float32)


def _relief(canvas: Canvas, g: Geometry, head: Head) -> Field:
    """Return the height [n, n] of the face towards the viewer, in picture widths."""
    x, y, s, mark = canvas.x, canvas.y, g.scale, g.landmarks
    z = np.float32(0.235 * s) * np.sqrt(np.clip(1.06 - head.face_ratio**2, 0.02, None))
    root, tip, base = mark[27], mark[30], mark[33]
    width = 0.5 * float(mark[35, 0] - mark[31, 0])
    along = np.clip((y - np.float32(root[1])) / np.float32(tip[1] - root[1]), 0, 1.35)
    axis = np.float32(root[0]) + along * np.float32(tip[0] - root[0])
    fall = 1 / (1 + np.exp((y - np.float32(0.55 * tip[1] + 0.45 * base[1])) / np.float32(0.010 * s)))
    fall = fall / (1 + np.exp((np.float32(root[1] - 0.004 * s) - y) / np.float32(0.012 * s)))
    lateral = (x - axis) / (np.float32(0.52 * width) * (0.75 + 0.35 * along))
    z += np.float32(0.050 * s) * (0.18 + 0.82 * along) * fall * np.exp(-lateral * lateral)
    z += np.float32(0.026 * s) * gauss(x, y, tip[0], tip[1] + 0.004 * s, 0.62 * width, 0.026 * s)
    for k, sign in ((31, 1), (35, -1)):
        z += np.float32(0.020 * s) * gauss(
            x, y, mark[k, 0] + sign * 0.018 * s, mark[k, 1] - 0.016 * s, 0.020 * s, 0.020 * s
        )
    for eye, brow in ((slice(36, 42), slice(17, 22)), (slice(42, 48), slice(22, 27))):
        ex, ey = mark[eye].mean(0)
        bx, by = mark[brow].mean(0)
        z -= np.float32(0.024 * s) * gauss(x, y, ex, ey - 0.012 * s, 0.066 * s, 0.036 * s)
        z += np.float32(0.012 * s) * gauss(x, y, bx, by + 0.004 * s, 0.085 * s, 0.032 * s)
        cheek = ex + (ex - tip[0]) * 0.22
        z += np.float32(0.022 * s) * gauss(x, y, cheek, 0.5 * ey + 0.5 * mark[48, 1] + 0.01 * s, 0.075 * s, 0.062 * s)
    mouth = mark[48:68].mean(0)
    z += np.float32(0.016 * s) * gauss(x, y, mouth[0], mouth[1], 0.085 * s, 0.050 * s)
    z += np.float32(0.020 * s) * gauss(x, y, mark[8, 0], mark[8, 1] - 0.055 * s, 0.060 * s, 0.040 * s)
    return np.asarray(z, np.float32)


def _shade(canvas: Canvas, z: Field, p: PortraitParams) -> Field:
    """Return wrapped Lambert light [n, n], about 1 where the skin faces the lamp."""
    dy, dx = np.gradient(z, np.float32(1.0 / canvas.n))
    lx, ly, lz = -0.50 * p.light, -0.38, 0.80
    norm = np.float32(np.sqrt(lx * lx + ly * ly + lz * lz))
    dot = (-dx * np.float32(lx) - dy * np.float32(ly) + np.float32(lz)) / (norm * np.sqrt(1 + dx * dx + dy * dy))
    return np.asarray(np.clip((dot + 0.25) / 1.25, 0, 1), np.float32)


def _skin(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    x, y, s, mark = canvas.x, canvas.y, g.scale, g.landmarks
    base = skin_colour(p)
    shadow = base * _rgb(0.52, 0.40, 0.37)
    bright = base + (1 - base) * _rgb(0.40, 0.36, 0.32)
    light = _shade(canvas, _relief(canvas, g, head), p)
    tone = base[:, None, None] * np.ones_like(x)
    blush = np.zeros_like(x)
    for k in (slice(36, 42), slice(42, 48)):
        ex, ey = mark[k].mean(0)
        blush = blush + gauss(x, y, ex + (ex - mark[30, 0]) * 0.25, ey + 0.130 * s, 0.070 * s, 0.050 * s)
    blush = blush + 0.5 * gauss(x, y, mark[30, 0], mark[30, 1], 0.05 * s, 0.035 * s)
    tone = tone * (1 - blush * _rgb(0.01, 0.17, 0.15)[:, None, None])
    dark = np.clip((0.86 - light) / 0.62, 0, 1)
    gleam = np.clip((light - 0.86) / 0.14, 0, 1) ** 2 * np.float32(0.55)
    tone = tone + dark * (shadow[:, None, None] / base[:, None, None] * tone - tone)
    tone = tone + gleam * (bright[:, None, None] - tone)
    # Shadow cast by the nose, and the soft dark under the lower lip.
    cast = gauss(x, y, mark[33, 0] + 0.028 * s * p.light, mark[33, 1] + 0.014 * s, 0.052 * s, 0.017 * s) * np.float32(
        0.34
    )
    cast = cast + gauss(x, y, mark[57, 0], mark[57, 1] + 0.018 * s, 0.055 * s, 0.014 * s) * np.float32(0.26)
    tone = tone + cast * (shadow[:, None, None] - tone)
    canvas.paint(canvas.mask(head.face, 0.010), np.asarray(tone, np.float32))


def _ears_neck_body(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    x, y, s, mark = canvas.x, canvas.y, g.scale, g.landmarks
    base = skin_colour(p)
    side = np.clip((x - np.float32(mark[8, 0])) / np.float32(0.16 * s) * np.float32(p.light), -1, 1)
    neck = base[:, None, None] * (_rgb(0.80, 0.73, 0.71)[:, None, None] - 0.10 * side)
    under = gauss(x, y, mark[8, 0] + 0.03 * s * p.light, mark[8, 1] - 0.01 * s, 0.20 * s, 0.055 * s) * np.float32(0.60)
    neck = neck + under * (base * _rgb(0.46, 0.34, 0.31))[:, None, None] - under * neck
    canvas.paint(canvas.mask(head.neck, 0.012), np.asarray(neck, np.float32))
    cloth = hue_colour(-p.background + 0.35, 0.55, 0.62)
    fold = np.clip(0.92 - 0.35 * side - 1.6 * np.clip(y - 0.93, 0, 1), 0.4, 1.2)
    canvas.paint(canvas.mask(head.body, 0.012), np.asarray(cloth[:, None, None] * fold, np.float32))
    inner = np.clip(1.0 + head.ears / np.float32(0.036 * s), 0, 1)  # 0 at the middle of an ear, 1 at its rim
    ear = base[:, None, None] * (_rgb(0.70, 0.56, 0.53) + 0)[:, None, None] * (1 - 0.14 * side)
    ear = ear + inner * (base * _rgb(0.93, 0.82, 0.79))[:, None, None] - inner * ear
    canvas.paint(canvas.mask(head.ears, 0.010), np.asarray(ear, np.float32))


def _eye(canvas: Canvas, g: Geometry, p: PortraitParams, first: int, pupil: NDArray[np.float64]) -> None:
    s, mark = g.scale, g.landmarks[first : first + 6]
    lo, hi = mark.min(0) - 0.05 * s, mark.max(0) + 0.05 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    x, y = canvas.x[win], canvas.y[win]
    base = skin_colour(p)
    top, bottom = mark[[0, 1, 2, 3]], mark[[3, 4, 5, 0]]
    field = between(canvas, win, top, bottom)
    inside = canvas.mask(field, 0.006)
    ball = (y - np.float32(mark[1:3, 1].mean())) / np.float32(max(np.ptp(mark[:, 1]), 0.01))
    white = _rgb(0.95, 0.93, 0.91)[:, None, None] * np.clip(0.82 + 0.45 * ball, 0, 1)
    canvas.paint(inside, np.asarray(white, np.float32), win)
    r = np.sqrt((x - np.float32(pupil[0])) ** 2 + (y - np.float32(pupil[1])) ** 2)
    iris = eye_colour(p)[:, None, None] * np.clip(
        0.62 + 0.55 * (y - np.float32(pupil[1])) / np.float32(g.iris), 0.35, 1.2
    )
    canvas.paint(inside * canvas.mask(r - np.float32(g.iris), 0.008), np.asarray(iris, np.float32), win)
    canvas.paint(inside * canvas.mask(r - np.float32(0.50 * g.iris), 0.008), _rgb(0.04, 0.03, 0.04), win)
    spark = (x - np.float32(pupil[0] - 0.42 * g.iris * np.sign(p.light + 1e-9) * 0.8)) ** 2
    spark = np.sqrt(spark + (y - np.float32(pupil[1] - 0.36 * g.iris)) ** 2) - np.float32(0.26 * g.iris)
    canvas.paint(inside * canvas.mask(spark, 0.008), _rgb(1, 1, 1), win)
    # Lash line, crease of the lid and the lower lid.
    lid = curve(canvas.axis[win[1]], top)
    ends = canvas.mask(np.maximum(mark[:, 0].min() - canvas.axis, canvas.axis - mark[:, 0].max())[win[1]], 0.012)
    lash = np.exp(-(((y - lid) / np.float32(0.0075 * s)) ** 2)) * ends
    crease = np.exp(-(((y - lid + np.float32(0.021 * s)) / np.float32(0.007 * s)) ** 2)) * ends
    low = np.exp(-(((y - curve(canvas.axis[win[1]], bottom)) / np.float32(0.006 * s)) ** 2)) * ends
    canvas.paint(np.asarray(0.45 * crease, np.float32), base * _rgb(0.48, 0.34, 0.30), win)
    canvas.paint(np.asarray(0.35 * low, np.float32), base * _rgb(0.48, 0.33, 0.30), win)
    canvas.paint(np.asarray(0.92 * lash, np.float32), _rgb(0.10, 0.06, 0.05), win)


def _brow(canvas: Canvas, g: Geometry, p: PortraitParams, points: NDArray[np.float64]) -> None:
    s = g.scale
    x0, x1 = float(points[:, 0].min()), float(points[:, 0].max())
    win = canvas.window(x0 - 0.03, float(points[:, 1].min()) - 0.05, x1 + 0.03, float(points[:, 1].max()) + 0.05)
    x, y = canvas.axis[win[1]], canvas.axis[win[0]][:, None]
    t = np.clip((x - x0) / (x1 - x0), 0, 1)
    toward_nose = t if abs(points[-1, 0] - g.landmarks[27, 0]) < abs(points[0, 0] - g.landmarks[27, 0]) else 1 - t
    taper = np.minimum(1.0, 0.45 + 3.2 * (1 - toward_nose))
    thick = (0.006 + 0.0085 * toward_nose) * taper * s * (1.15 - 0.25 * p.hair_length)
    across = np.maximum(x0 - x, x - x1)
    field = np.maximum(np.abs(y - curve(x, points)) - thick[None, :], across[None, :]).astype(np.float32)
    colour = 0.62 * hair_colour(p) + 0.10 * skin_colour(p) * (0.5 + 0.5 * p.hair_colour)
    canvas.paint(canvas.mask(field, 0.016) * np.float32(0.88), np.asarray(colour, np.float32), win)


def _mouth(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    s, mark = g.scale, g.landmarks[48:68]
    lo, hi = mark.min(0) - 0.03 * s, mark.max(0) + 0.03 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    y = canvas.y[win]
    base = skin_colour(p)
    lips = base * _rgb(0.80, 0.50, 0.52) + _rgb(0.06, 0.01, 0.03)
    centre = mark[12:20, 1].mean()
    roll = np.clip((y - np.float32(centre)) / np.float32(0.03 * s), -1, 1)
    tone = lips[:, None, None] * (0.93 + 0.10 * roll)
    shine = gauss(canvas.x[win], y, mark[9, 0] - 0.01 * p.light, 0.5 * (mark[9, 1] + mark[18, 1]), 0.04 * s, 0.009 * s)
    tone = tone + np.float32(0.22) * shine * (1 - tone)
    canvas.paint(canvas.mask(between(canvas, win, mark[0:7], mark[[6, 7, 8, 9, 10, 11, 0]]), 0.009), tone, win)
    inner = between(canvas, win, mark[12:17], mark[[16, 17, 18, 19, 12]])
    gap = float(mark[18, 1] - mark[14, 1])
    shown = np.float32(np.clip(gap / (0.010 * s), 0, 1))  # closed lips hide the teeth
    canvas.paint(canvas.mask(inner, 0.006) * shown, _rgb(0.22, 0.06, 0.06), win)
    teeth = np.maximum(inner + np.float32(0.003 * s), y - np.float32(mark[14, 1] + min(0.62 * gap, 0.026 * s)))
    canvas.paint(canvas.mask(teeth, 0.006) * shown, _rgb(0.93, 0.91, 0.88), win)
    x = canvas.axis[win[1]]
    ends = canvas.mask(np.maximum(mark[:, 0].min() - x, x - mark[:, 0].max()), 0.014)
    line = np.exp(-(((y - curve(x, mark[[0, 12, 13, 14, 15, 16, 6]])) / np.float32(0.0055 * s)) ** 2)) * ends
    canvas.paint(np.asarray(0.75 * line, np.float32), base * _rgb(0.36, 0.18, 0.18), win)


def _nostrils(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    mark, s = g.landmarks, g.scale
    for k in (32, 34):
        px, py = 0.75 * mark[k, 0] + 0.25 * mark[31 if k == 32 else 35, 0], mark[k, 1] - 0.004 * s
        spot = gauss(canvas.x, canvas.y, px, py, 0.0145 * s, 0.0075 * s)
        canvas.paint(np.asarray(0.75 * spot, np.float32), skin_colour(p) * _rgb(0.36, 0.20, 0.18))


def _hair_tone(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> Field:
    colour = hair_colour(p)
    light = (canvas.x - np.float32(g.skull[0])) * np.float32(-p.light / 0.3)
    ring = np.exp(-(((head.hair_ratio - np.float32(0.80)) / np.float32(0.13)) ** 2))
    sheen = ring * np.clip((np.float32(g.skull[1] + 0.05) - canvas.y) / np.float32(0.30), 0, 1) * (0.75 + 0.35 * light)
    edge = np.clip(1.55 - 0.62 * head.hair_ratio**3, 0.5, 1.2)
    value = np.clip(edge * (0.86 + 0.19 * head.lock + 0.12 * light), 0.3, 1.4)
    bright = colour * 0.55 + _rgb(0.42, 0.37, 0.32)
    tone = colour[:, None, None] * value
    gleam = np.clip(0.62 * sheen * (0.85 + 0.3 * head.lock), 0, 1)
    return np.asarray(tone + gleam * (bright[:, None, None] - tone), np.float32)


def draw_people(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    """Draw the portrait of an identity on a canvas that holds the background."""
    head = build_head(canvas, g, p, cartoon=False)
    hair = _hair_tone(canvas, g, p, head)
    canvas.paint(canvas.mask(head.hair_back, 0.016), hair * np.float32(0.62))
    _ears_neck_body(canvas, g, p, head)
    _skin(canvas, g, p, head)
    _nostrils(canvas, g, p)
    _mouth(canvas, g, p)
    _eye(canvas, g, p, 36, g.pupils[0])
    _eye(canvas, g, p, 42, g.pupils[1])
    _brow(canvas, g, p, g.landmarks[17:22])
    _brow(canvas, g, p, g.landmarks[22:27])
    front = canvas.mask(head.hair_front, 0.020)
    shade = canvas.mask(head.hair_front - np.float32(0.02), 0.06) * canvas.mask(head.face, 0.01) * (1 - front)
    canvas.paint(shade * np.float32(0.30), skin_colour(p) * _rgb(0.45, 0.32, 0.28))
    canvas.paint(front, hair)
