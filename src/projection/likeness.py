"""How alike a reconstruction and its picture are, by a measure that no projection minimises."""

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_PX = 256
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def structural_similarity(images: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity (SSIM, Wang et al. 2004) of pairs of pictures uint8 `[N, 3, r, r]`, on luma.

    They are compared at 256 px where they are larger. Returned are float32 `[N]`: 1 for equal pictures, about 0 for
    unrelated ones.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    values = structural_similarity_index_measure(_luma(images), _luma(targets), data_range=255.0, reduction="none")
    assert isinstance(values, Tensor)
    return values.reshape(len(images))


def _luma(pictures: Tensor) -> Tensor:
    luma = (pictures.float() * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return luma if luma.shape[-1] <= MAX_PX else F.interpolate(luma, (MAX_PX, MAX_PX), mode="area")
