"""The pictures of many blends for one page, all of the same size, within a budget of bytes."""

import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

MAX_PX = 640  # width of a sheet of sixteen faces
QUALITY = 80
SAMPLE = 8  # sheets that foretell how large all will be
ROOM = 0.95  # of the budget that is aimed at


def sheets_within(paths: Mapping[str, Path], budget: int) -> dict[str, str]:
    """Read picture files as data URIs (WebP) that are together no longer than `budget` bytes, as large as that allows.

    A missing or broken file is left out.
    """
    pictures = {name: picture for name, path in paths.items() if (picture := _opened(path)) is not None}
    if not pictures:
        return {}
    every = max(len(pictures) // SAMPLE, 1)
    sample = list(pictures.values())[::every]
    width = MAX_PX
    expected = sum(len(_encoded(picture, width)) for picture in sample) * len(pictures) / len(sample)
    while True:
        if expected > budget:
            width = max(int(width * math.sqrt(ROOM * budget / expected)), 1)
        found = {name: _encoded(picture, width) for name, picture in pictures.items()}
        expected = sum(map(len, found.values()))
        if expected <= budget or width == 1:
            return found


def _opened(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as file:
            file.draft("RGB", (MAX_PX, MAX_PX))  # of large JPEG files a part is decoded
            picture = file.convert("RGB")
            picture.thumbnail((MAX_PX, 4 * MAX_PX), Image.Resampling.LANCZOS)
            return picture
    except OSError:
        return None


def _encoded(picture: Image.Image, width: int) -> str:
    if picture.width > width:
        height = max(round(picture.height * width / picture.width), 1)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
