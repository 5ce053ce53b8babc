"""Photographs to aligned faces, with a report of what was found in each, what was refused, and why."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data import Backdrop, BadPicture, DecodedPicture, Source, decode_picture
from ..errors import UserError
from .align import OUTPUT_PX, Frame, align_face, ffhq_quad
from .face import Face, LandmarkProvider
from .photos import picture_names
from .quality import FaceQuality, measure_face, why_refused
from .settings import FaceSettings

TRANSFORM_FACTOR = 4
QUARTER_TURNS = (1, 3, 2)  # in the order in which they are tried: cameras held on their side, then upside down
WHITE = Backdrop("white", (255, 255, 255))
MAX_NAME_BYTES = 120  # of a face's name: file systems take 255, and other names are made of it


@dataclass(frozen=True)
class FoundFace:
    """An aligned face."""

    # unique among the photographs: the photograph's stem, with `-2`, `-3`, … for further faces; a very long name is
    # shortened, one that is no UTF-8 is mended, and both end in a hash
    name: str
    photo: str  # name of the photograph's file
    image: NDArray[np.uint8]  # uint8 `[r, r, 3]`
    frame: Frame | None = None  # where it was cut out; None for a picture that was aligned already
    quality: FaceQuality | None = None  # as measured; None for a picture that was aligned already


@dataclass
class PhotoReport:
    """What came of one photograph."""

    photo: str  # name of its file
    found: int = 0  # faces in it
    used: list[str] = field(default_factory=list)  # names of those that are used
    refused: list[str] = field(default_factory=list)  # reasons, one a face that is not, or one for the whole photograph
    notes: list[str] = field(default_factory=list)  # what had to be done to read it
    turned_deg: int | None = None  # by which its largest face is turned, a multiple of 90; None for an upright one
    sha256: str | None = None  # of the file; None when it cannot be read

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {key: value for key, value in vars(self).items() if value not in (None, [])}

    def line(self) -> str:
        """One line for the terminal."""
        used = f"{len(self.used)} of {self.found} faces used" if self.found else "no face used"
        used += "" if self.turned_deg is None else f", turned by {self.turned_deg} degrees"
        reasons = [reason if n == 1 else f"{n} times {reason}" for reason, n in Counter(self.refused).items()]
        return f"{readable(self.photo)}: {used}" + (f" ({'; '.join(reasons)})" if reasons else "")


def find_faces(
    photos: Source,
    provider: LandmarkProvider | None,
    settings: FaceSettings,
    resolution: int,
    *,
    backdrop: Backdrop = WHITE,
    known: Mapping[str, list[Face]] | None = None,
    part: slice = slice(None),
) -> Iterator[tuple[PhotoReport, list[FoundFace], dict[str, list[Face]]]]:
    """Look for faces, a photograph at a time.

    Args:
        photos: see `open_photos`.
        provider: of landmarks; None for pictures that are aligned already.
        settings: which faces.
        resolution: px a side of the faces: the network's; a UserError where they would be cut out smaller.
        backdrop: behind transparent photographs.
        known: landmarks found earlier, by `landmark_key`.
        part: which of the photographs. Faces have the names that they have among all; a photograph's second or further
            one alone may have another, where among all an earlier photograph's has taken its name.

    Yields:
        A photograph's report, its usable faces, and the landmarks found under their key. A photograph that cannot be
        used is a report with its reason, never an exception.
    """
    if settings.align_px < resolution:
        raise UserError(
            f"faces.align_px={settings.align_px}: at least the network's {resolution} px; FFHQ's is {OUTPUT_PX}"
        )
    names = picture_names(photos)
    stems = _stems(names)
    taken = set(stems.values())
    for name in names[part]:
        report = PhotoReport(name)
        faces: list[FoundFace] = []
        found: dict[str, list[Face]] = {}
        try:
            data = photos.read(name)
            report.sha256 = hashlib.sha256(data).hexdigest()
            picture = decode_picture(data, background=backdrop.behind, max_pixels=settings.max_pixels)
            report.notes = picture.notes
            if provider is None:
                faces = [_aligned(picture.rgb, name, resolution, stems[name])]
                report.found = 1
            else:
                key = landmark_key(provider, name, report.sha256, picture.reduction)
                if picture.alpha is not None:
                    key += f" on {backdrop.sha256 or backdrop.option}"
                landmarks = (known or {}).get(key)
                found[key] = _look(provider, picture, name) if landmarks is None else landmarks
                faces = _cut_out(picture.rgb, found[key], settings, resolution, report, stems[name], taken)
        except BadPicture as error:
            report.refused.append(str(error))
        report.used = [face.name for face in faces]
        taken.update(report.used)
        yield report, faces, found


def readable(name: str) -> str:
    """Return a file's name with `_` for each byte that is no UTF-8, as in Latin-1 names."""
    return re.sub(r"[\ud800-\udfff]", "_", name)


def landmark_key(provider: LandmarkProvider, name: str, sha256: str, reduction: int = 1) -> str:
    """Name of a photograph's landmarks in a cache."""
    return f"{sha256} {provider.identity(name)}" + (f" 1/{reduction}" if reduction > 1 else "")


