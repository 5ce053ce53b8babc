"""The page: each face with sliders over strength and resolution of the blend. One file, nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..data import jpeg_text
from ..tracking import render_page
from .gather import Subject
from .render import Grid, face_text

TEMPLATE = Path(__file__).parent / "templates" / "faces.html"
PHOTO_PX = 900


def write_page(
    title: str,
    description: Sequence[tuple[str, object]],
    subjects: Sequence[Subject],
    reconstructions: Tensor,
    grid: Grid,
    strengths: Sequence[float],
    *,
    pasted: Mapping[str, np.ndarray] | None = None,
    photos: Sequence[Sequence[str]] = (),
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Make the page, HTML.

    Args:
        title: of it.
        description: names and values: which networks, which settings.
        subjects: the faces.
        reconstructions: of their codes by the base network, uint8 `[N, 3, r, r]`.
        grid: pictures behind the sliders.
        strengths: of each face, where its slider stands at first.
        pasted: photographs with caricatures, by name.
        photos: rows (photograph, faces, why not) of the report, as text.
        warnings: sentences that nobody should miss.
        notes: what the page does not show, sentences.
    """
    everywhere = sorted({stop for stops in grid.stops for stop in stops})
    return render_page(
        TEMPLATE,
        title=title,
        facts_of_page=description,
        faces=[_face(i, subject, reconstructions[i], grid, strengths[i]) for i, subject in enumerate(subjects)],
        every_face=_dial(everywhere, strengths[0] if len(set(strengths)) == 1 else 1.0),
        grid=grid,
        stored={"stops": grid.stops, "resolutions": grid.resolutions, "faces": grid.pictures},
        pasted={name: jpeg_text(image, PHOTO_PX) for name, image in (pasted or {}).items()},
        photos=photos,
        warnings=warnings,
        notes=notes,
    )


def _face(index: int, subject: Subject, reconstruction: Tensor, grid: Grid, strength: float) -> dict[str, Any]:
    """What the template shows of a face; pictures in base64."""
    return {
        "name": subject.name,
        "picture": None if subject.picture is None else face_text(subject.picture),
        "reconstruction": face_text(reconstruction),
        "now": grid.pictures[index][grid.chosen][grid.stops[index].index(strength)],
        "dial": _dial(grid.stops[index], strength),
        "measured": {
            name: value
            for name, value in (("quality", subject.facts.get("quality")), ("SSIM", subject.facts.get("ssim")))
            if value is not None
        },
    }


def _dial(stops: Sequence[float], strength: float) -> dict[str, float]:
    """The ends of a strength slider, and where it stands."""
    return {"low": stops[0], "high": stops[-1], "value": min(max(strength, stops[0]), stops[-1])}
