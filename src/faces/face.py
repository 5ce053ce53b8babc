"""A face found in a picture, and what finds faces."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Face:
    """A face in a picture."""

    landmarks: NDArray[np.float64]  # `[68, 2]` (x, y) in pixels of the upright picture
    score: float = 1.0  # how sure the finder is
    # whether they were looked up: pixels of the file's picture, even when it is decoded at half its size
    of_file: bool = False

    def reduced(self, factor: int) -> "Face":
        """The face in a picture that was reduced so many times in decoding; as it is, when it was found there."""
        return Face((self.landmarks + 0.5) / factor - 0.5, self.score) if self.of_file and factor > 1 else self


class LandmarkProvider(Protocol):
    """Finds faces; another detector is any object of this form."""

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Find the faces of a picture.

        Args:
            image: uint8 `[H, W, 3]`, turned as its EXIF says.
            name: of its file, relative to the folder or zip; for providers that look landmarks up.

        Raises:
            BadPicture: with the reason, when the landmarks of this picture cannot be had.
        """
        ...

    def identity(self, name: str) -> str:
        """What decides the landmarks of a picture besides its pixels: cached ones hold while it stays the same."""
        ...


def reduced_to(image: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """Return a picture, uint8 `[H, W, 3]`, reduced to at most so many px a side where it is larger."""
    height, width = image.shape[:2]
    factor = max(height, width) / max_side
    if factor <= 1:
        return image
    size = (max(round(width / factor), 1), max(round(height / factor), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
