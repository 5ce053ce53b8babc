"""From photographs (or codes) to caricatures, sheet, page and report, in one call."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import save_jpeg, save_png
from ..data.images import decode_picture
from ..data.sources import Source
from ..errors import UserError
from ..faces import LandmarkProvider, paste_back
from ..files import write_text
from ..weights import configure
from .gather import Gathered, Subject, gather
from .models import Models, open_models
from .options import settings_of_config
from .page import write_page
from .render import render, render_grid, render_strengths
from .settings import CaricatureSettings
from .sheet import arrange
from .tuned import tuned_models

FOLDER = "caricatures"
PAGE_PHOTOS = 24


@dataclass(frozen=True)
class Result:
    """What was written.

    Attributes:
        folder: with all of it.
        sheet: pictures side by side.
        page: with sliders.
        names: of the faces.
        caricatures: uint8 `[N, 3, r, r]`.
    """

    folder: Path
    sheet: Path
    page: Path
    names: list[str]
    caricatures: Tensor


def main(config: Mapping[str, Any]) -> None:
    """Run as a plain configuration composed from `conf/caricature.yaml` says."""
    settings = settings_of_config(config)
    configure(**config["weights"])
    result = caricature(settings, runs=Path(config["paths"]["runs"]))
    print(f"sheet:  {result.sheet}\nreport: {result.page}")


def caricature(settings: CaricatureSettings, *, runs: Path, provider: LandmarkProvider | None = None) -> Result:
    """Turn photographs into caricatures.

    Args:
        settings: what to do.
        runs: folder of the runs.
        provider: of landmarks; None for the one that the settings name.

    Returns:
        Where the results are: `caricatures/*.png`, `photos/*.jpg` (pasted back), `codes/`, `faces/`, `sheet.jpg`,
        `index.html`, `report.json`.

    Raises:
        UserError: for everything that the user can put right.
    """
    models = open_models(settings, runs)
    _check_grid(settings, models)
    out = _folder(settings, models)
    if settings.photos is not None:
        print(f"projecting into the base network {models.base_path} ({models.base.resolution} px)", flush=True)
    gathered = gather(settings, models.base, models.base_sha256, out, provider=provider)
    subjects = gathered.subjects
    if settings.tuning.steps:
        models = tuned_models(models, subjects, settings.tuning, settings.projection.distance, out)
    strengths = settings.strengths([subject.name for subject in subjects])
    before = f" ({gathered.reused} projected before)" if settings.photos is not None else ""
    print(f"rendering  {len(subjects)} faces{before} in {models.description}", flush=True)
    images = render_strengths(models, subjects, strengths)
    for subject, image in zip(subjects, images, strict=True):
        save_png(out / "caricatures" / f"{subject.name}.png", image.permute(1, 2, 0))
    pasted = _paste(gathered, images, settings, out) if settings.paste else {}
    reconstructions = render(models.base, subjects)
    sheet = save_jpeg(out / "sheet.jpg", arrange(_columns(subjects, reconstructions, images)), quality=92)
    grid = render_grid(models, subjects, settings.page_strengths, settings.page_resolutions)
    _write_report(out, settings, models, gathered, strengths)
    rows = [[r.photo, ", ".join(r.used), "; ".join(r.refused)] for r in gathered.reports]
    html = write_page(
        f"caricatures of {Path(str(settings.photos or settings.codes)).name}",
        _description(settings, models),
        subjects,
        reconstructions,
        grid,
        strengths,
        pasted=pasted,
        photos=_escaped(rows),
    )
    page = write_text(out / "index.html", html)
    return Result(out, sheet, page, [subject.name for subject in subjects], images)


def _check_grid(settings: CaricatureSettings, models: Models) -> None:
    known = models.resolutions()
    for r in settings.page_resolutions or ():
        if r not in known:
            raise UserError(f"page.resolutions={r}: this network's blends are at {', '.join(map(str, known))}")


def _folder(settings: CaricatureSettings, models: Models) -> Path:
    if settings.out is not None:
        return Path(settings.out)
    name = Path(str(settings.photos or settings.codes)).resolve().stem or FOLDER
    return (models.run_dir or Path()) / FOLDER / name


def _columns(subjects: Sequence[Subject], reconstructions: Tensor, images: Tensor) -> list[Tensor]:
    pictures = [subject.picture for subject in subjects]
    known = [picture for picture in pictures if picture is not None]
    if len(known) < len(pictures):
        return [reconstructions, images]
    return [torch.stack(known), reconstructions, images]


def _paste(gathered: Gathered, images: Tensor, settings: CaricatureSettings, out: Path) -> dict[str, np.ndarray]:
    """Put the caricatures back; returns the first photographs, for the page."""
    faces: dict[str, list[int]] = defaultdict(list)
    for i, subject in enumerate(gathered.subjects):
        if subject.face is not None and subject.face.frame is not None:
            faces[subject.face.photo].append(i)
    shown: dict[str, np.ndarray] = {}
    for name, indices in faces.items():
        photo = _photo(gathered.photos, name)
        for i in reversed(indices):  # the largest face, which is the first, on top
            face = gathered.subjects[i].face
            assert face is not None and face.frame is not None
            photo = paste_back(photo, images[i].permute(1, 2, 0).numpy(), face.frame, feather=settings.feather)
        save_jpeg(out / "photos" / f"{gathered.subjects[indices[0]].name}.jpg", photo, quality=95)
        if len(shown) < PAGE_PHOTOS:
            shown[name] = photo
    return shown


def _photo(photos: Source | None, name: str) -> np.ndarray:
    assert photos is not None
    return decode_picture(photos.read(name)).rgb


def _description(settings: CaricatureSettings, models: Models) -> list[tuple[str, object]]:
    return [
        ("rendered in", models.description),
        ("projected into", f"{models.base_path} (the base network: real faces lie in its range)"),
        ("space", settings.projection.space.upper()),
        ("steps", settings.projection.steps),
        ("noise maps", "optimised" if settings.projection.noise else "the network's"),
        ("strength", settings.strength),
        ("base sha256", models.base_sha256),
    ]


def _write_report(
    out: Path, settings: CaricatureSettings, models: Models, gathered: Gathered, strengths: Sequence[float]
) -> None:
    report = {
        "photos": [r.as_dict() for r in gathered.reports],
        "faces": [
            {
                "name": subject.name,
                "strength": strength,
                **({} if subject.face is None else {"photo": subject.face.photo}),
                **{
                    k: v
                    for k, v in subject.facts.items()
                    if k in ("quality", "distance", "average_face", "measure", "steps")
                },
                **(vars(subject.face.quality) if subject.face is not None and subject.face.quality else {}),
            }
            for subject, strength in zip(gathered.subjects, strengths, strict=True)
        ],
        "rendered_in": models.description,
        "base": str(models.base_path),
        "base_sha256": models.base_sha256,
        "reused": gathered.reused,
    }
    write_text(out / "report.json", json.dumps(report, indent=2) + "\n")


def _escaped(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[escape(cell) for cell in row] for row in rows]
