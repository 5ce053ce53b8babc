"""Faces by dlib: its HOG detector (Dalal and Triggs, CVPR 2005) and regression trees (Kazemi and Sullivan, CVPR 2014).

FFHQ's own faces were cut out by these landmarks. The package is optional; the detector is inside it, the trees are a
file of the weights folder. A face turned far aside, which the detector does not know, is not found.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, RemoteFile, WeightsFolder
from .align import NUM_LANDMARKS
from .dlib_package import dlib_package
from .face import Face, reduced_to
from .strips import find_in_tiles

TREES = RemoteFile(
    name="shape_predictor_68_face_landmarks.dat",
    urls=(
        "https://github.com/ageitgey/face_recognition_models/raw/v0.3.0/face_recognition_models/models/"
        "shape_predictor_68_face_landmarks.dat",
    ),
    licence="trained on iBUG 300-W, whose licence excludes commercial use",
    size=99693937,
    sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
)
MAX_SIDE_PX = 1600  # larger photographs are reduced for the detector, not for the landmarks
UPSAMPLINGS = 1  # the detector knows faces of 80 px and more; of 40 px in a picture of twice the size


class DlibLandmarks:
    """Landmarks by dlib, on the processor.

    Args:
        weights_folder: where its weights lie and come from.

    Raises:
        UserError: when the package or its weights are not there; the message says how to get them.
    """

    def __init__(self, *, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> None:
        self._dlib = dlib_package("faces.landmarks=dlib")
        trees = weights_folder.fetch(TREES)
        try:
            self._predictor = self._dlib.shape_predictor(str(trees))
        except RuntimeError as error:
            raise UserError(f"{trees} is no shape predictor of dlib's ({error})") from error
        self._detector = self._dlib.get_frontal_face_detector()

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Find the faces of a picture, in the detector's order (strips: the surest first); the score is its margin."""
        return find_in_tiles(image, MAX_SIDE_PX, self._find)

    def _find(self, image: NDArray[np.uint8]) -> list[Face]:
        image = np.ascontiguousarray(image)
        small = np.ascontiguousarray(reduced_to(image, MAX_SIDE_PX))
        boxes, scores, _ = self._detector.run(small, UPSAMPLINGS, 0.0)
        scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        return [
            Face(self._landmarks(image, box, scale), float(score)) for box, score in zip(boxes, scores, strict=True)
        ]

    def identity(self, name: str) -> str:
        """The name of the weights, and what decides which faces are found."""
        return f"dlib {TREES.name} {MAX_SIDE_PX} {UPSAMPLINGS} tiles"

    def _landmarks(self, image: NDArray[np.uint8], box: Any, scale: NDArray[np.float64]) -> NDArray[np.float64]:
        corners = np.array([(box.left(), box.top()), (box.right() + 1, box.bottom() + 1)])  # the latter outside
        (left, top), (right, bottom) = (corners * scale).round().astype(int).tolist()
        shape = self._predictor(image, self._dlib.rectangle(left, top, right - 1, bottom - 1))
        if shape.num_parts != NUM_LANDMARKS:
            raise UserError(f"{TREES.name}: {shape.num_parts} landmarks a face instead of {NUM_LANDMARKS}")
        return np.array([(point.x, point.y) for point in shape.parts()], np.float64)
