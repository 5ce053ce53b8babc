"""Pictures as tensors: one pair of converters, grids, atomic writing.

Inside the program images are float32 [-1, 1]; outside they are uint8. `to_uint8` and `to_float` are the only bridge.
"""

import base64
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..files import atomic_write


def to_float(images: Tensor) -> Tensor:
    """uint8 `[..., 3, H, W]` to float32 in [-1, 1] (x / 127.5 - 1)."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Float `[..., 3, H, W]`, about [-1, 1], to uint8 (x · 127.5 + 128, clamped, truncated)."""
    return (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def image_grid(images: Tensor, columns: int) -> Tensor:
    """Arrange uint8 `[N, 3, H, W]` in rows of `columns`: uint8 `[rows·H, columns·W, 3]`, the rest black."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    grid = torch.zeros([rows * columns, c, h, w], dtype=torch.uint8)
    grid[:n] = images.cpu()
    return grid.reshape(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)


def save_jpeg(path: str | Path, image: Tensor | np.ndarray, quality: int = 90) -> Path:
    """Write uint8 `[H, W, 3]` as JPEG, whole or not at all."""
    return _save(Path(path), image, "JPEG", quality=quality, subsampling=0)


def save_png(path: str | Path, image: Tensor | np.ndarray) -> Path:
    """Write uint8 `[H, W, 3]`, or with alpha `[H, W, 4]`, as PNG, whole or not at all."""
    return _save(Path(path), image, "PNG")


def jpeg_text(image: Tensor | np.ndarray | Image.Image, width: int, quality: int = 84, subsampling: int = 2) -> str:
    """Encode a picture (an array is uint8 `[H, W, 3]`) as a JPEG at most so many px wide, in base64 for a page."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(np.ascontiguousarray(image))
    if picture.width > width:
        size = width, max(round(picture.height * width / picture.width), 1)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return base64.b64encode(buffer.getvalue()).decode()


def _save(path: Path, image: Tensor | np.ndarray, kind: str, **options: int) -> Path:
    array = image.cpu().numpy() if isinstance(image, Tensor) else image
    encoded = io.BytesIO()  # into a file Pillow would not notice that a full disk has taken a part alone
    Image.fromarray(np.ascontiguousarray(array)).save(encoded, kind, **options)
    with atomic_write(path) as partial:
        partial.write_bytes(encoded.getvalue())
    return path
