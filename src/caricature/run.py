"""From photographs (or codes) to caricatures, sheet, page and report, in one call.

Processes that run the same command at the same time share the projections; one of them makes the rest.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data import Source, decode_picture, save_jpeg, save_png
from ..errors import UserError
from ..faces import LandmarkProvider, open_photos, paste_back
from ..files import read_json, write_text
from ..lock import exclusive
from ..networks import Precision, slow_format
from ..options import read
from .gather import Gathered, Subject, gather, project_part
from .models import Models, open_models
from .projections import digest_of
from .render import render, render_strengths
from .report import PAGE_FACES, enlargements, page_of, report_of
from .results import REPORT, begin_results, open_photographs, remove_stale, results_folder
from .settings import CaricatureSettings
from .sheet import arrange
from .tuned import tuned_models


@dataclass(frozen=True)
class Result:
    """What was written."""

    folder: Path  # with all of it
    # pictures, reconstructions, caricatures at half and full strength: the first 100 faces; then `sheet-2.jpg`, …
    sheet: Path
    page: Path  # with sliders
    names: list[str]  # of the faces


def main(config: Mapping[str, Any]) -> None:
    """Run as a plain configuration composed from `conf/caricature.yaml` says."""
    result = caricature(read(CaricatureSettings, config))
    print(f"sheet:  {result.sheet}\nreport: {result.page}")


def share(config: Mapping[str, Any], number: int, count: int) -> None:
    """Project the faces in part `number` of `count` of the photographs, for `main` with this `config` to go on."""
    settings = read(CaricatureSettings, config)
    assert settings.photos is not None, "codes are there already"
    models = open_models(settings)
    out = begin_results(settings, models.run_dir)
    photos, part = open_photographs(settings.photos, out, Path(settings.paths.runs)), slice(number, None, count)
    project_part(settings, models.base, models.base_sha256, out, photos=photos, part=part)


def caricature(settings: CaricatureSettings, *, provider: LandmarkProvider | None = None) -> Result:
    """Turn photographs into caricatures; without a provider of landmarks, by the one that the settings name.

    Returns:
        Where the results are: `caricatures/*.png`, `photos/*.jpg` (pasted back; transparent ones `*.png`), `codes/`,
        `faces/`, `sheet.jpg`, `index.html`, `report.json`, `source.json`.

    Raises:
        UserError: for everything that the user can put right.
    """
    if settings.photos is not None:
        open_photos(settings.photos)  # a mistake in it is told before networks are loaded
    models = open_models(settings)
    _check_grid(settings, models)
    with results_folder(settings, models.run_dir) as out:
        return _make(settings, models, out, provider)


def _make(settings: CaricatureSettings, models: Models, out: Path, provider: LandmarkProvider | None) -> Result:
    photos = None if settings.photos is None else open_photographs(settings.photos, out, Path(settings.paths.runs))
    if photos is not None:
        print(f"projecting into the base network {models.base_path} ({models.base.resolution} px)", flush=True)
        if slow := slow_format(Precision(settings.projection.precision), models.base.mapping.w_avg.device):
            print(f"note       {slow}", flush=True)
    gathered = gather(settings, models.base, models.base_sha256, out, photos=photos, provider=provider)
    waited: list[str] = []

    def waiting() -> None:
        waited.append("waiting for another process that renders into this folder")
        print(waited[-1], flush=True)

    with exclusive(out / ".results.lock", waiting=waiting):
        return _show(settings, models, gathered, out, others=bool(waited))


def _show(settings: CaricatureSettings, models: Models, gathered: Gathered, out: Path, *, others: bool) -> Result:
    """Render, paste, write sheets, page and report, unless others who were at it have just made the same."""
    subjects, names = gathered.subjects, [subject.name for subject in gathered.subjects]
    result = Result(out, out / _sheet_name(0), out / "index.html", names)
    codes = [hashlib.sha256(subject.codes.ws.numpy().tobytes()).hexdigest() for subject in subjects]
    made_of = digest_of({"settings": repr(settings), "rendered_in": models.description, "names": names, "codes": codes})
    if others and (out / REPORT).is_file() and read_json(out / REPORT).get("made_of") == made_of:
        print("rendered   by another process that runs the same command", flush=True)
        return result
    if settings.tuning.steps:
        models = tuned_models(
            models, subjects, settings.tuning, settings.projection.distance, out, weights_folder=settings.weights
        )
    before = f" ({gathered.reused} projected before)" if gathered.photos is not None else ""
    print(f"rendering  {len(subjects)} faces{before} in {models.description}", flush=True)
    strengths = settings.strengths(names)
    sheets = _render(models, subjects, strengths, out)
    pasted = _paste(gathered, settings, out) if settings.paste else {}
    warnings = enlargements(gathered, models.base.resolution) if settings.paste else []
    for warning in warnings:
        print(f"note       {warning}", flush=True)
    report = {**report_of(models, gathered, strengths, sheets), "made_of": made_of}
    remove_stale(out, report, list(pasted))
    write_text(result.page, page_of(settings, models, gathered, strengths, pasted, out, warnings=warnings))
    write_text(out / REPORT, json.dumps(report, indent=2) + "\n")
    return result


def _check_grid(settings: CaricatureSettings, models: Models) -> None:
    for r in settings.page.chosen or ():
        if models.recipe is None or models.snapshot is None:
            raise UserError(f"page.resolutions={r}: there is no other blend, the snapshot is gone")
        if r not in models.resolutions():
            known = ", ".join(map(str, models.resolutions()))
            raise UserError(f"page.resolutions={r}: this network's blends are at {known}")


def _render(models: Models, subjects: Sequence[Subject], strengths: Sequence[float], out: Path) -> list[str]:
    """Render the caricatures and sheets, some faces at a time; returns the sheets' names."""
    sheets: list[str] = []
    for first in range(0, len(subjects), PAGE_FACES):
        some, own = subjects[first : first + PAGE_FACES], strengths[first : first + PAGE_FACES]
        half, images = (render_strengths(models, some, [share * strength for strength in own]) for share in (0.5, 1))
        for subject, image in zip(some, images, strict=True):
            save_png(out / "caricatures" / f"{subject.name}.png", image.permute(1, 2, 0))
        sheets.append(_sheet_name(len(sheets)))
        save_jpeg(out / sheets[-1], arrange(_columns(some, render(models.base, some), half, images)), quality=92)
    return sheets


