"""Options `faces.*` of `prepare.py dataset=yuanshen`: which faces are cut out of pictures, and how."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UserError
from ..rules import Rule, number, text
from .face_boxes import FaceDetector

DEFAULT_DEDUPE = 6
MAX_MARGIN = 4.0

FACE_RULES: dict[str, Rule] = {
    "faces.detector": text(null=True),
    "faces.sha256": text(null=True),
    "faces.min_score": number(0, null=True),
    "faces.margin": number(0, MAX_MARGIN, null=True),
    "faces.min_px": number(8, 100_000, null=True),
    "faces.min_sharpness": number(0, null=True),
    "faces.max_outside": number(0, 1, null=True),
}


@dataclass(frozen=True)
class FaceCrops:
    """Checked options.

    Attributes:
        detector: as given, None for the default.
        sha256: that its file must have, or None.
        min_score: least score of a face; None until the detector is known, then None for no limit.
        margin: added on each of the four sides, in sides of the face's box.
        min_px: least side of a face's box in its picture.
        min_sharpness: least variance of the Laplacian of the luma (0 to 255) of the face's box, reduced to 128 px.
        max_outside: largest share of a crop beyond its picture's edge, 0 to 1; it is filled by the mirrored picture.
        identity: of the detector, once it is open.
    """

    detector: str | None = None
    sha256: str | None = None
    min_score: float | None = None
    margin: float = 0.5
    min_px: float = 64
    min_sharpness: float = 20.0
    max_outside: float = 0.25
    identity: Mapping[str, Any] = field(default_factory=dict)

    def with_detector(self, detector: FaceDetector) -> "FaceCrops":
        """Complete by what an open detector says of itself."""
        score = detector.default_min_score if self.min_score is None else self.min_score
        return replace(self, min_score=score, identity=detector.identity())

    def choices(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data."""
        return {
            **self.identity,
            "min_score": self.min_score,
            "margin": self.margin,
            "min_px": self.min_px,
            "min_sharpness": self.min_sharpness,
            "max_outside": self.max_outside,
        }


def detector_kind(choice: str | None) -> str:
    """What `faces.detector` names: `"usual"` (null), `"function"` (`package.module:function`), `"url"`, or `"file"`."""
    if choice is None:
        return "usual"
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", choice):
        return "function"
    return "url" if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", choice) else "file"


def face_crops(options: Mapping[str, Any]) -> FaceCrops:
    """Make the checked options of the group `faces`; null leaves the default.

    Raises:
        UserError: for a checksum without a file.
    """
    kind = detector_kind(options["detector"])
    if options["sha256"] is not None and kind == "function":
        raise UserError("faces.sha256 has no effect with a function as faces.detector: it is of a cascade's file")
    given = {key: value for key, value in options.items() if value is not None}
    if "sha256" in given and kind == "usual":
        raise UserError("faces.sha256 has no effect without faces.detector: the usual cascade's is known")
    return FaceCrops(**given)
