"""`faces.detector`: which detector finds drawn faces: a cascade by name, file or URL, or a function of your own."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, RemoteFile, WeightsFolder
from ..files import expanded
from ..plug_in import PlugIn
from .cascade import ANIME, CascadeDetector, opencv
from .face_boxes import FaceDetector
from .face_settings import detector_kind

_KINDS = "give an OpenCV cascade (an XML file or its URL), or package.module:function"


class PlugInDetector(PlugIn):
    """A function `image -> boxes` of someone else's."""

    def __init__(self, name: str) -> None:
        super().__init__("faces.detector", name, _KINDS)
        self.default_min_score: float | None = None

    def identity(self) -> dict[str, Any]:
        """Its name, and the hash of the file that it is in."""
        return {"detector": self.name, "sha256": self.sha256}


def open_face_detector(
    choice: str | None, sha256: str | None = None, *, weights_folder: WeightsFolder = DEFAULT_FOLDER
) -> FaceDetector:
    """Open the detector of `faces.detector`; None is the cascade for anime.

    A cascade must have the sha256, or begin with these digits; one that is published lies in the weights folder, or is
    fetched.
    """
    kind = detector_kind(choice)
    if choice is not None and kind == "function":
        return PlugInDetector(choice)
    opencv()  # before anything is fetched for it
    if choice is None:
        return CascadeDetector(_fetched(ANIME, weights_folder))
    if kind == "url":
        name = Path(unquote(urlsplit(choice).path)).name
        if not name:
            raise UserError(f"faces.detector={choice}: names no file; {_KINDS}")
        return CascadeDetector(_fetched(RemoteFile(name, (choice,), "unknown", sha256=sha256), weights_folder))
    path = expanded(choice)
    if not path.is_file():
        raise UserError(f"faces.detector={choice}: no such file; {_KINDS}")
    if sha256 is not None:
        wanted = RemoteFile(path.name, (), "unknown", sha256=sha256)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if reason := wanted.difference(path.stat().st_size, digest):
            raise UserError(f"faces.detector={choice}: not the file that faces.sha256 says: {reason}")
    return CascadeDetector(path)


def _fetched(file: RemoteFile, weights_folder: WeightsFolder) -> Path:
    try:
        return weights_folder.fetch(file)
    except UserError as error:
        raise UserError(f"drawn faces are found by a cascade: {error}") from error
