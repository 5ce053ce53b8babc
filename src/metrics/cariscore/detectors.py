"""Which landmarks a ranking is measured by.

One detector serves all sets of a ranking. `auto` takes this project's network where both references are drawn as the
portraits that it was trained on; else face-alignment, else dlib, as far as they and their weights are there, else the
network again: the first whose own 2 x 2 says that it tells shape from rendering on these pictures, or, where none
does, the first that finds their faces.
"""

import functools
from dataclasses import dataclass

from torch import Tensor

from ...errors import UserError
from ...faces import LandmarkProvider, NetworkLandmarks, open_detector
from ...fetch import DEFAULT_FOLDER, WeightsFolder
from .faces import Faces, locate
from .trust import Trust, check_detector

MIN_FOUND = 0.5  # of a reference's faces; what is missed is left out of it


@dataclass(frozen=True)
class Detector:
    """A detector that has found the references' faces."""

    name: str  # which
    provider: LandmarkProvider  # it
    base: Faces  # the base's pictures with their landmarks
    cartoons: Faces  # the cartoons' with theirs

    def locate(self, images: Tensor) -> Faces:
        """Find the faces of pictures, uint8 `[N, 3, H, W]`."""
        return locate(images, self.provider)

    @functools.cached_property
    def trust(self) -> Trust:
        """Its own 2 x 2 on the references; a UserError where their mean shapes cannot be told apart."""
        return check_detector(self.base, self.cartoons, self.provider)


def choose_detector(
    choice: str | LandmarkProvider, base: Tensor, cartoons: Tensor, *, weights_folder: WeightsFolder = DEFAULT_FOLDER
) -> Detector:
    """Open a detector and find the references' faces.

    Args:
        choice: `"auto"`, a name, or a provider.
        base: the base's pictures, uint8 `[N, 3, H, W]`.
        cartoons: the cartoons'.
        weights_folder: where detectors' weights lie and come from.

    Raises:
        UserError: for an unknown name, or when no detector finds the faces of both; the message says what each did.
    """
    if not isinstance(choice, str):
        return _found(type(choice).__name__, choice, base, cartoons)
    if choice != "auto":
        return _found(choice, open_detector(choice, weights_folder=weights_folder), base, cartoons)
    network = NetworkLandmarks()
    if network.knows(base) and network.knows(cartoons):
        return _found("network", network, base, cartoons)
    untrusted: list[Detector] = []
    failures = []
    for name in ("face-alignment", "dlib", "network"):
        try:
            detector = _found(name, open_detector(name, weights_folder=weights_folder), base, cartoons)
            if detector.trust.trusted:
                return detector
            untrusted.append(detector)
        except UserError as error:
            failures.append(str(error))
    if untrusted:
        return untrusted[0]
    raise UserError("no landmarks for these pictures, so they cannot be scored: " + "; ".join(failures))


def _found(name: str, provider: LandmarkProvider, base: Tensor, cartoons: Tensor) -> Detector:
    detector = Detector(name, provider, locate(base, provider), locate(cartoons, provider))
    for which, faces in (("base", detector.base), ("cartoons", detector.cartoons)):
        if faces.share_found < MIN_FOUND:
            raise UserError(f"landmarks={name}: faces found in {faces.share_found:.0%} of the {which}'s pictures")
    return detector
