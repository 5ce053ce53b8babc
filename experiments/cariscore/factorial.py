"""Portraits whose geometry and rendering are set apart: the ground truth of shape, rendering and landmarks.

`draw_portrait` draws any geometry in any mixture of the two renderings (people's shading, the cartoons' flat colours);
`mixed_geometry` lies between two faces, each part of the face by its own weight. Landmarks are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.portraits.canvas import Canvas, paint_backdrop
from src.portraits.cartoon import draw_cartoon
from src.portraits.geometry import Geometry, build_geometry
from src.portraits.parameters import PortraitParams, sample_params
from src.portraits.people import draw_people

SUPERSAMPLED_PX = 128  # portraits of fewer pixels are drawn at least so large, and reduced
#: Landmarks of each part of the face (iBUG 300-W order), and the other fields of a `Geometry` that go with it.
PARTS: Mapping[str, tuple[slice, tuple[str, ...]]] = {
    "head": (
        slice(0, 17),
        ("outline", "centre", "skull", "skull_size", "ears", "ear_size", "neck", "shoulders", "puff", "scale"),
    ),
    "brows": (slice(17, 27), ()),
    "nose": (slice(27, 36), ()),
    "eyes": (slice(36, 48), ("pupils", "iris", "eye_size")),
    "mouth": (slice(48, 68), ()),
}


def mixed_geometry(a: Geometry, b: Geometry, weights: float | Mapping[str, float]) -> Geometry:
    """Return the face between two, from a (weight 0) to b (1); one weight for all parts, or one for each."""
    if not isinstance(weights, Mapping):
        weights = dict.fromkeys(PARTS, weights)
    values = {field.name: getattr(a, field.name) for field in fields(Geometry)}
    values["landmarks"] = values["landmarks"].copy()
    for part, (points, names) in PARTS.items():
        w = weights[part]
        values["landmarks"][points] = (1 - w) * a.landmarks[points] + w * b.landmarks[points]
        values |= {name: (1 - w) * getattr(a, name) + w * getattr(b, name) for name in names}
    return Geometry(**values)


def moved_geometry(geometry: Geometry, zoom: float, shift: float) -> Geometry:
    """Return a face at another size about the picture's middle, and then further to the right."""
    values = {field.name: getattr(geometry, field.name) for field in fields(Geometry)}
    for name in ("landmarks", "outline", "centre", "pupils", "skull", "ears"):
        values[name] = (values[name] - 0.5) * zoom + [0.5 + shift, 0.5]
    for name in ("iris", "skull_size", "ear_size", "neck", "shoulders", "scale"):
        values[name] = values[name] * zoom
    return Geometry(**values)


def draw_portrait(
    geometry: Geometry, params: PortraitParams, rendering: float, px: int, backdrop: Sequence[float] | None = None
) -> NDArray[np.uint8]:
    """Draw a face.

    Args:
        geometry: where its parts are.
        params: its colours, hair and light.
        rendering: 0 for people's, 1 for the cartoons', between them a mixture of both pictures.
        px: pixels a side.
        backdrop: colour in [0, 1] of the background; None for the identity's own wall.

    Returns:
        uint8 `[3, px, px]`.
    """
    factor = max(1, -(-SUPERSAMPLED_PX // px))
    side = px * factor
    picture = np.zeros([3, px, px], np.float32)
    for weight, draw in ((1 - rendering, draw_people), (rendering, draw_cartoon)):
        if weight == 0:
            continue
        canvas = Canvas(side, soft=max(1.0 / side, 0.004))
        if backdrop is None:
            paint_backdrop(canvas, params)
        else:
            canvas.rgb[:] = np.asarray(backdrop, np.float32)[:, None, None]
        draw(canvas, geometry, params)
        picture += weight * canvas.rgb.reshape(3, px, factor, px, factor).mean(axis=(2, 4), dtype=np.float32)
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def portrait_set(
    seeds: Sequence[int],
    shape: float,
    rendering: float,
    px: int = 64,
    *,
    black: bool = False,
    zoom: float = 1.0,
    shift: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Draw identities with a geometry and a rendering between people (0) and cartoons (1).

    Args:
        seeds: the identities.
        shape: weight of the cartoon's geometry.
        rendering: weight of the cartoon's rendering.
        px: pixels a side.
        black: on black instead of the identity's own wall.
        zoom: size of the faces, 1 as the data set's.
        shift: of the faces to the right, in parts of the side.

    Returns:
        uint8 `[N, 3, px, px]`, and their exact landmarks `[N, 68, 2]` in parts of the side.
    """
    pictures, marks = [], []
    for seed in seeds:
        params = sample_params(int(seed))
        geometry = mixed_geometry(build_geometry(params, False), build_geometry(params, True), shape)
        geometry = moved_geometry(geometry, zoom, shift)
        pictures.append(draw_portrait(geometry, params, rendering, px, (0, 0, 0) if black else None))
        marks.append(geometry.landmarks)
    return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(marks)).float()