def _look(provider: LandmarkProvider, picture: DecodedPicture, name: str) -> list[Face]:
    """The faces of a picture; where none is upright, those that are when it is turned by quarters."""
    faces = [face.reduced(picture.reduction) for face in provider.find(picture.rgb, name)]
    for turns in QUARTER_TURNS:
        if faces:
            break
        turned = provider.find(np.ascontiguousarray(np.rot90(picture.rgb, turns)), name)
        faces = [Face(_turned_back(face.landmarks, turns, picture.rgb.shape), face.score) for face in turned]
    return faces


def _turned_back(points: NDArray[np.float64], turns: int, shape: Sequence[int]) -> NDArray[np.float64]:
    """Points (x, y) in a picture after `turns` of `np.rot90` as those in the picture of this shape before."""
    for turn in reversed(range(turns)):
        width = shape[1 - turn % 2]
        points = np.stack([width - 1 - points[:, 1], points[:, 0]], axis=1)
    return points


def _aligned(rgb: NDArray[np.uint8], name: str, side: int, stem: str) -> FoundFace:
    height, width = rgb.shape[:2]
    if height != width or height < side:
        raise BadPicture(
            f"{width}x{height} is no aligned face: faces.aligned=true expects squares of at least {side} px"
        )
    return FoundFace(stem, name, _reduced(rgb, side))


def _cut_out(
    rgb: NDArray[np.uint8],
    found: list[Face],
    settings: FaceSettings,
    resolution: int,
    report: PhotoReport,
    stem: str,
    taken: set[str],
) -> list[FoundFace]:
    report.found = len(found)
    if not found:
        report.refused.append("no face found")
    sized, others = [], 0
    for face in found:
        try:
            sized.append((ffhq_quad(face.landmarks)[1], face))
        except UserError as error:
            report.refused.append(str(error))
    faces: list[FoundFace] = []
    for _, face in sorted(sized, key=lambda pair: -pair[0]):
        if faces and settings.which == "largest":
            others += 1
            continue
        try:
            name = _numbered(report.photo, stem, len(faces), taken) if faces else stem
            size, photo_size = settings.align_px, (rgb.shape[1], rgb.shape[0])
            cut = align_face(rgb, face.landmarks, output_size=size, transform_size=TRANSFORM_FACTOR * size)
        except UserError as error:
            report.refused.append(str(error))
            continue
        quality = measure_face(cut.image, face.landmarks, cut.frame, photo_size)
        reason = why_refused(quality, settings, resolution)
        if reason is None:
            faces.append(FoundFace(name, report.photo, _reduced(cut.image, resolution), cut.frame, quality))
        else:
            report.refused.append(reason)
    if others:
        which = "one is not the largest face" if others == 1 else f"{others} are not the largest face"
        report.refused.append(f"{which} (faces.which=all takes all)")
    if faces and faces[0].frame is not None:
        report.turned_deg = _quarters(faces[0].frame)
    return faces


def _quarters(frame: Frame) -> int | None:
    """Degrees, to the nearest quarter, by which a crop is turned clockwise; None for an upright one."""
    across = frame.quad[3] - frame.quad[0]
    turned = round(math.degrees(math.atan2(across[1], across[0])) / 90) * 90 % 360
    return turned or None


def _reduced(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if rgb.shape[0] == side:
        return np.ascontiguousarray(rgb)
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.LANCZOS))


def _stems(photos: Sequence[str]) -> dict[str, str]:
    """Name each photograph's first face: its stem, with the folders before it; also the suffix where two share it.

    That hangs on the photographs' names alone, not on what is found in them.
    """
    taken: dict[str, str] = {}
    for photo in photos:
        stem, other = _readings(photo)
        taken[_free(stem, other, taken)] = photo
    return {photo: name for name, photo in taken.items()}


def _numbered(photo: str, stem: str, index: int, taken: Collection[str]) -> str:
    """The name of a further face of a photograph: that of the first and a number."""
    number, (_, other) = f"-{index + 1}", _readings(photo)
    return _free(f"{stem}{number}", f"{other}{number}", taken)


def _free(name: str, other: str, taken: Collection[str]) -> str:
    """The first of two names that is not taken; or the first with a number."""
    numbered = (f"{name}-{i}" for i in count(2))
    return next(candidate for candidate in chain((name, other), numbered) if candidate not in taken)


def _readings(photo: str) -> tuple[str, str]:
    """A photograph's stem, with the folders before it, as a file's name; and the same with its suffix."""
    path = Path(photo)
    stem = re.sub(r"[/\\\x00-\x1f]+", "", "-".join([*path.parent.parts, path.stem])).lstrip(".-") or "face"
    return _file_name(stem, photo), _file_name(f"{stem}-{path.suffix.lstrip('.')}", photo)


def _file_name(text: str, photo: str) -> str:
    """A name that every file system and format takes; one that had to be changed ends in a hash of the photograph's.

    Shortened are names of more than `MAX_NAME_BYTES`, replaced are bytes that are no UTF-8.
    """
    name = readable(text)
    if len(name.encode()) > MAX_NAME_BYTES:
        name = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    if name == text:
        return text
    return f"{name}-{hashlib.sha256(photo.encode(errors='surrogatepass')).hexdigest()[:8]}"
