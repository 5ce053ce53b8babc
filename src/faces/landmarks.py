"""Where landmarks come from: a small interface, files beside the pictures, the built-in portraits' own."""

import hashlib
import io
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data import BadPicture, FolderSource, Source, ZipSource, not_of_kinds
from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import expanded
from ..options import OptionError
from .align import LEFT_EYE, MOUTH_CORNERS, NUM_LANDMARKS, RIGHT_EYE
from .detectors import DETECTORS, open_detector
from .face import Face, LandmarkProvider
from .photos import NOT_PICTURES

SUFFIXES = (".json", ".npy", ".txt")
MIN_SPAN_PX = 4  # of a face's landmarks; those of shares of the picture, 0 to 1, span less
_MALFORMED = (ValueError, TypeError, KeyError, EOFError, AttributeError, OverflowError, RecursionError, BadZipFile)


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
        return read_landmarks(self.source, file)

    def identity(self, name: str) -> str:
        """Digest of the landmark file."""
        file = self._file(name)
        return "no file" if file is None else hashlib.sha256(self.source.read(file)).hexdigest()

    def candidates(self, name: str) -> list[str]:
        """Files that may hold a picture's landmarks, going by their names; the first is the one that is read."""
        stems = [str(Path(name).with_suffix("")), name]  # holiday.json, or holiday.jpg.json
        return [stem + suffix for stem in stems for suffix in SUFFIXES if stem + suffix in self.names]

    def _file(self, name: str) -> str | None:
        return next(iter(self.candidates(name)), None)


class AutoLandmarks:
    """For each picture the file beside it that holds landmarks, and a detector for the pictures that have none.

    Files of those names that hold something else, such as captions or a photo service's metadata, are passed over. The
    detector is opened when the first picture needs it, and at once where one is known to.
    """

    def __init__(self, photos: Source, detector: Callable[[], LandmarkProvider]) -> None:
        self.files = FileLandmarks(photos)
        self._open = detector
        self._detector: LandmarkProvider | None = None
        self._chosen: dict[str, str | None] = {}
        pictures = not_of_kinds(photos.names(), NOT_PICTURES)
        needing = next((n for n in pictures if self._file(n) is None and _is_picture(photos, n)), None)
        if needing is not None:
            self._open_for(needing)

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Read the faces of a picture, or find them."""
        file = self._file(name)
        if file is None:
            return self._open_for(name).find(image, name)
        return read_landmarks(self.files.source, file)

    def identity(self, name: str) -> str:
        """Digest of the landmark file, or the detector's."""
        file = self._file(name)
        if file is None:
            return self._open_for(name).identity(name)
        return hashlib.sha256(self.files.source.read(file)).hexdigest()

    def _file(self, name: str) -> str | None:
        if name not in self._chosen:
            self._chosen[name] = next((f for f in self.files.candidates(name) if self._holds_landmarks(f)), None)
        return self._chosen[name]

    def _holds_landmarks(self, file: str) -> bool:
        try:
            faces = parse_landmarks(self.files.source.read(file), file)
        except BadPicture:
            return False
        return bool(faces) or not file.endswith(".txt")  # an empty text is no word on faces, an empty list is

    def _open_for(self, name: str) -> LandmarkProvider:
        if self._detector is None:
            try:
                self._detector = self._open()
            except UserError as error:
                if not any(self._chosen.values()):
                    raise
                raise UserError(
                    f"{name!a} has no landmarks beside it: {error}, "
                    "or leave such pictures out with faces.landmarks=files"
                ) from error
        return self._detector


def open_landmarks(
    choice: str, photos: Source, *, device: str = "cpu", weights_folder: WeightsFolder = DEFAULT_FOLDER
) -> LandmarkProvider:
    """Open what `faces.landmarks` names.

    Args:
        choice: `"auto"` (for each picture its landmark file where there is one, face-alignment for the others), the
            name of a detector, `"files"` (beside the pictures), or a folder or zip of landmark files.
        photos: the photographs.
        device: of the detector.
        weights_folder: where its weights lie and come from.

    Raises:
        UserError: when it cannot be opened.
    """
    if choice == "auto":
        detector = partial(open_detector, "face-alignment", device=device, weights_folder=weights_folder)
        return AutoLandmarks(photos, detector)
    if choice == "files":
        return _beside(photos)
    if choice in DETECTORS:
        return open_detector(choice, device=device, weights_folder=weights_folder)
    return _elsewhere(choice)


