"""Geometry of the procedural portraits: parameters, a 3-D face of 68 landmarks, caricature, FFHQ frame.

One seed gives one identity. "people" draws its face as it is, "cartoons" draws the caricature of the same
face: every shape parameter is pushed away from the mean face (Brennan, "Caricature Generator", Leonardo
18(3), 1985) and a style common to all cartoons (big eyes, heavy chin) is added. The picture frame follows
the FFHQ alignment rule (Karras et al., arXiv:1812.04948, appendix A). Coordinates: x to the right, y down,
z to the viewer; before the frame is applied the origin is the middle of the eye line, and 1 is about the
picture's width.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .parameters import PortraitParams, caricature

Array = NDArray[np.float64]

# Half a jaw, from ear (landmark 0) to chin (landmark 8), mirrored for landmarks 16 to 8.
_JAW_X = np.array([0.262, 0.262, 0.256, 0.244, 0.219, 0.181, 0.132, 0.070, 0.0])
_JAW_Y = np.array([-0.010, 0.064, 0.136, 0.208, 0.275, 0.339, 0.394, 0.433, 0.443])
_JAW_CORNER = np.array([0.0, 0.05, 0.2, 0.5, 0.85, 1.0, 1.0, 0.9, 0.0])
_CHEEK = np.array([0.0, 0.15, 0.55, 1.0, 1.0, 0.6, 0.2, 0.0, 0.0])
_CHIN = np.array([0.0, 0.0, 0.02, 0.08, 0.2, 0.42, 0.72, 0.95, 1.0])
_WIDE = 0.07  # of a face's width, at an extreme
_NARROWEST = -1.0  # face into which a caricature's eyes fit
_YAW = 0.22  # radians at an extreme
_ZOOM = 0.92  # of caricatures, about their eyes
_WIDER, _HIGHER = 0.36, 1.35  # are a caricature's eyes


@dataclass(frozen=True)
class Geometry:
    """A face placed in the unit square (0 to 1, x right, y down)."""

    landmarks: Array  # `[68, 2]` in the iBUG 300-W order
    outline: Array  # `[P, 2]`, the closed curve jaw + skull
    centre: Array  # `[2]`, inside it
    pupils: Array  # `[2, 2]`, left to right in the picture
    iris: float  # their radius
    eye_size: Array  # `[2]`, how many times as wide and as high as a person's the eyes are
    skull: Array  # centre `[2]` of the cranium
    skull_size: Array  # its half axes `[2]`
    ears: Array  # `[2, 2]`, their middles
    ear_size: float  # about 1
    neck: float  # half its width
    shoulders: float  # half their width
    puff: float  # 1 where hair has a caricature's volume
    scale: float  # of the frame, about 1 for "people"


def _gap(p: PortraitParams) -> float:
    """Return how far apart the lips are; a caricature's are closed where its person's are."""
    return 0.038 * max(p.mouth_open - 0.02, 0.0)


def _jaw(p: PortraitParams, big: float) -> Array:
    wide = 1.0 + _WIDE * p.face_width + 0.015 * p.build + 0.05 * big
    x = _JAW_X * wide * (1.0 + (0.125 * p.jaw + 0.055 * p.build + 0.03 * big) * _JAW_CORNER)
    x = x * (1.0 + (0.065 * p.cheeks + 0.06 * big) * _CHEEK)
    drop = 0.028 * p.chin + 0.008 * p.build + 0.014 * max(p.mouth_open, -0.3) + (0.030 + 0.5 * _gap(p)) * big
    y = _JAW_Y + _CHIN * drop - 0.01 * p.jaw * _JAW_CORNER
    z = 0.02 - 0.22 * (_JAW_X / 0.262) ** 2
    half = np.stack([-x, y, z], axis=1)
    return np.concatenate([half, (half * [-1, 1, 1])[-2::-1]])


def _brows(p: PortraitParams, big: float) -> Array:
    t = np.linspace(0.0, 1.0, 5)  # from the temple to the nose
    x = -0.192 + 0.136 * t - 0.012 * p.eye_spacing - 0.022 * big * (1 - 0.5 * t)
    lift = 0.070 + 0.008 * p.eye_size + 0.005 * p.smile - 0.006 * p.build + 0.044 * big
    arch = 0.016 - 0.004 * p.build + 0.008 * big
    y = (
        -lift
        - arch * np.sin(np.pi * np.clip(0.10 + 0.86 * (1 - t), 0, 1))
        + 0.016 * p.brow * (t - 0.4)
        + 0.010 * (1 - t)
    )
    z = 0.045 - 0.09 * (1 - t) ** 2
    half = np.stack([x, y, z], axis=1)
    return np.concatenate([half, (half * [-1, 1, 1])[::-1]])


def _nose(p: PortraitParams, big: float) -> Array:
    length = 0.138 + 0.018 * p.nose_length + 0.014 * big
    width = 0.052 + 0.011 * p.nose_width + 0.004 * p.build + 0.022 * big
    t = np.array([0.0, 1 / 3, 2 / 3, 1.0])
    ridge = np.stack([0 * t, 0.004 + (length - 0.004) * t, 0.045 + (0.080 + 0.03 * big) * t], axis=1)
    side = np.linspace(-1.0, 1.0, 5)
    tip = 0.030 + 0.008 * big
    base = np.stack([width * side, length + tip + 0.010 * (1 - side**2), 0.065 - 0.03 * side**2], axis=1)
    return np.concatenate([ridge, base])


def _eyes(p: PortraitParams, big: float) -> tuple[Array, Array]:
    size = max(p.eye_size, -1.0)
    centre = 0.122 + 0.006 * p.eye_spacing + 0.013 * big
    half = (0.055 + 0.0045 * size) * (1.0 + _WIDER * big)
    open_ = (0.0235 + 0.0045 * size - 0.0022 * min(p.smile, 1.0) - 0.0015 * p.age) * (1.0 + _HIGHER * big)
    # From the outer corner over the upper lid to the inner corner, and back along the lower lid.
    x = centre + half * np.array([1.0, 0.45, -0.36, -1.0, -0.42, 0.42])
    y = open_ * np.array([-0.12, -1.0, -1.04, 0.22, 0.76, 0.80]) - 0.006 * p.eye_tilt * (x - centre) / half
    z = 0.015 - 0.05 * np.maximum(x - 0.10, 0.0) / 0.1
    right = np.stack([x, y, z], axis=1)  # right in the picture, outer corner first
    left = right * [-1, 1, 1]
    eyes = np.concatenate([left, right[[3, 2, 1, 0, 5, 4]]])
    pupil = np.array([[-centre, -0.14 * open_, 0.02], [centre, -0.14 * open_, 0.02]])
    return eyes, pupil


def _mouth(p: PortraitParams, big: float) -> Array:
    half = (0.088 + 0.008 * p.mouth + 0.013 * p.smile) * (1.0 + 0.38 * big)
    full = 1.0 + 0.24 * p.lips - 0.14 * p.build + 0.10 * big
    gap = _gap(p)
    corner = 0.270 - 0.014 * p.smile + 0.022 * big
    middle = 0.274 + 0.008 * p.smile + 0.016 * big
    s = np.array([-1.0, -0.62, -0.22, 0.0, 0.22, 0.62, 1.0])
    line = middle + (corner - middle) * s**2
    upper = line - full * np.array([0.0, 0.014, 0.0215, 0.0185, 0.0215, 0.014, 0.0]) - 0.3 * gap * (1 - s**2)
    lower = line + full * 0.030 * (1 - s**2) ** 0.75 + gap * (1 - s**2)
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
    """Centre, half x axis and half y axis of the FFHQ crop of landmarks `[68, 2]` (arXiv:1812.04948, appendix A)."""
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


def _points(p: PortraitParams, big: float) -> Array:
    """Return a head as seen, `[87, 2]`: 68 landmarks, 12 points of the skull, pupils, middle, ears, centre, crown."""
    eyes, pupils = _eyes(p, big)
    face = np.concatenate([_jaw(p, big), _brows(p, big), _nose(p, big), eyes, _mouth(p, big)])
    wide, high = _skull(p, big)
    angle = np.pi * np.linspace(0, 1, 14)[1:-1]
    skull = np.stack([wide * np.cos(angle), -0.01 - high * np.sin(angle), -0.20 + 0.10 * np.sin(angle)], axis=1)
    ear = wide + 0.004 + (0.014 + 0.008 * p.ears) * big
    extra = [[0.0, -0.04, -0.16], [-ear, 0.075, -0.20], [ear, 0.075, -0.20], [0, 0.08, -0.1], [0, -0.01 - high, -0.1]]
    return _turn(np.concatenate([face, skull, pupils, extra]), (_YAW - 0.08 * big) * p.yaw, 0.11 * p.pitch)


def _skull(p: PortraitParams, big: float) -> tuple[float, float]:
    """Return the half width and the height above the eyes of the skull."""
    return 0.258 * (1.0 + _WIDE * p.face_width + 0.015 * p.build + 0.05 * big), 0.350 + 0.024 * p.forehead


def build_geometry(params: PortraitParams, cartoon: bool) -> Geometry:
    """Place the face of an identity, or its caricature with room around it, in the unit square.

    For people the FFHQ quad of the landmarks is the unit square itself. The caricature stands where the person stands:
    eyes on the same line, the rest a little nearer to them, so that there is room for chin and shoulders.
    """
    big = 1.0 if cartoon else 0.0
    own = _points(params, 0.0)
    p = caricature(params) if cartoon else params
    p = replace(p, face_width=max(p.face_width, _NARROWEST))
    flat = _points(p, big) if cartoon else own
    centre, x_axis, y_axis = ffhq_quad(own[:68])
    size = np.hypot(*x_axis)
    flat = (flat - centre) @ np.stack([x_axis, y_axis]).T / (2.0 * size**2) + 0.5
    scale = 1.0 / (2.0 * size)
    if cartoon:
        eyes = flat[36:48].mean(0)
        zoom = min(_ZOOM, (0.925 - eyes[1]) / (flat[8, 1] - eyes[1]), (eyes[1] - 0.10) / (eyes[1] - flat[86, 1]))
        flat, scale = eyes + zoom * (flat - eyes), scale * zoom
    outline = smooth_closed(np.concatenate([flat[:17], flat[68:80]]))
    lids = flat[36:48]
    open_eye = 0.5 * float(lids[[4, 5, 10, 11], 1].mean() - lids[[1, 2, 7, 8], 1].mean())
    radius = 0.135 * float(np.ptp(lids[6:, 0])) + 0.50 * open_eye
    wide, high = _skull(p, big)
    return Geometry(
        landmarks=flat[:68], outline=outline, centre=flat[85], pupils=flat[80:82], iris=radius,
        eye_size=np.array([1.0 + _WIDER * big, 1.0 + _HIGHER * big]), skull=flat[82],
        skull_size=np.array([wide, high - 0.03]) * scale, ears=flat[83:85],
        ear_size=(1.0 + 0.20 * p.ears + 0.45 * big) * scale, neck=(0.128 + 0.022 * p.build - 0.058 * big) * scale,
        shoulders=0.44 + 0.05 * p.build - 0.19 * big, puff=big, scale=scale,
    )  # fmt: skip
