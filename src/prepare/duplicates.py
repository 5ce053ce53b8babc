"""Near-duplicates by perceptual hash: 64 bits of the coarse brightness pattern, and the mean colour."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.fft import dctn

_GREY_PX, _LOW = 32, 8
_MAX_COLOUR_DIFFERENCE = 24  # levels of 255: the same drawing in other colours is another picture


def perceptual_hash(rgb: np.ndarray) -> int:
    """Hash uint8 `[H, W, 3]` to 64 bits: signs about the median of the 8x8 lowest frequencies of brightness."""
    grey = Image.fromarray(rgb).convert("L").resize((_GREY_PX, _GREY_PX), Image.Resampling.BOX)
    low = dctn(np.asarray(grey, np.float64), norm="ortho")[:_LOW, :_LOW].ravel()
    low[0] = 0.0  # the mean is not part of the pattern
    low[np.abs(low) < 1e-6] = 0.0
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def mean_colour(rgb: np.ndarray) -> tuple[int, int, int]:
    """Mean RGB of uint8 `[H, W, 3]`, rounded."""
    red, green, blue = np.rint(rgb.reshape(-1, 3).mean(0)).astype(int).tolist()
    return red, green, blue


class Duplicates:
    """Looks for an earlier picture that is nearly the same.

    Args:
        bits: largest difference of two hashes that counts as the same.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._kept = 0
        self._hashes = np.zeros(64, np.uint64)
        self._colours = np.zeros((64, 3), int)

    def find(self, value: int, colour: Sequence[int]) -> tuple[int, int] | None:
        """Look one picture up, and keep it when it is new.

        Args:
            value: its `perceptual_hash`.
            colour: its `mean_colour`.

        Returns:
            The earliest nearly equal one, counted among those kept, and the bits that differ; None for a new one.
        """
        n = self._kept
        differing = np.bitwise_count(self._hashes[:n] ^ np.uint64(value))
        tint = np.abs(self._colours[:n] - np.array(colour)).max(axis=1, initial=0)
        same = np.flatnonzero((differing <= self.bits) & (tint <= _MAX_COLOUR_DIFFERENCE))
        if len(same):
            return int(same[0]), int(differing[same[0]])
        if n == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._colours = np.concatenate([self._colours, np.zeros_like(self._colours)])
        self._hashes[n], self._colours[n] = value, colour
        self._kept += 1
        return None
