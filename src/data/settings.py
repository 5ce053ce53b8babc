"""Which pictures a run learns from: the group of options `dataset`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ..options import Options, Range
from .decode import MAX_PIXELS

#: Largest picture that is read, in millions of pixels; JPEG has at most 4,290.
Megapixels = Annotated[float, Range(1, 4300)]


@dataclass(frozen=True, kw_only=True)
class DatasetSettings(Options):
    """The group `dataset`."""

    name: str  # of the choice
    kind: Literal["pictures", "portraits"]  # pictures of a folder, zip or TFRecords; or the built-in portraits
    path: str | None = None  # of pictures
    resolution: Annotated[int, Range(8)] | None = None  # px a side; None for the pretrained network's
    mirror: bool  # show each picture flipped left to right as well
    on_bad: Literal["skip", "error"] = "error"  # what happens to pictures that cannot be used
    max_megapixels: Megapixels = MAX_PIXELS / 1e6  # of a picture, see `decode_picture`
    background: str = "black"  # behind transparent pictures, a colour name or #rrggbb; behind portraits, own or black
    domain: Literal["cartoons", "people"] | None = None  # of portraits
    num_images: Annotated[int, Range(2)] | None = None  # of portraits

    def check(self) -> None:
        """Refuse a data set of which the essential is not said."""
        for name in ("path",) if self.kind == "pictures" else ("domain", "num_images"):
            if getattr(self, name) is None:
                raise self.wrong(name, f"is missing, dataset.kind={self.kind} needs it")
