"""Colours of an identity: skin, hair going grey, eyes, clothes, wall. Each is float32 `[3]` in [0, 1]."""

import numpy as np
from numpy.typing import NDArray

from .parameters import PortraitParams, soft_step

Colour = NDArray[np.float32]

_STOPS = np.array([0.0, 0.3, 0.6, 0.85, 1.0])
_SKIN = np.array([[246, 214, 192], [231, 186, 156], [198, 145, 110], [145, 98, 72], [104, 68, 50]]) / 255.0
_HAIR = np.array([[38, 31, 31], [66, 45, 35], [110, 72, 46], [156, 102, 62], [219, 184, 128]]) / 255.0
_GREY = np.array([[200, 197, 192], [214, 208, 198]]) / 255.0
_CLOTH = np.array([[58, 72, 98], [150, 72, 66], [222, 214, 200], [82, 112, 98], [46, 48, 54]]) / 255.0
_WALL = np.array([[186, 174, 160], [150, 164, 170], [166, 172, 150], [140, 146, 162], [188, 168, 152]]) / 255.0


def rgb(r: float, g: float, b: float) -> Colour:
    """Return a colour."""
    return np.array([r, g, b], np.float32)


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """Return a colour between two, a at t = 0."""
    return np.asarray(a + np.float32(t) * (b - a), np.float32)


def _ramp(value: float, colours: NDArray[np.float64]) -> Colour:
    t = 0.5 * value + 0.5
    return np.array([np.interp(t, _STOPS, colours[:, k]) for k in range(3)], dtype=np.float32)


def skin_colour(p: PortraitParams) -> Colour:
    """Return the base colour of the skin."""
    return _ramp(p.skin, _SKIN)


def hair_colour(p: PortraitParams) -> Colour:
    """Return the base colour of the hair: grey from a certain age on."""
    grey = np.array([np.interp(0.5 + 0.5 * p.hair_colour, [0, 1], _GREY[:, k]) for k in range(3)], np.float32)
    return mix(_ramp(p.hair_colour, _HAIR), grey, 0.85 * soft_step(p.age, 0.35, 1.0))


def brow_colour(p: PortraitParams) -> Colour:
    """Return the colour of brows and beard: darker than the hair, and later grey."""
    young = _ramp(p.hair_colour - 0.25, _HAIR)
    return mix(young, rgb(0.66, 0.64, 0.62), 0.75 * soft_step(p.age, 0.45, 1.0))


def eye_colour(p: PortraitParams) -> Colour:
    """Return the colour of the iris: dark brown with dark hair, towards blue-grey with fair hair."""
    return mix(rgb(0.27, 0.16, 0.10), rgb(0.34, 0.47, 0.56), float(np.clip(0.5 + 0.5 * p.hair_colour, 0, 1)))


def cloth_colour(p: PortraitParams) -> Colour:
    """Return the colour of the clothes."""
    return _ramp(p.cloth, _CLOTH)


def wall_colours(p: PortraitParams) -> tuple[Colour, Colour]:
    """Return the wall's colour in the light and in the shade."""
    light = _ramp(p.background, _WALL)
    return light, light * rgb(0.58, 0.59, 0.63)
