"""Which faces of photographs are taken, and how they are cut out: the group of options `faces` of `caricature.py`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ..data import MAX_PIXELS, Megapixels
from ..options import NotNegative, Options, Range, Share


@dataclass(frozen=True, kw_only=True)
class FaceSettings(Options):
    """The group `faces`; None of a limit is no limit."""

    which: Literal["largest", "all"] = "largest"  # all of a photograph are taken largest first
    landmarks: str = "auto"  # where they come from
    aligned: bool = False  # the pictures are faces cut out as FFHQ's already
    max_megapixels: Megapixels = MAX_PIXELS / 1e6  # of a photograph, see `decode_picture`
    align_px: Annotated[int, Range(16)] = 1024  # at which faces are cut out before they are reduced to the network's
    min_px: NotNegative | None = None  # smallest side of a face in its photograph; None is half of the network's size
    max_yaw: Annotated[float, Range(0, 90, note="degrees")] | None = 45  # that a face may be turned aside
    min_sharpness: NotNegative | None = 10  # variance of the Laplacian at 128 px
    max_outside: Share | None = 0.4  # of a face's square that may lie outside of the photograph

    @property
    def max_pixels(self) -> int:
        """Most pixels of a photograph."""
        return int(self.max_megapixels * 1e6)

    def check(self) -> None:
        """Refuse to choose among faces that are cut out already."""
        if self.aligned:
            reason = "has no effect with faces.aligned=true: the pictures are taken as they are"
            self.refuse_changed(reason, "which", "landmarks", "align_px", "min_", "max_yaw", "max_outside")
