"""The domain "people": a painted portrait, natural proportions, soft light."""

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Field, between, curve
from .geometry import Geometry
from .head import Head, build_head
from .palette import brow_colour, cloth_colour, eye_colour, hair_colour, mix, rgb, skin_colour
from .parameters import PortraitParams, soft_step
from .skin import paint_neck_and_ears, paint_skin


def _clothes(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    cloth = cloth_colour(p)
    side = np.clip((canvas.x - np.float32(0.5)) * np.float32(3 * p.light), -1, 1)
    fold = np.clip(0.95 - 0.22 * side - 2.0 * np.clip(canvas.y - 0.95, 0, 1), 0.4, 1.2)
    canvas.paint(canvas.mask(head.body, 0.014) * canvas.mask(-head.collar, 0.014), cloth[:, None, None] * fold)
    hem = np.exp(-(((head.collar - np.float32(0.008)) / np.float32(0.008)) ** 2)) * canvas.mask(head.body, 0.014)
    canvas.paint(np.asarray(0.55 * hem, np.float32), cloth * rgb(0.5, 0.5, 0.5))


def _eye(canvas: Canvas, g: Geometry, p: PortraitParams, first: int, pupil: NDArray[np.float64]) -> None:
    s, mark = g.scale, g.landmarks[first : first + 6]
    lo, hi = mark.min(0) - 0.05 * s, mark.max(0) + 0.05 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    x, y, axis = canvas.x[win], canvas.y[win], canvas.axis[win[1]]
    base = skin_colour(p)
    high = float(g.eye_size[1])  # edges and lines of large eyes are as soft and thick in their measure
    top, bottom = mark[[0, 1, 2, 3]], mark[[3, 4, 5, 0]]
    inside = canvas.mask(between(canvas, win, top, bottom), 0.006 * high)
    ball = (y - np.float32(mark[1:3, 1].mean())) / np.float32(max(np.ptp(mark[:, 1]), 0.01))
    white = mix(rgb(0.93, 0.90, 0.87), base, 0.10)[:, None, None] * np.clip(0.66 + 0.55 * ball, 0, 1)
    canvas.paint(inside, np.asarray(white, np.float32), win)
    r = np.sqrt((x - np.float32(pupil[0])) ** 2 + (y - np.float32(pupil[1])) ** 2)
    iris = eye_colour(p)[:, None, None] * np.clip(
        0.65 + 0.5 * (y - np.float32(pupil[1])) / np.float32(g.iris), 0.35, 1.2
    )
    canvas.paint(inside * canvas.mask(r - np.float32(1.04 * g.iris), 0.010 * high), np.asarray(iris, np.float32), win)
    canvas.paint(inside * canvas.mask(r - np.float32(0.50 * g.iris), 0.008 * high), rgb(0.04, 0.03, 0.03), win)
    spark = np.hypot(x - np.float32(pupil[0] - 0.34 * g.iris * p.light), y - np.float32(pupil[1] - 0.36 * g.iris))
    canvas.paint(inside * canvas.mask(spark - np.float32(0.24 * g.iris), 0.008 * high), rgb(1, 0.99, 0.97), win)
    # Lash line, crease of the lid and the lower lid.
    lid = curve(axis, top)
    ends = canvas.mask(np.maximum(mark[:, 0].min() - axis, axis - mark[:, 0].max()), 0.012)
    lash = np.exp(-(((y - lid) / np.float32((0.0078 - 0.0018 * p.build) * s * high)) ** 2)) * ends
    crease = np.exp(-(((y - lid + np.float32(0.020 * s)) / np.float32(0.0085 * s)) ** 2)) * ends
    low = np.exp(-(((y - curve(axis, bottom)) / np.float32(0.007 * s * high)) ** 2)) * ends
    canvas.paint(np.asarray(0.40 * crease, np.float32), base * rgb(0.46, 0.32, 0.28), win)
    canvas.paint(np.asarray(0.36 * low, np.float32), base * rgb(0.48, 0.32, 0.29), win)
    canvas.paint(np.asarray(0.90 * lash, np.float32), mix(rgb(0.10, 0.06, 0.05), brow_colour(p), 0.25), win)


def _brow(canvas: Canvas, g: Geometry, p: PortraitParams, points: NDArray[np.float64]) -> None:
    s = g.scale
    x0, x1 = float(points[:, 0].min()), float(points[:, 0].max())
    win = canvas.window(x0 - 0.03, float(points[:, 1].min()) - 0.05, x1 + 0.03, float(points[:, 1].max()) + 0.05)
    x, y = canvas.axis[win[1]], canvas.axis[win[0]][:, None]
    t = np.clip((x - x0) / (x1 - x0), 0, 1)
    inward = t if abs(points[-1, 0] - g.landmarks[27, 0]) < abs(points[0, 0] - g.landmarks[27, 0]) else 1 - t
    weight = 1.0 + 0.28 * p.brow_weight + 0.22 * p.build
    thick = (0.0035 + 0.0105 * np.sqrt(np.sin(np.pi * np.clip(0.06 + 0.80 * inward, 0, 1)))) * s * weight
    across = np.maximum(x0 - x, x - x1)
    field = np.maximum(np.abs(y - curve(x, points)) - thick[None, :], across[None, :]).astype(np.float32)
    canvas.paint(canvas.mask(field, 0.018) * np.float32(0.85), mix(brow_colour(p), skin_colour(p), 0.10), win)


def _mouth(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    s, mark = g.scale, g.landmarks[48:68]
    lo, hi = mark.min(0) - 0.03 * s, mark.max(0) + 0.03 * s
    win = canvas.window(lo[0], lo[1], hi[0], hi[1])
    y, axis = canvas.y[win], canvas.axis[win[1]]
    base = skin_colour(p)
    rose = base * rgb(0.80, 0.49, 0.49) + rgb(0.05, 0.01, 0.02)
    lips = mix(rose, base * rgb(0.86, 0.66, 0.62), 0.30 + 0.30 * p.build)
    line = curve(axis, mark[[0, 12, 13, 14, 15, 16, 6]])
    roll = np.clip((y - line) / np.float32(0.025 * s), -1, 1)
    tone = lips[:, None, None] * (0.92 + 0.12 * roll)
    shine = canvas.gauss(mark[9, 0] - 0.01 * p.light, 0.5 * (mark[9, 1] + mark[18, 1]), 0.04 * s, 0.010 * s, win)
    tone = tone + np.float32(0.16) * shine * (1 - tone)
    outer = between(canvas, win, mark[0:7], mark[[6, 7, 8, 9, 10, 11, 0]])
    canvas.paint(canvas.mask(outer, 0.012), np.asarray(tone, np.float32), win)
    inner = between(canvas, win, mark[12:17], mark[[16, 17, 18, 19, 12]])
    gap = float(mark[18, 1] - mark[14, 1])
    shown = np.float32(np.clip(gap / (0.010 * s), 0, 1))  # closed lips hide the teeth
    canvas.paint(canvas.mask(inner, 0.006) * shown, rgb(0.24, 0.07, 0.07), win)
    teeth = np.maximum(inner + np.float32(0.002 * s), y - np.float32(mark[14, 1] + min(0.70 * gap, 0.032 * s)))
    canvas.paint(canvas.mask(teeth, 0.006) * shown, rgb(0.90, 0.87, 0.82), win)
    ends = canvas.mask(np.maximum(mark[:, 0].min() - axis, axis - mark[:, 0].max()), 0.014)
    dark = np.exp(-(((y - line) / np.float32(0.0055 * s)) ** 2)) * ends * (1 - 0.7 * shown)
    canvas.paint(np.asarray(0.72 * dark, np.float32), base * rgb(0.36, 0.18, 0.18), win)


def _nostrils(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    mark, s = g.landmarks, g.scale
    for k, wing in ((32, 31), (34, 35)):
        px, py = 0.70 * mark[k, 0] + 0.30 * mark[wing, 0], mark[k, 1] - 0.005 * s
        spot = canvas.gauss(px, py, 0.0135 * s, 0.0075 * s)
        canvas.paint(np.asarray(0.62 * spot, np.float32), skin_colour(p) * rgb(0.34, 0.19, 0.17))
        edge = canvas.gauss(mark[wing, 0], mark[wing, 1] - 0.012 * s, 0.008 * s, 0.018 * s)
        canvas.paint(np.asarray(0.30 * edge, np.float32), skin_colour(p) * rgb(0.48, 0.33, 0.30))


def _hair_tone(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> Field:
    hair, colour = head.hair, hair_colour(p)
    curl = soft_step(p.curl, -0.1, 0.8)
    light = np.clip((canvas.x - np.float32(g.skull[0])) * np.float32(-p.light / 0.3), -1, 1)
    ring = np.exp(-(((hair.ratio - np.float32(0.74)) / np.float32(0.17)) ** 2))
    high = np.clip((np.float32(g.skull[1] + 0.02) - canvas.y) / np.float32(0.30), 0, 1)
    edge = np.clip(1.42 - 0.55 * hair.ratio**3, 0.5, 1.2)
    value = np.clip(edge * (0.80 + (0.08 + 0.08 * curl) * hair.strand + 0.14 * light + 0.12 * high), 0.3, 1.4)
    tone = colour[:, None, None] * value
    gleam = np.clip((0.42 - 0.22 * curl) * ring * high * (0.8 + 0.4 * light) * (0.85 + 0.25 * hair.strand), 0, 1)
    bright = mix(colour, rgb(0.92, 0.84, 0.74), 0.55)
    return np.asarray(tone + gleam * (bright[:, None, None] - tone), np.float32)


def _facial_hair(canvas: Canvas, g: Geometry, p: PortraitParams, head: Head) -> None:
    colour = brow_colour(p)
    tone = colour[:, None, None] * (1.0 + 0.08 * np.sin((canvas.x - g.landmarks[8, 0]) * np.float32(70 / g.scale)))
    tone = np.asarray(tone * (1.25 - 0.5 * head.face_ratio), np.float32)
    if head.beard is not None:
        canvas.paint(canvas.mask(head.beard, 0.045) * np.float32(0.94 * soft_step(p.beard, 0, 0.35)), tone)
    if head.moustache is not None:
        canvas.paint(canvas.mask(head.moustache, 0.018) * np.float32(0.90 * soft_step(p.moustache, 0, 0.2)), tone)


def _glasses(canvas: Canvas, g: Geometry, head: Head) -> None:
    if head.glasses is not None:
        shadow = np.roll(canvas.mask(head.glasses - np.float32(0.010 * g.scale), 0.02), canvas.n // 90, axis=0)
        canvas.paint(shadow * np.float32(0.22), rgb(0.22, 0.12, 0.10))
        canvas.paint(
            canvas.mask(head.glasses - np.float32(0.0075 * g.scale), 0.007) * np.float32(0.95), rgb(0.10, 0.08, 0.08)
        )


def draw_people(canvas: Canvas, g: Geometry, p: PortraitParams) -> None:
    """Draw the portrait of an identity on a canvas that holds the background."""
    head = build_head(canvas, g, p)
    hair = _hair_tone(canvas, g, p, head)
    canvas.paint(canvas.mask(head.hair.back, 0.022), hair * np.float32(0.55))
    paint_neck_and_ears(canvas, g, p, head)
    _clothes(canvas, g, p, head)
    paint_skin(canvas, g, p, head)
    _nostrils(canvas, g, p)
    _facial_hair(canvas, g, p, head)
    _mouth(canvas, g, p)
    for first, pupil in zip((36, 42), g.pupils, strict=True):
        _eye(canvas, g, p, first, pupil)
    for brow in (slice(17, 22), slice(22, 27)):
        _brow(canvas, g, p, g.landmarks[brow])
    front = canvas.mask(head.hair.front, 0.026)
    shade = canvas.mask(head.hair.front - np.float32(0.02), 0.07) * canvas.mask(head.face, 0.01) * (1 - front)
    canvas.paint(shade * np.float32(0.34), skin_colour(p) * rgb(0.42, 0.29, 0.26))
    canvas.paint(front, hair)
    _glasses(canvas, g, head)
