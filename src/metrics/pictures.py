"""What an extractor takes."""

import torch
from torch import Tensor


def check_uint8(images: Tensor) -> None:
    """Raise a ValueError unless a tensor is uint8 `[N, 3, H, W]`, the values that a PNG would hold."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"an extractor takes uint8 [N, 3, H, W], not {images.dtype} {list(images.shape)}")