def _sheet_name(index: int) -> str:
    return f"sheet-{index + 1}.jpg" if index else "sheet.jpg"


def _columns(subjects: Sequence[Subject], *rendered: Tensor) -> list[Tensor]:
    pictures = [subject.picture for subject in subjects]
    known = [picture for picture in pictures if picture is not None]
    if len(known) < len(pictures):
        return list(rendered)
    return [torch.stack(known), *rendered]


def _paste(gathered: Gathered, settings: CaricatureSettings, out: Path) -> dict[str, str]:
    """Put the caricatures back; returns the photographs by the files written to `photos/`.

    A photograph with transparent parts keeps its alpha, and becomes a PNG.
    """
    faces: dict[str, list[Subject]] = defaultdict(list)
    for subject in gathered.subjects:
        if subject.face is not None and subject.face.frame is not None:
            faces[subject.face.photo].append(subject)
    pasted: dict[str, str] = {}
    for name, subjects in faces.items():
        photo, alpha = _photo(gathered.photos, name, settings.faces.max_pixels)
        for subject in reversed(subjects):  # the largest face, which is the first, on top
            assert subject.face is not None and subject.face.frame is not None
            image = np.array(Image.open(out / "caricatures" / f"{subject.name}.png"))
            photo = paste_back(photo, image, subject.face.frame, feather=settings.feather)
        stem = out / "photos" / subjects[0].name
        if alpha is None:
            path = save_jpeg(f"{stem}.jpg", photo, quality=95)
        else:
            path = save_png(f"{stem}.png", np.dstack([photo, alpha]))
        pasted[path.name] = name
    return pasted


def _photo(photos: Source | None, name: str, max_pixels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A photograph's own colours, and its alpha."""
    assert photos is not None
    picture = decode_picture(photos.read(name), background=None, max_pixels=max_pixels)
    return picture.rgb, picture.alpha
