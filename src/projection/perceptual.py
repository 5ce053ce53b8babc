"""How different two pictures look: pyramid differences of pixels and of the embedded network's feature maps.

Not LPIPS: no network trained on human judgements is used, and its numbers are not comparable with LPIPS.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..metrics.extractors import EmbeddedExtractor, EmbeddedNetwork, get_extractor, resize_to_embedded

FEATURE_WEIGHT, PIXEL_WEIGHT = 1.0, 1.0
PYRAMID_LEVELS = 4


class PerceptualDistance(nn.Module):
    """Distance of image pairs, differentiable in the first.

    The sum over feature maps of the squared difference of unit-length channel vectors (as in LPIPS, arXiv 1801.03924,
    Eq. 1, without learned weights) plus the mean absolute difference of pixels at four scales.
    """

    def __init__(self) -> None:
        super().__init__()
        extractor = get_extractor("embedded")
        assert isinstance(extractor, EmbeddedExtractor)
        self.network: EmbeddedNetwork = extractor.network

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Measure `[N]` distances of float images `[N, 3, H, W]` in [-1, 1] from targets of the same shape."""
        return self.compare(images, self.describe(targets))

    def describe(self, targets: Tensor) -> list[Tensor]:
        """What `compare` needs of targets, computed once: their pyramid and feature maps."""
        return [*_pyramid(targets), *self._unit_maps(targets)]

    def compare(self, images: Tensor, described: list[Tensor]) -> Tensor:
        """Measure `[N]` distances from targets described before."""
        pyramid, maps = described[:PYRAMID_LEVELS], described[PYRAMID_LEVELS:]
        distance = torch.zeros([len(images)])
        for ours, theirs in zip(_pyramid(images), pyramid, strict=True):
            distance = distance + PIXEL_WEIGHT / PYRAMID_LEVELS * (ours - theirs).abs().mean(dim=(1, 2, 3))
        for ours, theirs in zip(self._unit_maps(images), maps, strict=True):
            distance = distance + FEATURE_WEIGHT * (ours - theirs).square().sum(dim=1).mean(dim=(1, 2))
        return distance

    def _unit_maps(self, images: Tensor) -> list[Tensor]:
        return [F.normalize(m, dim=1) for m in self.network.maps(resize_to_embedded(images))]


def _pyramid(images: Tensor) -> list[Tensor]:
    levels = [images]
    for _ in range(PYRAMID_LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels
