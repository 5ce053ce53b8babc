"""Screenshots with faces of this suite's own drawing, and a detector that finds them by their colours."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .trees import encoded

MARK = (255, 0, 254)  # nothing else in the screenshots has it
BELOW_PX = 24  # of a face, outside of what is judged of it


def face(seed: int, side: int = 96, blur: float = 0) -> Image.Image:
    """A face of ellipses and strokes, `side` px."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (side, side), tuple(rng.integers(120, 250, 3)))
    draw = ImageDraw.Draw(picture)
    for x in rng.uniform(0.1, 0.7, 6):
        y = rng.uniform(0.1, 0.7)
        box = [x * side, y * side, (x + 0.25) * side, (y + 0.2) * side]
        draw.ellipse(box, fill=tuple(rng.integers(0, 255, 3)), outline="black", width=max(1, side // 40))
    return picture.filter(ImageFilter.GaussianBlur(blur)) if blur else picture


def screenshot(*faces: tuple[Image.Image, int, int], size: tuple[int, int] = (640, 320), seed: int = 0) -> bytes:
    """A PNG of a smooth background with faces at (left, top), each with a mark below that gives its side."""
    coarse = np.random.default_rng(seed).integers(0, 200, (3, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    for drawn, left, top in faces:
        picture.paste(drawn, (left, top))
        picture.putpixel((left, top + drawn.height + BELOW_PX), MARK)
        picture.putpixel((left + 1, top + drawn.height + BELOW_PX), (drawn.width, 0, 0))
    return encoded(picture)


def find(image: np.ndarray) -> list[list[float]]:
    """The faces by their marks, from the right; the score is the side over 10."""
    found = []
    for y, x in np.argwhere((image == MARK).all(axis=2))[::-1].tolist():
        side = int(image[y, x + 1, 0])
        found.append([x, y - BELOW_PX - side, x + side, y - BELOW_PX, side / 10])
    return found


def find_nothing(image: np.ndarray) -> list[list[float]]:
    """No faces."""
    return []


def fail(image: np.ndarray) -> None:
    """Raises."""
    raise RuntimeError("out of ideas\nin two lines")


def four_numbers(image: np.ndarray) -> list[list[float]]:
    """Boxes without scores."""
    return [[0, 0, 9, 9]]


def backwards(image: np.ndarray) -> list[list[float]]:
    """A box whose right is left of its left."""
    return [[9, 0, 0, 9, 1]]


def words(image: np.ndarray) -> list[str]:
    """No numbers."""
    return ["left"]


NUMBER = 3
