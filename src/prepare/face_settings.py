"""Which drawn faces are cut out of pictures, and how: the group of options `faces` of `prepare.py dataset=yuanshen`."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from ..fetch import Sha256
from ..options import NotNegative, Options, Range, Share
from ..plug_in import names_function


@dataclass(frozen=True, kw_only=True)
class FaceSettings(Options):
    """The group `faces`."""

    detector: str | None = None  # file or URL of a cascade, or `package.module:function`
    sha256: Sha256 | None = None  # that the cascade's file must have, or its first digits
    # least score of a face; None until the detector is known, then None for no limit
    min_score: NotNegative | None = None
    margin: Annotated[float, Range(0, 4)] = 0.5  # added on each of the four sides, in sides of the face's box
    min_px: Annotated[float, Range(8, 100_000)] = 64  # least side of a face's box in its picture
    # least variance of the Laplacian of the luma (0 to 255) of the face's box, reduced to 128 px
    min_sharpness: NotNegative = 20
    # largest share of a crop beyond its picture's edge, 0 to 1; it is filled by the mirrored picture
    max_outside: Share = 0.25
    identity: dict = field(default_factory=dict)  # of the detector, once it is open: no option

    def check(self) -> None:
        """Refuse a checksum where no file is named."""
        kind = detector_kind(self.detector)
        if self.sha256 is not None and kind == "function":
            raise self.wrong("sha256", "has no effect with a function as faces.detector: it is of a cascade's file")
        if self.sha256 is not None and kind == "usual":
            raise self.wrong("sha256", "has no effect without faces.detector: the usual cascade's is known")

    def choices(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data."""
        names = ("min_score", "margin", "min_px", "min_sharpness", "max_outside")
        return {**self.identity, **{name: getattr(self, name) for name in names}}


def detector_kind(choice: str | None) -> str:
    """What `faces.detector` names: `"usual"` (null), `"function"` (`package.module:function`), `"url"`, or `"file"`."""
    if choice is None:
        return "usual"
    if names_function(choice):
        return "function"
    return "url" if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", choice) else "file"
