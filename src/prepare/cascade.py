"""Drawn faces by a cascade of OpenCV's (Viola and Jones, CVPR 2001; local binary patterns: Liao et al., ICB 2007).

OpenCV is optional, and must be version 4: OpenCV 5 has no cascades any more.
"""

import hashlib
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..faces import strip_tiles
from ..fetch import RemoteFile

#: Finds faces drawn as in anime; trained by nagadomi.
ANIME = RemoteFile(
    name="lbpcascade_animeface.xml",
    urls=("https://raw.githubusercontent.com/nagadomi/lbpcascade_animeface/master/lbpcascade_animeface.xml",),
    licence="MIT",
    size=246945,
    sha256="9376d30ac38db6bda2a68b88b3b76bbd7e6aa33af47f7f5c76bc88ca75f1ce30",
)
#: Also where opencv-python has put another version's files in its place, or has taken them away with its own.
PIP = "pip install --force-reinstall --no-deps 'opencv-python-headless>=4.10.0.84,<5'"
MAX_SIDE_PX = 2560  # larger pictures are reduced for it
MIN_FACE_PX, SCALE_STEP, MIN_AGREEING = 32, 1.1, 3
DEFAULT_AGREEING = 5.0


class CascadeDetector:
    """An OpenCV cascade by its XML file; the score of a face is how many windows about it agree."""

    default_min_score: float | None = DEFAULT_AGREEING

    def __init__(self, path: Path) -> None:
        self.path, self._cv, self._local = path, opencv(), threading.local()
        try:
            self._sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UserError(f"faces.detector={path}: cannot be read ({error.strerror or error})") from error
        self._classifier()

    def _classifier(self) -> Any:
        """One a thread: a cascade keeps the picture that it looks at."""
        known = getattr(self._local, "classifier", None)
        if known is None:
            try:
                known = self._cv.CascadeClassifier(str(self.path))
            except (self._cv.error, SystemError):  # the latter for XML that is something else
                known = None
            if known is None or known.empty():
                raise UserError(
                    f"faces.detector={self.path}: not a cascade that OpenCV can read; {ANIME.name} is one for anime"
                )
            self._local.classifier = known
        return known

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Find the faces of a picture."""
        height, width = image.shape[:2]
        found = []
        for left, top, right, bottom in strip_tiles(width, height, MAX_SIDE_PX):  # what lies in two is told by its box
            boxes = self._find(np.ascontiguousarray(image[top:bottom, left:right]))
            found.append(boxes + np.array([left, top, left, top, 0]))
        return np.concatenate(found)

    def _find(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        cv, (height, width) = self._cv, image.shape[:2]
        factor = max(max(height, width) / MAX_SIDE_PX, 1.0)
        grey = cv.cvtColor(image, cv.COLOR_RGB2GRAY)
        if factor > 1:
            grey = cv.resize(grey, (round(width / factor), round(height / factor)), interpolation=cv.INTER_AREA)
        found, agreeing = self._classifier().detectMultiScale2(
            cv.equalizeHist(grey), scaleFactor=SCALE_STEP, minNeighbors=MIN_AGREEING, minSize=(MIN_FACE_PX, MIN_FACE_PX)
        )
        if not len(found):
            return np.zeros([0, 5])
        left, top, across, down = np.asarray(found, np.float64).T * factor
        return np.stack([left, top, left + across, top + down, np.asarray(agreeing, np.float64).ravel()], axis=1)

    def identity(self) -> dict[str, Any]:
        """The cascade's hash and how it is used."""
        return {
            "detector": self.path.name,
            "sha256": self._sha256,
            "opencv": self._cv.__version__,
            "max_side_px": MAX_SIDE_PX,
            "strips": "in tiles",
            "min_face_px": MIN_FACE_PX,
        }


def opencv() -> Any:
    """OpenCV 4."""
    other = "or give a detector of your own, faces.detector=package.module:function"
    try:
        cv = import_module("cv2")
    except ImportError as error:
        raise UserError(f"finding drawn faces needs OpenCV 4 ({error}): {PIP}, {other}") from error
    if not hasattr(cv, "CascadeClassifier"):
        version = getattr(cv, "__version__", "without its own files")
        raise UserError(f"OpenCV {version} has no cascades, OpenCV 4 has: {PIP}, {other}")
    return cv
