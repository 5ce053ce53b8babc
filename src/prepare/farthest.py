"""Which frames of an animation to take: evenly spaced, or the most different ones, and a neighbour for a bad one."""

import io
import warnings
from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image

from ..data import MAX_PIXELS, Background, decode_picture

SELECTIONS = ("stride", "farthest")
THUMBNAIL_PX = 16
_REDUCED_PX = 32


def stride(num: int, count: int) -> list[int]:
    """`count` of `num` frames, evenly spaced, half a step from either end: increasing indices."""
    return [(2 * i + 1) * num // (2 * count) for i in range(count)]


def farthest(thumbnails: np.ndarray, count: int) -> list[int]:
    """Farthest-point sampling: the frame nearest to the mean, then each time the one most unlike those taken.

    Of thumbnails uint8 `[N, ...]` are taken `count`: increasing indices, of equals the first.
    """
    points = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    taken = [int(np.square(points - points.mean(0)).sum(1).argmin())] if count else []
    distance = np.full(len(points), np.inf, np.float32)
    while len(taken) < count:
        distance = np.minimum(distance, np.square(points - points[taken[-1]]).sum(1))
        distance[taken] = -1.0  # also among exact copies every frame is taken once
        taken.append(int(distance.argmax()))
    return sorted(taken)


def neighbour(numbers: Sequence[int], wanted: int, used: Collection[int]) -> int | None:
    """The unused one of increasing `numbers` nearest to `wanted`, the lower of two; None when all are used."""
    free = [n for n in numbers if n not in used]
    return min(free, key=lambda n: (abs(n - wanted), n), default=None)


def widest_gap(numbers: Sequence[int], used: Collection[int]) -> int | None:
    """The unused one of increasing `numbers` farthest from all used ones, the lower of two; None when all are used."""
    free = [n for n in numbers if n not in used]
    return max(free, key=lambda n: (min((abs(n - u) for u in used), default=0), -n), default=None)


def thumbnail(data: bytes, background: Background, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture to uint8 `[16, 16, 3]`, no more of it than needed; BadPicture as `decode_picture`."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as picture:
            warnings.simplefilter("ignore")
            if picture.width * picture.height > max_pixels:
                raise ValueError("too large")
            picture.draft("RGB", (_REDUCED_PX, _REDUCED_PX))  # JPEG alone: decodes a fraction
            small = _reduced(picture, background)
    except Exception:  # whatever is wrong with it, the full decoder says it in words, or reads it after all
        small = Image.fromarray(decode_picture(data, background=background, max_pixels=max_pixels).rgb)
    return np.asarray(small.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))


def _reduced(picture: Image.Image, background: Background) -> Image.Image:
    if picture.mode not in ("RGB", "RGBA", "L") or "transparency" in picture.info:
        raise ValueError("a mode of its own")
    factor = max(1, min(picture.size) // _REDUCED_PX)
    small: Image.Image = picture.reduce(factor)
    if small.mode != "RGBA":
        return small.convert("RGB")
    if not isinstance(background, tuple):
        return small.convert("RGB")  # only differences count, and what lies behind is the same for all
    return Image.alpha_composite(Image.new("RGBA", small.size, (*background, 255)), small).convert("RGB")
