"""VGG16's convolutions (arXiv 1409.1556, Table 1, column D), with the feature maps that LPIPS compares.

Names of tensors are torchvision's: `features.<position>.weight`, a position for every convolution, ReLU and pool.
"""

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
#: Channels of the maps, one after the last ReLU of each stage.
MAP_WIDTHS = tuple(stage[-1] for stage in STAGES)
#: Tensors of the published file that are not needed here.
UNUSED_TENSORS = ("classifier.",)
MIN_PX = 16  # four halvings


class VggFeatures(nn.Module):
    """The thirteen convolutions of 3 x 3."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        self.positions: list[list[str]] = []
        below, position = 3, 0
        for stage in STAGES:
            names = []
            for width in stage:
                names.append(str(position))
                self.features[names[-1]] = nn.Conv2d(below, width, 3, padding=1)
                below = width
                position += 2  # the convolution and its ReLU
            self.positions.append(names)
            position += 1  # the pool

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map standardised float `[N, 3, H, W]`, at least 16 px a side, to five maps, each half the last's size."""
        maps: list[Tensor] = []
        for names in self.positions:
            if maps:
                images = F.max_pool2d(images, 2)
            for name in names:
                images = F.relu(self.features[name](images))
            maps.append(images)
        return maps
