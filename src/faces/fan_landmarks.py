"""Faces by the face-alignment package (S3FD detector and 2D-FAN, Bulat and Tzimiropoulos, arXiv 1703.07332).

The package is optional. Its weights come through this project's weights folder, checked against the sha256 prefixes in
their names, which the package itself does not do; nothing is compiled.
"""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, RemoteFile, WeightsFolder
from ..weights import load_matching, read_state_dict
from .face import Face, reduced_to
from .strips import find_in_tiles

_HOST = "https://www.adrianbulat.com/downloads/python-fan"
_LICENCE = "BSD-3-Clause (face-alignment)"
FAN = RemoteFile(
    name="2DFAN4-11f355bf06.pth.tar",
    urls=(f"{_HOST}/2DFAN4-11f355bf06.pth.tar",),
    licence=_LICENCE,
    sha256="11f355bf06",
)
S3FD = RemoteFile(
    name="s3fd-619a316812.pth", urls=(f"{_HOST}/s3fd-619a316812.pth",), licence=_LICENCE, sha256="619a316812"
)
MAX_SIDE_PX = 1600  # S3FD finds faces from some 20 px on; larger photographs are reduced for it


class FaceAlignmentLandmarks:
    """Landmarks by face-alignment 1.5, on a processor or GPU.

    Args:
        device: where it runs: `"cpu"`, `"cuda"`, …
        weights_folder: where its weights lie and come from.

    Raises:
        UserError: when the package or its weights are not there; the message says how to get them.
    """

    def __init__(self, *, device: str = "cpu", weights_folder: WeightsFolder = DEFAULT_FOLDER) -> None:
        self.network = _network(device, weights_folder)

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Find the faces of a picture, in the detector's order; of a strip, the surest first."""
        return find_in_tiles(image, MAX_SIDE_PX, self._find)

    def _find(self, image: NDArray[np.uint8]) -> list[Face]:
        height, width = image.shape[:2]
        image = reduced_to(image, MAX_SIDE_PX)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where there is no face
            points, _, boxes = self.network.get_landmarks_from_image(image, return_bboxes=True)
        scale = np.array([width / image.shape[1], height / image.shape[0]])
        return [
            Face((np.asarray(p, np.float64)[:, :2] + 0.5) * scale - 0.5, float(box[-1]))
            for p, box in zip(points or [], boxes if boxes is not None else [], strict=True)
        ]

    def identity(self, name: str) -> str:
        """The names of the weights, and what decides which faces are found."""
        return f"{S3FD.name} {FAN.name} {MAX_SIDE_PX} tiles"


def _network(device: str, weights_folder: WeightsFolder) -> Any:
    try:
        api = import_module("face_alignment.api")
    except ImportError as error:
        raise UserError(
            f"finding faces needs the face-alignment package ({error}): make setup, or pip install -e '.[faces]', or "
            "take dlib's with faces.landmarks=dlib, or give landmarks with faces.landmarks=FOLDER, or aligned pictures "
            "with faces.aligned=true"
        ) from error
    if not hasattr(api.FaceAlignment, "_load_native"):
        raise UserError("this face-alignment is too old: pip install -U 'face-alignment>=1.5,<1.6'")
    fan, s3fd = weights_folder.fetch(FAN), weights_folder.fetch(S3FD)
    read_state_dict(s3fd)  # one clear message for a damaged file

    class Local(api.FaceAlignment):  # type: ignore[misc,name-defined]
        def _load_native(self, name: str, size: int, device: str, dtype: Any) -> Any:
            return _fan(api, fan, size).to(device, dtype=dtype).eval()

    return Local(
        api.LandmarksType.TWO_D,
        device=device,
        flip_input=False,
        compile=False,
        face_detector="sfd",
        face_detector_kwargs={"path_to_detector": str(s3fd)},
    )


def _fan(api: Any, path: Path, size: int) -> Any:
    network = api.FAN(size)
    load_matching(network, read_state_dict(path), path, ignore=("num_batches_tracked",))
    return network
