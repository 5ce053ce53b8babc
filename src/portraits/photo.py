"""Photographs of procedural portraits: the person smaller and turned in a wider picture, landmarks known exactly."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .draw import render_portrait

MARGIN = 0.35  # of wall around the portrait, in its sides


def render_photograph(
    seed: int, portrait_px: int = 192, *, degrees: float = 0.0
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Draw a person ("people") as a photograph: a wider picture, held askew.

    Args:
        seed: the identity.
        portrait_px: size of the portrait in it.
        degrees: how far it is turned, clockwise.

    Returns:
        uint8 `[H, W, 3]`, and the 68 landmarks `[68, 2]` in its pixels.
    """
    portrait = render_portrait("people", seed, portrait_px)
    border = round(MARGIN * portrait_px)
    wide = np.pad(portrait.image, ((2 * border, 2 * border), (2 * border, 2 * border), (0, 0)), "edge")
    whole = portrait_px + 4 * border
    middle = (whole - 1) / 2
    t = np.deg2rad(degrees)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    turned = Image.fromarray(wide).rotate(-degrees, Image.Resampling.BICUBIC)
    points = (portrait.landmarks.astype(np.float64) + 2 * border - middle) @ turn.T + middle
    picture = np.asarray(turned)[border:-border, border:-border]
    return np.ascontiguousarray(picture), points - border