def _beside(photos: Source) -> FileLandmarks:
    beside = FileLandmarks(photos)
    pictures = {str(Path(n).with_suffix("")) for n in beside.names if Path(n).suffix.lower() not in SUFFIXES}
    if not any(stem + s in beside.names for stem in (*pictures, *beside.names) for s in SUFFIXES):
        raise UserError(
            "faces.landmarks=files: no photograph has a file of landmarks beside it (<stem>.json, .npy or .txt)"
        )
    return beside


def _elsewhere(choice: str) -> FileLandmarks:
    path = expanded(choice)
    if not path.exists():
        raise UserError(
            f"faces.landmarks={choice}: neither auto, files, {', '.join(DETECTORS)}, nor a folder of landmark files"
        )
    if not path.is_dir() and not is_zipfile(path):
        raise UserError(f"faces.landmarks={choice}: neither a folder nor a zip of landmark files")
    try:
        return FileLandmarks(FolderSource(path) if path.is_dir() else ZipSource(path))
    except OptionError as error:
        raise OptionError("faces.landmarks", choice, error.reason) from error
    except (OSError, UserError, BadZipFile) as error:
        raise OptionError("faces.landmarks", choice, str(error)) from error


def _is_picture(photos: Source, name: str) -> bool:
    """Whether a file calls itself a picture; nothing is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(io.BytesIO(photos.read(name))).close()
        return True
    except Exception:  # whatever is wrong with it, its own report says so
        return False


def read_landmarks(source: Source, file: str) -> list[Face]:
    """Read the faces in a landmark file; a BadPicture for none, or for no faces in pixels as pictures have them."""
    faces = parse_landmarks(source.read(file), file)
    for face in faces:
        if reason := why_no_face(face.landmarks):
            raise BadPicture(f"its landmarks in {file} are {reason}")
    return faces


def why_no_face(landmarks: NDArray[np.float64]) -> str | None:
    """The mistake in landmarks that cannot be those of a face in a picture; None for others.

    In a face however turned, the mouth lies to the right of the way from the left to the right eye (y grows downwards):
    in a mirrored one, and where x and y are exchanged, it lies to the left.
    """
    if np.ptp(landmarks, axis=0).max() < MIN_SPAN_PX:
        return "shares of the picture, or of a single point: give x and y in pixels"
    across = landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
    down = landmarks[list(MOUTH_CORNERS)].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
    if across[0] * down[1] - across[1] * down[0] <= 0:
        return "those of a mirrored face: x and y are exchanged, or left and right"
    return None


def parse_landmarks(data: bytes, name: str) -> list[Face]:
    """Read the faces in a landmark file's bytes; a BadPicture when they are none."""
    try:
        if name.lower().endswith(".npy"):
            return _faces(np.load(io.BytesIO(data), allow_pickle=False).tolist())
        text = data.decode()
        if name.lower().endswith(".json"):
            return _faces(json.loads(text))
        numbers = [[float(v) for v in line.replace(",", " ").split()] for line in text.splitlines() if line.strip()]
        points = np.array(numbers, np.float64)
        return _faces(points.reshape(-1, NUM_LANDMARKS, 2).tolist())
    except _MALFORMED as error:
        raise BadPicture(f"its landmarks in {name} cannot be read ({_short(error)})") from error


def _faces(value: Any) -> list[Face]:
    if isinstance(value, dict):
        value = value["faces"]
    if not isinstance(value, list):
        raise ValueError("no list of faces")
    if not value:
        return []
    if not isinstance(value[0], dict) and np.ndim(value) == 2:
        value = [value]
    return [_face(item) for item in value]


def _face(item: Any) -> Face:
    points, score = (item["landmarks"], item.get("score")) if isinstance(item, dict) else (item, None)
    array = np.asarray(points, np.float64)
    if array.shape != (NUM_LANDMARKS, 2) or not np.isfinite(array).all():
        raise ValueError(f"{list(array.shape)} instead of {NUM_LANDMARKS} finite points")
    score = 1.0 if score is None else float(score)
    if not np.isfinite(score):
        raise ValueError(f"a score of {score}")
    return Face(array, score, of_file=True)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
