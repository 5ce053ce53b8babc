"""What a caricature run says of itself: `report.json`, and the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data import Backdrop
from ..faces import readable
from .gather import Gathered
from .models import Models
from .page import write_page
from .render import FACE_PX, render, render_grid
from .settings import CaricatureSettings

PAGE_FACES = 100  # of the page, and of one sheet
PAGE_PHOTOS = 24
ENLARGED = 4  # times from which a face looks blurred in its photograph
NAMED_FACES = 4  # in a sentence


def report_of(models: Models, gathered: Gathered, strengths: Sequence[float], sheets: Sequence[str]) -> dict[str, Any]:
    """The content of `report.json`: photographs, faces with what was measured of them, networks, sheets."""
    return {
        "photos": [r.as_dict() for r in gathered.reports],
        "faces": [
            {
                "name": subject.name,
                "strength": strength,
                **({} if subject.face is None else {"photo": subject.face.photo}),
                **{
                    k: v
                    for k, v in subject.facts.items()
                    if k in ("quality", "ssim", "distance", "average_face", "measure", "steps")
                },
                **(vars(subject.face.quality) if subject.face is not None and subject.face.quality else {}),
            }
            for subject, strength in zip(gathered.subjects, strengths, strict=True)
        ],
        "sheets": list(sheets),
        "rendered_in": models.description,
        "artifact": models.artifact,
        "base": str(models.base_path),
        "base_sha256": models.base_sha256,
        "reused": gathered.reused,
    }


def page_of(
    settings: CaricatureSettings,
    models: Models,
    gathered: Gathered,
    strengths: Sequence[float],
    pasted: Mapping[str, str],
    out: Path,
    *,
    warnings: Sequence[str] = (),
) -> str:
    """The page, HTML, of the first faces and photographs.

    `pasted` are photographs by their files in `photos/` of the folder `out`; `warnings` are sentences that nobody
    should miss.
    """
    subjects, own = gathered.subjects[:PAGE_FACES], strengths[:PAGE_FACES]
    shown = dict(list(pasted.items())[:PAGE_PHOTOS])
    notes = [
        f"Download saves a caricature as it is shown, at most {FACE_PX} px. Between two rendered strengths it is "
        "a mix of both; strength= renders any one, in full size and in the photograph."
    ]
    if len(gathered.subjects) > len(subjects):
        notes.append(f"The first {len(subjects)} of {len(gathered.subjects)} faces; all are in caricatures/.")
    if len(pasted) > len(shown):
        notes.append(f"The first {len(shown)} of {len(pasted)} photographs; all are in photos/.")
    pictures = {readable(photo): _opaque(out / "photos" / file, settings.backdrop) for file, photo in shown.items()}
    rows = [[readable(r.photo), ", ".join(r.used), "; ".join(r.refused)] for r in gathered.reports]
    return write_page(
        readable(f"caricatures of {Path(str(settings.photos or settings.codes)).name}"),
        _description(settings, models),
        subjects,
        render(models.base, subjects),
        render_grid(models, subjects, own, settings.page.strengths, settings.page.chosen),
        own,
        pasted=pictures,
        photos=rows,
        warnings=warnings,
        notes=notes,
    )


def _opaque(path: Path, backdrop: Backdrop) -> np.ndarray:
    """A picture as uint8 `[H, W, 3]`, its transparent parts on a backdrop."""
    with Image.open(path) as picture:
        if picture.mode != "RGBA" or backdrop.behind is None:
            return np.asarray(picture.convert("RGB"))
        ground = Image.fromarray(backdrop.canvas(*picture.size))
        ground.paste(picture, mask=picture)
    return np.asarray(ground)


def enlargements(gathered: Gathered, resolution: int) -> list[str]:
    """Warn of faces that are much larger in their photographs than the network's `resolution`: a sentence, or none."""
    sizes = {s.name: s.face.frame.size_px for s in gathered.subjects if s.face is not None and s.face.frame is not None}
    blurred = {name: size / resolution for name, size in sizes.items() if size > ENLARGED * resolution}
    if not blurred:
        return []
    largest = sorted(blurred, key=lambda name: -blurred[name])
    named = ", ".join(f"{readable(name)} {blurred[name]:.0f} times" for name in largest[:NAMED_FACES])
    more = f" and {len(largest) - NAMED_FACES} more" if len(largest) > NAMED_FACES else ""
    return [
        f"The network's pictures have {resolution} px: enlarged to their photographs' size, faces are blurred there "
        f"({named}{more}). A network of more pixels, or smaller photographs, keeps them sharp."
    ]


def _description(settings: CaricatureSettings, models: Models) -> list[tuple[str, object]]:
    base, projection = readable(str(models.base_path)), settings.projection.settings
    how: list[tuple[str, object]] = [("codes", readable(str(settings.codes))), ("base network", base)]
    if settings.photos is not None:
        how = [
            ("projected into", f"{base} (the base network: real faces lie in its range)"),
            ("space", projection.space.upper()),
            ("steps", projection.steps),
            ("noise maps", "optimised" if projection.noise else "the network's"),
            ("quality", "1 the picture itself, 0 the average face, by the distance that the projection minimised"),
            ("SSIM", "structural similarity of picture and reconstruction, which it did not minimise; 1 for equals"),
        ]
    return [
        ("rendered in", models.description),
        *([] if models.artifact is None else [("in Weights & Biases", models.artifact)]),
        *how,
        ("strength", settings.strength),
        ("base sha256", models.base_sha256),
    ]
