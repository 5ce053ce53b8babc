"""Contact sheets: all pictures of a set, small, each above the number by which `drop=` leaves it out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..data import save_jpeg

COLUMNS, ROWS, CELL_PX, CAPTION_PX = 12, 8, 112, 14


def write_contact_sheets(folder: Path, pictures: Sequence[tuple[str, Path]]) -> list[Path]:
    """Write captions and PNGs as pages of 12 x 8, `contact-000.jpg`, …, and remove those of an earlier, longer set."""
    folder.mkdir(parents=True, exist_ok=True)
    per_page = COLUMNS * ROWS
    pages = []
    for first in range(0, len(pictures), per_page):
        page = _page(pictures[first : first + per_page])
        pages.append(save_jpeg(folder / f"contact-{first // per_page:03d}.jpg", page, quality=85))
    for old in folder.glob("contact-*.jpg"):
        if old not in pages:
            old.unlink()
    return pages


def _page(pictures: Sequence[tuple[str, Path]]) -> np.ndarray:
    rows = -(-len(pictures) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * CELL_PX, rows * (CELL_PX + CAPTION_PX)), (255, 255, 255))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default()
    for i, (caption, path) in enumerate(pictures):
        left, top = i % COLUMNS * CELL_PX, i // COLUMNS * (CELL_PX + CAPTION_PX)
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((CELL_PX - 4, CELL_PX - 4), Image.Resampling.LANCZOS)
        page.paste(small, (left + 2, top + 2))
        draw.text((left + CELL_PX // 2, top + CELL_PX - 1), caption, fill=(0, 0, 0), font=font, anchor="ma")
    return np.asarray(page)
