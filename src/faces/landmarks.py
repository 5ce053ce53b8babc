"""Where landmarks come from: a small interface, files beside the pictures, the built-in portraits' own."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data.images import BadPicture
from ..data.sources import Source
from ..errors import UserError
from .align import NUM_LANDMARKS

SUFFIXES = (".json", ".npy", ".txt")


@dataclass(frozen=True)
class Face:
    """A face in a picture: `[68, 2]` landmarks (x, y) in pixels of the upright picture, and how sure the finder is."""

    landmarks: NDArray[np.float64]
    score: float = 1.0


class LandmarkProvider(Protocol):
    """Finds faces; another detector is any object of this form."""

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Find the faces of a picture.

        Args:
            image: uint8 `[H, W, 3]`, turned as its EXIF says.
            name: of its file, relative to the folder or zip; for providers that look landmarks up.

        Raises:
            BadPicture: with the reason, when the landmarks of this picture cannot be had.
        """
        ...

    def identity(self, name: str) -> str:
        """What decides the landmarks of a picture besides its pixels: cached ones hold while it stays the same."""
        ...


class FileLandmarks:
    """Landmarks in files named as the picture: `<stem>.json`, `.npy` or `.txt`.

    JSON: `[[x, y], …]`, a list of such lists (one a face), or `{"faces": [{"landmarks": […], "score": …}, …]}`.
    NPY: `[68, 2]` or `[F, 68, 2]`. TXT: two numbers a line, 68 lines a face. No face is an empty list.

    Args:
        source: of the files: the photographs' own folder or zip, or another.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names = set(source.names())

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Read the faces of a picture."""
        file = self._file(name)
        if file is None:
            raise BadPicture(f"no landmarks for it ({Path(name).stem}.json, .npy or .txt)")
        return parse_landmarks(self.source.read(file), file)

    def identity(self, name: str) -> str:
        """Digest of the landmark file."""
        file = self._file(name)
        return "no file" if file is None else hashlib.sha256(self.source.read(file)).hexdigest()

    def _file(self, name: str) -> str | None:
        stems = [str(Path(name).with_suffix("")), name]  # holiday.json, or holiday.jpg.json
        return next((stem + suffix for stem in stems for suffix in SUFFIXES if stem + suffix in self.names), None)


class PortraitLandmarks:
    """Known landmarks of known pictures, such as the built-in portraits'.

    Args:
        table: `[68, 2]` by name of the picture.
    """

    def __init__(self, table: Mapping[str, NDArray]) -> None:
        self.table = {name: np.asarray(points, np.float64) for name, points in table.items()}

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Look a picture up."""
        return [Face(self.table[name])] if name in self.table else []

    def identity(self, name: str) -> str:
        """Digest of the landmarks."""
        points = self.table.get(name)
        return "unknown" if points is None else hashlib.sha256(points.tobytes()).hexdigest()


def open_landmarks(choice: str, photos: Source, *, device: str = "cpu") -> LandmarkProvider:
    """Open what `faces.landmarks` names.

    Args:
        choice: `"auto"` (landmark files beside the pictures where there are any, face-alignment otherwise),
            `"face-alignment"`, `"dlib"`, `"files"` (beside the pictures), or a folder or zip of landmark files.
        photos: the photographs.
        device: of the detector.

    Raises:
        UserError: when it cannot be opened.
    """
    from ..data.sources import open_source
    from .dlib_landmarks import DlibLandmarks
    from .fan_landmarks import FaceAlignmentLandmarks

    beside = FileLandmarks(photos)
    if choice in ("auto", "files"):
        pictures = {str(Path(n).with_suffix("")) for n in beside.names if Path(n).suffix.lower() not in SUFFIXES}
        known = {stem for stem in (*pictures, *beside.names) for s in SUFFIXES if stem + s in beside.names}
        if known:
            return beside
        if choice == "files":
            raise UserError(
                "faces.landmarks=files: no photograph has a file of landmarks beside it (<stem>.json, .npy or .txt)"
            )
        return FaceAlignmentLandmarks(device=device)
    if choice == "face-alignment":
        return FaceAlignmentLandmarks(device=device)
    if choice == "dlib":
        return DlibLandmarks()
    path = Path(choice).expanduser()
    if not path.exists():
        raise UserError(
            f"faces.landmarks={choice}: neither auto, files, face-alignment or dlib, nor a folder of landmark files"
        )
    return FileLandmarks(open_source(path))


def reduced_to(image: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """Return a picture, uint8 `[H, W, 3]`, reduced to at most so many px a side where it is larger."""
    height, width = image.shape[:2]
    factor = max(height, width) / max_side
    if factor <= 1:
        return image
    size = (max(round(width / factor), 1), max(round(height / factor), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def parse_landmarks(data: bytes, name: str) -> list[Face]:
    """Read the faces in a landmark file's bytes.

    Raises:
        BadPicture: when they are none.
    """
    try:
        if name.lower().endswith(".npy"):
            import io

            return _faces(np.load(io.BytesIO(data), allow_pickle=False).tolist())
        text = data.decode()
        if name.lower().endswith(".json"):
            return _faces(json.loads(text))
        numbers = [[float(v) for v in line.replace(",", " ").split()] for line in text.splitlines() if line.strip()]
        points = np.array(numbers, np.float64)
        return _faces(points.reshape(-1, NUM_LANDMARKS, 2).tolist())
    except (ValueError, TypeError, KeyError, EOFError) as error:
        raise BadPicture(f"its landmarks in {name} cannot be read ({_short(error)})") from error


def _faces(value: Any) -> list[Face]:
    if isinstance(value, dict):
        value = value["faces"]
    if not value:
        return []
    if not isinstance(value[0], dict) and np.ndim(value) == 2:
        value = [value]
    return [_face(item) for item in value]


def _face(item: Any) -> Face:
    points, score = (item["landmarks"], float(item.get("score", 1.0))) if isinstance(item, dict) else (item, 1.0)
    array = np.asarray(points, np.float64)
    if array.shape != (NUM_LANDMARKS, 2) or not np.isfinite(array).all():
        raise ValueError(f"{list(array.shape)} instead of {NUM_LANDMARKS} finite points")
    return Face(array, score)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
