"""The detectors of landmarks, by the names that `landmarks=` and `faces.landmarks=` choose from."""

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from .dlib_landmarks import DlibLandmarks
from .face import LandmarkProvider
from .fan_landmarks import FaceAlignmentLandmarks
from .network_landmarks import NetworkLandmarks

DETECTORS = ("face-alignment", "dlib", "network")


def open_detector(
    name: str, *, device: str = "cpu", weights_folder: WeightsFolder = DEFAULT_FOLDER
) -> LandmarkProvider:
    """Open a detector.

    Args:
        name: `"face-alignment"`, `"dlib"`, which runs on the host, or `"network"`, this project's, for pictures of one
            aligned face each that are drawn as the built-in portraits.
        device: where it runs: `"cpu"`, `"cuda"`, …
        weights_folder: where its weights lie and come from.

    Raises:
        UserError: for an unknown name, or when it cannot be had.
    """
    if name == "face-alignment":
        return FaceAlignmentLandmarks(device=device, weights_folder=weights_folder)
    if name == "dlib":
        return DlibLandmarks(weights_folder=weights_folder)
    if name == "network":
        return NetworkLandmarks(device=device)
    raise UserError(f"landmarks={name}: choose auto, {', '.join(DETECTORS)}")
