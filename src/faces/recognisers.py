"""Recognisers: what tells whom a face shows, whatever it is drawn like; `recogniser=` chooses one."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, RemoteFile, WeightsFolder
from ..plug_in import PlugIn, names_function
from .dlib_package import dlib_package

RESNET = RemoteFile(
    name="dlib_face_recognition_resnet_model_v1.dat",
    urls=(
        "https://github.com/ageitgey/face_recognition_models/raw/v0.3.0/face_recognition_models/models/"
        "dlib_face_recognition_resnet_model_v1.dat",
    ),
    licence="public domain by its author; trained on FaceScrub and VGG Face, which are for research, and on the web",
    size=22466066,
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)


class FaceRecogniser(Protocol):
    """What describes faces; another one is any function of this form, `recogniser=package.module:function`."""

    def __call__(self, image: NDArray[np.uint8], landmarks: NDArray[np.float64], /) -> ArrayLike:
        """Describe a face by numbers `[D]`, alike for pictures of one person.

        Args:
            image: uint8 RGB `[H, W, 3]`, as small as 32 px.
            landmarks: its face's, `[68, 2]` (x, y) in pixels.
        """
        ...

    def identity(self) -> str:
        """What decides the description of a face: kept ones hold while it stays the same."""
        ...


class DlibRecogniser:
    """dlib's residual network: 128 numbers of the upright face, 150 px a side; on the processor.

    Args:
        weights_folder: where its weights lie and come from.

    Raises:
        UserError: when the package or its weights are not there; the message says how to get them.
    """

    def __init__(self, *, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> None:
        self._dlib = dlib_package("recogniser=dlib")
        path = weights_folder.fetch(RESNET)
        try:
            self._network = self._dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise UserError(f"{path} is no face recogniser of dlib's ({error})") from error

    def __call__(self, image: NDArray[np.uint8], landmarks: NDArray[np.float64], /) -> ArrayLike:
        """Describe a face."""
        corners = np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)])
        points = [self._dlib.point(*point) for point in _whole(landmarks)]
        face = self._dlib.full_object_detection(self._dlib.rectangle(*_whole(corners)), points)
        return np.array(self._network.compute_face_descriptor(np.ascontiguousarray(image), face))

    def identity(self) -> str:
        """The name of the weights."""
        return RESNET.name


class PlugInRecogniser(PlugIn):
    """A function `(image, landmarks) -> numbers` of someone else's."""

    def __init__(self, name: str) -> None:
        super().__init__("recogniser", name, "give dlib, or package.module:function")

    def identity(self) -> str:
        """Its name, and the hash of the file that it is in."""
        return f"{self.name} {(self.sha256 or 'of no file')[:12]}"


def open_recogniser(choice: str, *, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> FaceRecogniser:
    """Open what `recogniser=` names: `dlib`, or `package.module:function`.

    Raises:
        UserError: when it cannot be had.
    """
    if names_function(choice):
        return PlugInRecogniser(choice)
    if choice == "dlib":
        return DlibRecogniser(weights_folder=weights_folder)
    raise UserError(f"recogniser={choice}: choose dlib or package.module:function")


def _whole(numbers: NDArray[np.float64]) -> Any:
    return numbers.round().astype(int).tolist()
