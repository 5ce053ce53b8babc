"""Sheets of pictures with captions, and rendering in chunks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..data import image_grid, save_jpeg, save_png, to_uint8
from ..errors import UserError
from ..networks import Generator

MAX_JPEG_PX, MAX_SHEET_PIXELS = 65_500, 600_000_000
GROUND, INK, FRAME = 255, 40, (214, 40, 57)


def render(G: Generator, ws: Tensor, noise: str) -> Iterator[Tensor]:
    """Render codes `[N, L, w_dim]`: chunks of uint8 `[n, 3, H, W]` on the CPU.

    Random noise is drawn for each picture from its number, so that a picture does not depend on its neighbours.
    """
    size = 1 if noise == "random" else G.chunk_size
    for i, codes in enumerate(ws.split(size)):
        with torch.inference_mode():
            generator = torch.Generator(device=ws.device).manual_seed(i) if noise == "random" else None
            images = G.synthesis(codes, noise=noise, generator=generator)
        yield to_uint8(images).cpu()


def check_size(rows: int, columns: int, side: int, kind: str) -> None:
    """Refuse a sheet that is too large to write."""
    height, width = rows * side, columns * side
    if height * width > MAX_SHEET_PIXELS or (kind == "jpg" and max(height, width) > MAX_JPEG_PX):
        raise UserError(f"a sheet of {width}x{height} px is too large to write: give fewer seeds, columns or codes")


def make_sheet(
    pictures: Tensor,
    columns: int,
    *,
    above: Sequence[str] | None = None,
    left: Sequence[str] | None = None,
    framed: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """Arrange pictures uint8 `[N, 3, H, W]` in rows: uint8 `[H, W, 3]`.

    A caption a column stands over the columns, a caption a row left of the rows; the pictures at `framed` (row, column)
    get a frame.
    """
    grid = image_grid(pictures, columns).numpy()
    if above is None and left is None and not framed:
        return grid
    side = pictures.shape[-1]
    font = ImageFont.load_default(size=min(max(side // 8, 10), 48))
    margin_x = 0 if left is None else max(round(font.getlength(text)) for text in left) + 8
    margin_y = 0 if above is None else round(sum(font.getbbox("Ag")[1::2])) + 2
    sheet = Image.new("RGB", (margin_x + grid.shape[1], margin_y + grid.shape[0]), (GROUND,) * 3)
    sheet.paste(Image.fromarray(grid), (margin_x, margin_y))
    draw = ImageDraw.Draw(sheet)
    for i, text in enumerate(above or ()):
        draw.text((margin_x + (i + 0.5) * side, margin_y / 2), text, (INK,) * 3, font, anchor="mm")
    for i, text in enumerate(left or ()):
        draw.text((margin_x - 4, margin_y + (i + 0.5) * side), text, (INK,) * 3, font, anchor="rm")
    for row, column in framed:
        x, y = margin_x + column * side, margin_y + row * side
        draw.rectangle((x, y, x + side - 1, y + side - 1), outline=FRAME, width=max(side // 24, 2))
    return np.asarray(sheet)


def save_sheet(path: Path, sheet: np.ndarray) -> Path:
    """Write a sheet as its suffix says, whole or not at all."""
    return save_png(path, sheet) if path.suffix == ".png" else save_jpeg(path, sheet, quality=93)
