"""Near-duplicates by perceptual hash: 64 bits of the coarse brightness pattern, and the mean colour."""

from collections.abc import Mapping, Sequence
from typing import Any

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


def near_duplicates(
    numbers: Sequence[int], records: Mapping[int, Mapping[str, Any]], bits: int
) -> dict[int, tuple[int, int]]:
    """Find copies: pictures that are nearly the same as an earlier one which is no copy itself.

    Of each is given, by its number, the `hash` (of `perceptual_hash`, hexadecimal) and `colour` (of `mean_colour`);
    hashes of copies differ in at most `bits`. Returned is the earliest such number, and the bits that differ.
    """
    hashes = np.array([int(records[n]["hash"], 16) for n in numbers], np.uint64)
    colours = np.array([records[n]["colour"] for n in numbers], int).reshape(-1, 3)
    kept: list[int] = []
    found = {}
    for i, number in enumerate(numbers):
        n = len(kept)  # of which hashes and colours are moved to the front
        differing = np.bitwise_count(hashes[:n] ^ hashes[i])
        tint = np.abs(colours[:n] - colours[i]).max(axis=1, initial=0)
        same = np.flatnonzero((differing <= bits) & (tint <= _MAX_COLOUR_DIFFERENCE))
        if len(same):
            found[number] = kept[same[0]], int(differing[same[0]])
        else:
            hashes[n], colours[n] = hashes[i], colours[i]
            kept.append(number)
    return found
