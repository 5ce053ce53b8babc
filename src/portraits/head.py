"""Regions of a portrait's head as signed fields, shared by the domains: face, ears, neck, clothes, beard, glasses."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Field, polar_field
from .geometry import Geometry
from .hair import Hair, build_hair
from .parameters import PortraitParams, soft_step


@dataclass(frozen=True)
class Head:
    """Signed fields `[n, n]` of the regions of a head, shared by the two domains; None where there is none."""

    face: Field
    face_ratio: Field  # 0 centre, 1 outline
    hair: Hair
    ears: Field
    neck: Field
    body: Field
    collar: Field
    beard: Field | None
    moustache: Field | None
    glasses: Field | None


def oval(canvas: Canvas, cx: float, cy: float, rx: float, ry: float) -> Field:
    """Return the radius ratio `[n, n]` of an ellipse: 1 on its outline."""
    u, v = (canvas.x - np.float32(cx)) / np.float32(rx), (canvas.y - np.float32(cy)) / np.float32(ry)
    return np.asarray(np.sqrt(u * u + v * v), np.float32)


def _beard(canvas: Canvas, g: Geometry, p: PortraitParams, face: Field) -> Field | None:
    if p.beard <= 0:
        return None
    mark, s = g.landmarks, g.scale
    mid, half = float(mark[8, 0]), 0.5 * float(mark[13, 0] - mark[3, 0])
    across = np.minimum(np.abs(canvas.x - np.float32(mid)) / np.float32(half), 1.2)
    corner = float(mark[[48, 54], 1].mean())
    line = np.float32(corner + 0.004 * s) - np.float32(0.36 * s) * np.maximum(across - 0.42, 0) ** 1.5
    width = (0.135 + 0.30 * soft_step(p.beard_width, -0.5, 0.1)) * (1 + 0.3 * g.puff)
    rim = np.float32(0.045 * s)  # radius of its upper corners
    above, beside = line - canvas.y + rim, np.abs(canvas.x - np.float32(mid)) - np.float32(width * s) + rim
    field = np.hypot(np.maximum(above, 0), np.maximum(beside, 0)) + np.minimum(np.maximum(above, beside), 0) - rim
    return np.asarray(np.maximum(field, face - np.float32(0.022 * s * p.beard * (1 + g.puff))), np.float32)


def _moustache(canvas: Canvas, g: Geometry, p: PortraitParams) -> Field | None:
    if p.moustache <= 0:
        return None
    mark, s = g.landmarks, g.scale
    top, bottom = float(mark[33, 1]), float(mark[51, 1])
    half = (0.55 + 0.06 * p.moustache) * float(mark[54, 0] - mark[48, 0])
    t = (canvas.x - np.float32(0.5 * (mark[33, 0] + mark[51, 0]))) / np.float32(half)
    middle = np.float32(0.27 * top + 0.73 * bottom) + np.float32(0.9 * (float(mark[48, 1]) - bottom)) * np.abs(t) ** 1.4
    thick = np.float32((0.30 + 0.12 * p.moustache) * (bottom - top) + 0.005 * s)
    field = np.abs(canvas.y - middle) - thick * np.power(np.clip(1 - t * t, 0, 1), np.float32(0.45))
    return np.asarray(np.maximum(field, (np.abs(t) - 1) * np.float32(half)), np.float32)


def _glasses(canvas: Canvas, g: Geometry, p: PortraitParams) -> Field | None:
    """Return the distance from the line that the rims, bridge and temples follow."""
    if p.glasses <= 0.7:
        return None
    mark, s = g.landmarks, g.scale
    square = 2.2 + 3.0 * (p.glasses - 0.7) / 0.3
    rx, ry = 0.091 * s * g.eye_size[0] ** 0.65, 0.070 * s * g.eye_size[1] ** 0.35  # round a caricature's eyes too
    middles = [mark[first : first + 6].mean(0) + np.array([0.0, 0.008 * s]) for first in (36, 42)]
    left, right = (float(middle[0]) for middle in middles)
    line = np.full_like(canvas.x, 1.0)
    for cx, cy in middles:
        u, v = np.abs(canvas.x - np.float32(cx)) / np.float32(rx), np.abs(canvas.y - np.float32(cy)) / np.float32(ry)
        ratio = np.power(u**square + v**square, np.float32(1 / square))
        line = np.minimum(line, np.abs(ratio - 1) * np.float32(min(rx, ry)))
    height = np.abs(canvas.y - np.float32(np.mean(middles, axis=0)[1] - 0.18 * ry))
    for lo, hi in ((float(g.ears[0, 0]), left - rx), (left + rx, right - rx), (right + rx, float(g.ears[1, 0]))):
        line = np.minimum(line, np.maximum(height, np.maximum(lo - canvas.x, canvas.x - hi)))
    return np.asarray(line, np.float32)


def _body(canvas: Canvas, g: Geometry) -> tuple[Field, Field, Field]:
    """Return the fields of neck, clothes and collar (the opening at the neck)."""
    x, y, s = canvas.x, canvas.y, np.float32(g.scale)
    mid, chin = float(0.5 * (g.ears[0, 0] + g.ears[1, 0])), float(g.landmarks[8, 1])
    t = np.abs(x - np.float32(mid))
    base = np.float32(min(chin + 0.025, 0.955))
    flare = np.clip(y - (base - np.float32(0.06)), 0, None)
    neck = np.maximum(
        t - np.float32(g.neck) - np.float32(1.2) * flare**1.5, np.float32(chin) - np.float32(0.25) * s - y
    )
    out = np.clip((t - np.float32(0.8 * g.neck)) / np.float32(g.shoulders - 0.8 * g.neck), 0, None)
    slope = base + np.float32(0.055) * out + np.float32(0.075) * out**4
    body = np.asarray(np.maximum(slope - y, (t - np.float32(1.15 * g.shoulders))) * np.float32(0.9), np.float32)
    collar = t * np.float32(0.55) + (y - base) * np.float32(0.75) - np.float32(0.55 * g.neck)
    return np.asarray(neck, np.float32), body, np.asarray(collar, np.float32)


def build_head(canvas: Canvas, g: Geometry, p: PortraitParams) -> Head:
    """Lay out the regions of a placed face as signed fields `[n, n]`."""
    face, ratio = polar_field(canvas, g.outline, g.centre)
    rx, ry = 0.038 * g.ear_size, 0.074 * g.ear_size
    ears = np.minimum(*(oval(canvas, float(x), float(y), rx, ry) for x, y in g.ears)) - 1
    neck, body, collar = _body(canvas, g)
    return Head(
        face, ratio, build_hair(canvas, g, p, ratio), np.asarray(ears * np.float32(rx), np.float32), neck, body, collar,
        _beard(canvas, g, p, face), _moustache(canvas, g, p), _glasses(canvas, g, p),
    )  # fmt: skip
