"""How different two pictures look: LPIPS where its weights are, a distance of this project's own otherwise.

The own one compares pyramids of pixels and feature maps of the embedded network. It is not LPIPS: nothing in it was
fitted to human judgements, and its numbers are not comparable with LPIPS.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..metrics import (
    EmbeddedExtractor,
    EmbeddedNetwork,
    get_extractor,
    load_lpips,
    lpips_is_on_disk,
    resize_to_embedded,
)

KINDS = ("auto", "lpips", "embedded")
FEATURE_WEIGHT, PIXEL_WEIGHT = 1.0, 1.0
PYRAMID_LEVELS = 4
LPIPS_MAX_PX = 256


class Distance(nn.Module):
    """What the projector asks of a distance."""

    name: str  # what was measured, for reports

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Measure `[N]` distances of float images `[N, 3, H, W]` in [-1, 1] from targets of the same shape."""
        return self.compare(images, self.describe(targets))

    def describe(self, targets: Tensor) -> list[Tensor]:
        """What `compare` needs of float targets `[N, 3, H, W]` in [-1, 1], computed once."""
        raise NotImplementedError

    def compare(self, images: Tensor, described: list[Tensor]) -> Tensor:
        """Measure `[N]` distances of images from targets described before, differentiable in the images."""
        raise NotImplementedError


def perceptual_distance(
    kind: str = "auto",
    *,
    device: torch.device | str = "cpu",
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> Distance:
    """Return a distance.

    Args:
        kind: `"lpips"` (fetches its weights), `"embedded"`, or `"auto"`: LPIPS when both its files are on disk.
        device: of the pictures.
        weights_folder: where the weights of LPIPS lie and come from.

    Raises:
        UserError: for another kind, or when the weights of `"lpips"` cannot be had.
    """
    if kind not in KINDS:
        raise UserError(f"perceptual distance {kind!r}: choose {', '.join(KINDS)}")
    if kind == "lpips" or (kind == "auto" and lpips_is_on_disk(weights_folder)):
        return LpipsDistance(device=device, weights_folder=weights_folder)
    return PerceptualDistance(device=device)


class LpipsDistance(Distance):
    """LPIPS v0.1 with VGG16; pictures above 256 px are averaged down to 256 px first, as in StyleGAN2's projector."""

    name = "lpips-vgg-0.1"

    def __init__(self, *, device: torch.device | str = "cpu", weights_folder: WeightsFolder = DEFAULT_FOLDER) -> None:
        super().__init__()
        self.network = load_lpips(device, weights_folder)

    def describe(self, targets: Tensor) -> list[Tensor]:
        """What `compare` needs of targets, computed once: their feature maps."""
        return self.network.describe(_at_most(targets, LPIPS_MAX_PX))

    def compare(self, images: Tensor, described: list[Tensor]) -> Tensor:
        """Measure `[N]` distances from targets described before."""
        return self.network.compare(_at_most(images, LPIPS_MAX_PX), described)


class PerceptualDistance(Distance):
    """Distance of image pairs, differentiable in the first.

    The sum over feature maps of the squared difference of unit-length channel vectors (as in LPIPS, arXiv 1801.03924,
    Eq. 1, without learned weights) plus the mean absolute difference of pixels at four scales.
    """

    name = "embedded"

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        super().__init__()
        extractor = get_extractor("embedded", device=str(device))
        assert isinstance(extractor, EmbeddedExtractor)
        self.network: EmbeddedNetwork = extractor.network

    def describe(self, targets: Tensor) -> list[Tensor]:
        """What `compare` needs of targets, computed once: their pyramid and feature maps."""
        return [*_pyramid(targets), *self._unit_maps(targets)]

    def compare(self, images: Tensor, described: list[Tensor]) -> Tensor:
        """Measure `[N]` distances from targets described before."""
        pyramid, maps = described[:PYRAMID_LEVELS], described[PYRAMID_LEVELS:]
        distance = torch.zeros([len(images)], device=images.device)
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


def _at_most(images: Tensor, side: int) -> Tensor:
    return images if images.shape[-1] <= side else F.interpolate(images, (side, side), mode="area")
