"""Geometry of the procedural portraits: parameters, a 3-D face of 68 landmarks, caricature, FFHQ frame.

One seed gives one identity. "people" draws its face as it is, "cartoons" draws the caricature of the same
face: every shape parameter is pushed away from the mean face (Brennan, "Caricature Generator", Leonardo
18(3), 1985) and a style common to all cartoons (big eyes, heavy chin) is added. The picture frame follows
the FFHQ alignment rule (Karras et al., arXiv:1812.04948, appendix A). Coordinates: x to the right, y down,
z to the viewer; before the frame is applied the origin is the middle of the eye line, and 1 is about the
picture's width.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Half a jaw, from ear (landmark 0) to chin (landmark 8), mirrored for landmarks 16 to 8.
_JAW_X = np.array([0.262, 0.262, 0.256, 0.244, 0.222, 0.187, 0.138, 0.073, 0.0])
_JAW_Y = np.array([-0.010, 0.064, 0.136, 0.208, 0.275, 0.339, 0.394, 0.433, 0.443])
_JAW_CORNER = np.array([0.0, 0.05, 0.2, 0.5, 0.85, 1.0, 1.0, 0.9, 0.0])
_CHIN = np.array([0.0, 0.0, 0.02, 0.08, 0.2, 0.42, 0.72, 0.95, 1.0])


@dataclass(frozen=True)
class PortraitParams:
    """The degrees of freedom of a portrait; each is in [-1, 1] and 0 is the mean face."""

    face_width: float
    jaw: float
    chin: float
    eye_size: float
    eye_spacing: float
    brow: float
    nose: float
    mouth: float
    smile: float
    mouth_open: float
    yaw: float
    pitch: float
    skin: float
    hair_colour: float
    hair_length: float
    hair_part: float
    light: float
    background: float


@dataclass(frozen=True)
class Geometry:
    """A face placed in the unit square (0 to 1, x right, y down)."""

    landmarks: Array  # `[68, 2]` in the iBUG 300-W order
    outline: Array  # `[P, 2]`, the closed curve jaw + skull
    centre: Array  # `[2]`, inside it
    pupils: Array  # `[2, 2]`, left to right in the picture
    iris: float  # their radius
    skull: Array  # centre `[2]` of the cranium
    skull_size: Array  # its half axes `[2]`
    ears: Array  # `[2, 2]`
    scale: float  # of the frame, about 1 for "people"


def sample_params(seed: int) -> PortraitParams:
    """Draw the identity of a seed by the raw PCG64 stream: the same on every machine and numpy."""
    raw = np.random.PCG64(seed).random_raw(36) >> np.uint64(11)
    uniform = raw.astype(np.float64) * 2.0**-53
    tri = uniform[:18] + uniform[18:] - 1.0  # triangular on [-1, 1]: extremes are rare
    flat = 2.0 * uniform[:18] - 1.0
    value = {field.name: float(tri[i]) for i, field in enumerate(fields(PortraitParams))}
    for i, field in enumerate(fields(PortraitParams)):
        if field.name in ("skin", "hair_colour", "hair_length", "smile", "light", "background"):
            value[field.name] = float(flat[i])
    value["smile"] = 0.4 + 0.6 * value["smile"]  # the mean face is friendly
    value["hair_colour"] = min(value["hair_colour"], 1.0 - 1.1 * max(value["skin"], 0.0))  # dark skin, dark hair
    return PortraitParams(**value)


def caricature(params: PortraitParams, strength: float = 2.1) -> PortraitParams:
    """Push the shape of a face away from the mean face (Brennan 1985) by a factor; colours, light and hair stay.

    The parameters may leave [-1, 1].
    """
    shape = ("face_width", "jaw", "chin", "eye_size", "brow", "nose", "mouth", "smile", "mouth_open")
    return replace(params, **{name: getattr(params, name) * strength for name in shape})


def _jaw(p: PortraitParams, heavy: float) -> Array:
    wide = (1.0 + 0.075 * p.face_width) * (1.0 + 0.06 * heavy)
    x = _JAW_X * wide * (1.0 + (0.13 * p.jaw + 0.14 * heavy) * _JAW_CORNER)
    y = _JAW_Y + _CHIN * (0.025 * p.chin + 0.020 * max(p.mouth_open, -0.3) + 0.045 * heavy) - 0.01 * p.jaw * _JAW_CORNER
    z = 0.02 - 0.22 * (_JAW_X / 0.262) ** 2
    half = np.stack([-x, y, z], axis=1)
    return np.concatenate([half, (half * [-1, 1, 1])[-2::-1]])


def _brows(p: PortraitParams, big: float) -> Array:
    t = np.linspace(0.0, 1.0, 5)  # from the temple to the nose
    x = -0.196 + 0.140 * t - 0.020 * p.eye_spacing - 0.012 * big * (1 - t)
    lift = 0.074 + 0.010 * p.eye_size + 0.012 * p.smile * 0.5 + 0.042 * big
    y = (
        -lift
        - 0.020 * np.sin(np.pi * np.clip(0.12 + 0.80 * (1 - t), 0, 1))
        + 0.018 * p.brow * (t - 0.35)
        + 0.012 * (1 - t)
    )
    z = 0.045 - 0.09 * (1 - t) ** 2
    half = np.stack([x, y, z], axis=1)
    return np.concatenate([half, (half * [-1, 1, 1])[::-1]])


def _nose(p: PortraitParams, big: float) -> Array:
    length = 0.140 + 0.016 * p.nose + 0.010 * big
    width = 0.060 + 0.011 * p.nose + 0.006 * big
    t = np.array([0.0, 1 / 3, 2 / 3, 1.0])
    ridge = np.stack([0 * t, 0.004 + (length - 0.004) * t, 0.045 + 0.080 * t], axis=1)
    side = np.linspace(-1.0, 1.0, 5)
    base = np.stack([width * side, length + 0.030 + 0.010 * (1 - side**2), 0.065 - 0.03 * side**2], axis=1)
    return np.concatenate([ridge, base])


def _eyes(p: PortraitParams, big: float) -> tuple[Array, Array]:
    size = max(p.eye_size, -0.9)
    centre = 0.122 + 0.008 * p.eye_spacing + 0.006 * big
    half = (0.056 + 0.006 * size) * (1.0 + 0.48 * big)
    open_ = (0.0255 + 0.0055 * size - 0.0022 * min(p.smile, 1.0)) * (1.0 + 1.55 * big)
    # From the outer corner over the upper lid to the inner corner, and back along the lower lid.
    x = centre + half * np.array([1.0, 0.42, -0.36, -1.0, -0.40, 0.40])
    y = open_ * np.array([-0.22, -1.0, -1.02, 0.26, 0.74, 0.78])
    z = 0.015 - 0.05 * np.maximum(x - 0.10, 0.0) / 0.1
    right = np.stack([x, y, z], axis=1)  # right in the picture, outer corner first
    left = right * [-1, 1, 1]
    eyes = np.concatenate([left, right[[3, 2, 1, 0, 5, 4]]])
    pupil = np.array([[-centre, -0.10 * open_, 0.02], [centre, -0.10 * open_, 0.02]])
    return eyes, pupil


def _mouth(p: PortraitParams, big: float) -> Array:
    half = (0.090 + 0.008 * p.mouth + 0.013 * p.smile) * (1.0 + 0.12 * big)
    full = 1.0 + 0.30 * p.mouth
    gap = 0.036 * max(p.mouth_open - 0.05, 0.0) * (1.0 + 0.25 * big)
    corner = 0.269 - 0.014 * p.smile
    middle = 0.274 + 0.008 * p.smile
    s = np.array([-1.0, -0.62, -0.22, 0.0, 0.22, 0.62, 1.0])
    line = middle + (corner - middle) * s**2
    upper = line - full * np.array([0.0, 0.017, 0.0265, 0.0235, 0.0265, 0.017, 0.0]) - 0.3 * gap * (1 - s**2)
    lower = line + full * 0.034 * (1 - s**2) ** 0.75 + gap * (1 - s**2)
    inner = np.array([-0.80, -0.36, 0.0, 0.36, 0.80])
    mid = middle + (corner - middle) * inner**2
    open_ = np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    top, bottom = mid - 0.3 * gap * open_, mid + gap * open_

    def lift(s: Array, y: Array) -> Array:
        return np.stack([half * s, y, 0.065 - 0.065 * s**2], axis=1)

    return np.concatenate([lift(s, upper), lift(s, lower)[5:0:-1], lift(inner, top), lift(inner, bottom)[3:0:-1]])


def _turn(points: Array, yaw: float, pitch: float) -> Array:
    x, y, z = (points - [0.0, 0.1, -0.22]).T
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    y = y * np.cos(pitch) + z * np.sin(pitch)
    return np.stack([x, y + 0.1], axis=1)


def ffhq_quad(landmarks: Array) -> tuple[Array, Array, Array]:
    """Centre, half x axis and half y axis of the FFHQ crop of landmarks [68, 2] (arXiv:1812.04948, appendix A)."""
    left, right = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
    eye, across = (left + right) / 2, right - left
    down = (landmarks[48] + landmarks[54]) / 2 - eye
    x = across - np.array([-down[1], down[0]])
    x = x / np.hypot(*x) * max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down))
    return eye + 0.1 * down, x, np.array([-x[1], x[0]])


def smooth_closed(points: Array, steps: int = 6) -> Array:
    """Return a closed Catmull-Rom curve [P * steps, 2] through the points [P, 2]."""
    a, b, c, d = (np.roll(points, k, axis=0)[:, None] for k in (1, 0, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.asarray(curve.reshape(-1, 2))


def build_geometry(params: PortraitParams, cartoon: bool) -> Geometry:
    """Place the face of an identity, or its caricature with room around it, in the unit square.

    For people the FFHQ quad of the landmarks is the unit square itself.
    """
    p = caricature(params) if cartoon else params
    p = replace(p, face_width=max(p.face_width, -1.1))  # big eyes must fit in
    big = 1.0 if cartoon else 0.0
    eyes, pupils = _eyes(p, big)
    face = np.concatenate([_jaw(p, big), _brows(p, big), _nose(p, big), eyes, _mouth(p, big)])
    wide = 0.262 * (1.0 + 0.075 * p.face_width) * (1.0 + 0.06 * big)
    angle = np.pi * np.linspace(0, 1, 14)[1:-1]
    skull = np.stack([wide * np.cos(angle), -0.01 - 0.355 * np.sin(angle), -0.20 + 0.10 * np.sin(angle)], axis=1)
    extra = np.array(
        [[0.0, -0.04, -0.16], [-wide - 0.004, 0.075, -0.20], [wide + 0.004, 0.075, -0.20], [0, 0.08, -0.1]]
    )
    yaw = (0.20 if cartoon else 0.27) * p.yaw
    flat = _turn(np.concatenate([face, skull, pupils, extra]), yaw, 0.13 * p.pitch)
    centre, x_axis, y_axis = ffhq_quad(flat[:68])
    size, zoom = np.hypot(*x_axis), 1.0
    axes = np.stack([x_axis, y_axis]) / size
    flat = (flat - centre) @ axes.T / (2.0 * size)
    if cartoon:
        zoom = min(0.88, 0.83 / float(np.ptp(flat[:80, 1]) + 0.09))  # crown with hair to chin
        flat = flat * zoom
        up, down = float(flat[:80, 1].min()) - 0.09 * zoom, float(flat[8, 1])
        flat = flat + [0.0, float(np.clip(-0.008, -0.435 - up, 0.435 - down))]  # noqa: RUF005 (an addition of arrays)
    flat = flat + 0.5
    scale = zoom / (2.0 * size)
    outline = smooth_closed(np.concatenate([flat[:17], flat[68:80]]))
    lids = flat[36:48]
    open_eye = 0.5 * float(lids[[4, 5, 10, 11], 1].mean() - lids[[1, 2, 7, 8], 1].mean())
    radius = 0.135 * float(np.ptp(lids[6:, 0])) + 0.50 * open_eye
    return Geometry(
        landmarks=flat[:68], outline=outline, centre=flat[85], pupils=flat[80:82], iris=radius,
        skull=flat[82], skull_size=np.array([wide, 0.335]) * scale, ears=flat[83:85], scale=scale,
    )  # fmt: skip
