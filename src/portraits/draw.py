"""Procedural portraits in two domains that share their identities: "people" and "cartoons".

They are the demo's pictures: a seed gives the same person in both domains, with exact 68 landmarks (iBUG
300-W order). Only numpy is used; the result depends on (domain, seed, resolution) alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .canvas import Canvas, paint_backdrop
from .cartoon import draw_cartoon
from .geometry import Geometry, build_geometry
from .parameters import PortraitParams, sample_params
from .people import draw_people

DOMAINS = ("people", "cartoons")
BACKGROUNDS = ("own", "black")
_USUAL_BACKGROUND = {"people": "own", "cartoons": "black"}


@dataclass(frozen=True)
class Portrait:
    """A drawn portrait."""

    image: NDArray[np.uint8]  # `[H, W, 3]`
    landmarks: NDArray[np.float32]  # `[68, 2]` in pixels (x, y); (0, 0) is the middle of the top left one, as in FFHQ
    params: PortraitParams  # its identity


def _check(domain: str, resolution: int, background: str | None) -> None:
    if domain not in DOMAINS:
        raise UserError(f"Unknown portrait domain {domain!r}: expected one of {', '.join(DOMAINS)}.")
    if not isinstance(resolution, (int, np.integer)) or not 16 <= resolution <= 1024:
        raise UserError(f"Portrait resolution {resolution!r} is unusable: give a whole number, 16 to 1024.")
    if background is not None and background not in BACKGROUNDS:
        raise UserError(f"Unknown portrait background {background!r}: expected one of {', '.join(BACKGROUNDS)}.")


def _draw(
    domain: str, geometry: Geometry, params: PortraitParams, resolution: int, background: str | None
) -> NDArray[np.uint8]:
    factor = max(1, -(-128 // resolution))
    n = resolution * factor
    canvas = Canvas(n, soft=max(1.0 / n, 0.004))
    if (background or _USUAL_BACKGROUND[domain]) == "own":
        paint_backdrop(canvas, params)
    (draw_people if domain == "people" else draw_cartoon)(canvas, geometry, params)
    pixels = canvas.rgb.reshape(3, resolution, factor, resolution, factor).mean(axis=(2, 4), dtype=np.float32)
    return np.ascontiguousarray(np.clip(pixels * 255.0 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0))


def render_portrait(domain: str, seed: int, resolution: int = 64, *, background: str | None = None) -> Portrait:
    """Draw one portrait.

    Args:
        domain: "people" or "cartoons".
        seed: the identity, 0 or more; the same seed is the same person in both domains.
        resolution: pixels a side, 16 to 1024.
        background: "own", a wall of the identity's own colour, or "black"; None for the domain's usual one: people
            have their own, cartoons are on black.

    Raises:
        UserError: unknown domain or background, negative seed or unusable resolution.
    """
    _check(domain, resolution, background)
    if seed < 0:
        raise UserError(f"Portrait seed {seed} is negative: give a whole number from 0.")
    params = sample_params(int(seed))
    geometry = build_geometry(params, domain == "cartoons")
    landmarks = (geometry.landmarks * resolution - 0.5).astype(np.float32)
    return Portrait(_draw(domain, geometry, params, int(resolution), background), landmarks, params)


def render_portraits(
    domain: str, seeds: Iterable[int], resolution: int = 64, *, background: str | None = None
) -> NDArray[np.uint8]:
    """Draw the portraits of several identities, uint8 `[N, H, W, 3]`; otherwise as `render_portrait`."""
    _check(domain, resolution, background)
    images = [render_portrait(domain, seed, resolution, background=background).image for seed in seeds]
    return np.stack(images) if images else np.zeros((0, resolution, resolution, 3), np.uint8)
