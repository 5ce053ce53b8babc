"""The faces of a caricature run and their codes: found once, projected once, reused while nothing changed."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..data import Source, save_png
from ..device import float32_format, torch_device
from ..errors import UserError
from ..faces import Face, FoundFace, LandmarkProvider, PhotoReport, find_faces, open_landmarks
from ..files import write_text
from ..lock import exclusive
from ..networks import Generator
from ..projection import Codes, find_code_files, read_codes
from .projections import Projections, picture_of
from .settings import CaricatureSettings

LANDMARKS = "landmarks.json"
ALL = slice(None)
KEEP_SECONDS = 20.0  # how much of the search for faces may be lost when the machine stops


@dataclass(frozen=True)
class Subject:
    """A face to caricature."""

    name: str  # of the face
    codes: Codes  # its codes
    picture: Tensor | None = None  # the aligned face, uint8 `[3, r, r]`; None when there are codes alone
    face: FoundFace | None = None  # where it was found
    facts: Mapping[str, Any] = field(default_factory=dict)  # `quality`, `distance`, … of its projection


@dataclass
class Gathered:
    """Subjects, the photographs they come from, and what came of each."""

    subjects: list[Subject]
    photos: Source | None = None
    reports: list[PhotoReport] = field(default_factory=list)
    reused: int = 0


def gather(
    settings: CaricatureSettings,
    base: Generator,
    base_sha256: str,
    out: Path,
    *,
    photos: Source | None = None,
    provider: LandmarkProvider | None = None,
) -> Gathered:
    """Find the faces and their codes.

    The folder `out` gets `faces/`, `codes/`, `landmarks.json` and `projections.json`; codes there are reused while the
    base's file stays the same. `photos` are opened ones, None with codes; no provider is the one that the settings
    name.
    """
    if photos is None:
        assert settings.codes is not None
        gathered = _from_codes(settings.codes, base, base_sha256)
        settings.strengths([subject.name for subject in gathered.subjects])
        return gathered
    start = _start_codes(settings.projection.start, base)
    projections = Projections(out, _protocol(settings, base_sha256, start))
    reports, faces = _find(photos, provider, settings, base.resolution, out / LANDMARKS)
    if not faces:
        lines = [report.line() for report in reports[:4]]
        more = f"; and {len(reports) - 4} more" if len(reports) > 4 else ""
        raise UserError(f"photos={settings.photos}: no usable face: {'; '.join(lines)}{more}")
    settings.strengths([face.name for face in faces])
    for face in faces:
        save_png(out / "faces" / f"{face.name}.png", face.image)
    reused = projections.fill(faces, base, settings, start)
    found = zip(faces, projections.read(faces, base), strict=True)
    subjects = [Subject(face.name, codes, picture_of(face), face, facts) for face, (codes, facts) in found]
    return Gathered(subjects, photos, reports, reused)


def project_part(
    settings: CaricatureSettings, base: Generator, base_sha256: str, out: Path, *, photos: Source, part: slice
) -> None:
    """Find and project the faces of a part of the photographs, for `gather` to go on with."""
    start = _start_codes(settings.projection.start, base)
    projections = Projections(out, _protocol(settings, base_sha256, start))
    _, faces = _find(photos, None, settings, base.resolution, out / LANDMARKS, part)
    projections.fill(faces, base, settings, start)


def _from_codes(path: Path, base: Generator, base_sha256: str) -> Gathered:
    subjects, strangers = [], []
    for file in find_code_files(path):
        for codes in read_codes(file, base):
            if codes.meta.get("base_sha256") not in (None, base_sha256):
                strangers.append(codes.name)
            meta = {k: v for k, v in codes.meta.items() if k in ("quality", "ssim", "distance", "measure")}
            subjects.append(Subject(codes.name, codes, facts=meta))
    names = [subject.name for subject in subjects]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"codes={path}: {twice} is there twice; rename one of the files")
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        print(f"codes      {strangers[0]}{more}: projected into another file than base; faces may differ", flush=True)
    return Gathered(subjects)


def _find(
    photos: Source,
    provider: LandmarkProvider | None,
    settings: CaricatureSettings,
    resolution: int,
    cache: Path,
    part: slice = ALL,
) -> tuple[list[PhotoReport], list[FoundFace]]:
    """Look for faces; without a provider of landmarks, by the one that the settings name."""
    if provider is None and not settings.faces.aligned:
        device = str(torch_device(settings.device))
        provider = open_landmarks(settings.faces.landmarks, photos, device=device, weights_folder=settings.weights)
    known = _read_landmarks(cache)
    reports: list[PhotoReport] = []
    faces: list[FoundFace] = []
    found: dict[str, list[Face]] = {}
    written, finished, backdrop = time.monotonic(), False, settings.backdrop
    try:
        search = find_faces(photos, provider, settings.faces, resolution, backdrop=backdrop, known=known, part=part)
        for report, ours, landmarks in search:
            print(f"photo      {report.line()}", flush=True)
            reports.append(report)
            faces += ours
            found.update(landmarks)
            if time.monotonic() - written > KEEP_SECONDS:
                _write_landmarks(cache, found, among_others=True)
                written = time.monotonic()
        finished = True
    finally:  # what was found is not looked for again, however the search ended
        if found:
            _write_landmarks(cache, found, among_others=not finished or part != ALL)
    return reports, faces


def _write_landmarks(cache: Path, found: Mapping[str, list[Face]], *, among_others: bool) -> None:
    """Keep what was found, with what other processes or earlier runs have found, or alone."""
    with exclusive(cache.with_name(f".{cache.name}.lock")):
        plain = {
            key: [{"landmarks": face.landmarks.tolist(), "score": face.score} for face in faces]
            for key, faces in ((_read_landmarks(cache) if among_others else {}) | dict(found)).items()
        }
        write_text(cache, json.dumps(plain) + "\n")


def _read_landmarks(cache: Path) -> dict[str, list[Face]]:
    """Landmarks found by an earlier run; a damaged file is as good as none."""
    try:
        stored = json.loads(cache.read_text(encoding="utf-8"))
        return {
            key: [Face(np.asarray(f["landmarks"], np.float64).reshape(68, 2), float(f["score"])) for f in faces]
            for key, faces in stored.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _protocol(settings: CaricatureSettings, base_sha256: str, start: Tensor | None) -> dict[str, Any]:
    """What decides the codes of a given picture."""
    from ..projection import perceptual_distance

    measure = perceptual_distance(settings.projection.distance, weights_folder=settings.weights).name
    begin = None if start is None else hashlib.sha256(start.numpy().tobytes()).hexdigest()
    projection = {**asdict(settings.projection.settings), "distance": measure}
    facts = {"base_sha256": base_sha256, "seed": settings.seed, "start": begin, "float32": float32_format()}
    return {**facts, **projection}


def _start_codes(path: str | None, base: Generator) -> Tensor | None:
    if path is None:
        return None
    found = read_codes(path, base)
    if len(found) != 1:
        raise UserError(f"projection.start={path}: codes of one picture are expected, not of {len(found)}")
    return found[0].ws[None]
