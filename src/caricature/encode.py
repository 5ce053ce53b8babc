"""Pictures as text, for a page that is one file."""

import base64
import io

import numpy as np
from PIL import Image
from torch import Tensor

FACE_PX, QUALITY = 256, 84


def face_text(picture: Tensor) -> str:
    """Encode a picture, uint8 `[3, r, r]`, as a JPEG of at most 256 px in base64."""
    return jpeg_text(picture.permute(1, 2, 0).numpy(), FACE_PX)


def jpeg_text(pixels: np.ndarray, width: int) -> str:
    """Encode uint8 `[H, W, 3]` as a JPEG at most so wide, in base64."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.width > width:
        image = image.resize((width, max(round(image.height * width / image.width), 1)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
