"""A published network as a `FeatureExtractor`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..device import float32_in
from .pictures import check_uint8


@dataclass
class NetworkExtractor:
    """It runs in float32, without TF32."""

    name: str  # as in `metrics.extractor=`
    frechet_name: str  # key of the Fréchet distance of its features in rows
    network: Callable[[Tensor], Tensor]  # maps uint8 `[N, 3, H, W]` to `[N, num_features]`, resizing by itself
    num_features: int
    sha256: str  # of its weights
    resizer: str  # name of its resize
    device: torch.device  # where it is
    batch: int = 32  # pictures at a time

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 `[N, 3, H, W]` to float32 `[N, num_features]` on the CPU.

        Raises:
            ValueError: for anything but uint8 pictures.
        """
        check_uint8(images)
        parts = [torch.zeros([0, self.num_features])]
        with float32_in(tf32=False):
            for part in images.split(self.batch) if len(images) else ():
                parts.append(self.network(part.to(self.device)).float().cpu())
        return torch.cat(parts)
