"""What lies behind transparent parts and beside padded pictures: a colour, a picture, or nothing."""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from ..files import expanded
from .decode import Background, BadPicture, decode_picture, parse_background

OWN = "own"


@dataclass(frozen=True)
class Backdrop:
    """A background by its option."""

    option: str  # as given
    behind: Background  # for `decode_picture`
    sha256: str | None = None  # of a picture's file, else None

    @property
    def colour(self) -> tuple[int, int, int] | None:
        """RGB when it is a colour, else None."""
        return self.behind if isinstance(self.behind, tuple) else None

    def canvas(self, width: int, height: int) -> np.ndarray:
        """Make a writable uint8 `[height, width, 3]` of it; black where it has no pixels of its own."""
        if isinstance(self.behind, Image.Image):
            return np.array(ImageOps.fit(self.behind, (width, height)))
        return np.full([height, width, 3], self.behind or (0, 0, 0), np.uint8)


def parse_backdrop(option: str) -> Backdrop:
    """Make the background of `own`, a colour name, `#rrggbb`, or a usable picture's path; a ValueError for others."""
    if option == OWN:
        return Backdrop(option, None)
    path = expanded(option)
    try:
        return Backdrop(option, parse_background(option))
    except ValueError as error:
        if not path.exists():
            raise ValueError("give a colour name, #rrggbb, own, or the file of a picture (no such file)") from error
    try:
        data = path.read_bytes()
        picture = Image.fromarray(decode_picture(data).rgb)
    except (OSError, BadPicture) as error:
        raise ValueError(f"{error}; give another picture or a colour") from error
    return Backdrop(option, picture, hashlib.sha256(data).hexdigest())
