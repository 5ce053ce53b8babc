"""LPIPS v0.1 on VGG16 (arXiv 1801.03924, Eq. 1): how different two pictures look, fitted to human judgements.

Both weight files are other projects' and pinned by sha256; see `published.py`.
"""

import functools

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..weights import load_matching, read_state_dict
from . import published
from .vgg import MAP_WIDTHS, MIN_PX, UNUSED_TENSORS, VggFeatures

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of RGB in [-1, 1], to ImageNet's mean and spread
NORM_EPS = 1e-10
SQRT_FLOOR = 1e-30  # keeps the gradient finite where all channels are 0; far below a float32 step of any other norm


class Lpips(nn.Module):
    """The distance, differentiable in its images."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = VggFeatures()
        self.heads = nn.ParameterList([nn.Parameter(torch.zeros([1, width, 1, 1])) for width in MAP_WIDTHS])
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)

    shift: Tensor
    scale: Tensor

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Measure `[N]` distances of float images `[N, 3, H, W]` in [-1, 1] from targets of the same shape."""
        return self.compare(images, self.describe(targets))

    def describe(self, targets: Tensor) -> list[Tensor]:
        """What `compare` needs of targets of at least 16 px: their five maps, of unit length at each place."""
        if min(targets.shape[-2:]) < MIN_PX:
            raise UserError(f"LPIPS of {targets.shape[-1]} px pictures: its network needs {MIN_PX} px; use embedded")
        maps = self.vgg((targets - self.shift) / self.scale)
        return [m / ((m.square().sum(dim=1, keepdim=True) + SQRT_FLOOR).sqrt() + NORM_EPS) for m in maps]

    def compare(self, images: Tensor, described: list[Tensor]) -> Tensor:
        """Measure `[N]` distances from targets described before."""
        distance = torch.zeros([len(images)], device=images.device)
        for head, ours, theirs in zip(self.heads, self.describe(images), described, strict=True):
            distance = distance + (head * (ours - theirs).square()).sum(dim=1).mean(dim=(1, 2))
        return distance


def lpips_is_on_disk(weights_folder: WeightsFolder = DEFAULT_FOLDER) -> bool:
    """Whether both weight files are there already."""
    return weights_folder.has(published.VGG16) and weights_folder.has(published.LPIPS_VGG)


@functools.cache
def load_lpips(device: torch.device | str = "cpu", weights_folder: WeightsFolder = DEFAULT_FOLDER) -> Lpips:
    """Load the network, once a device and folder.

    Raises:
        UserError: when a weight file cannot be had, or does not hold what it should.
    """
    vgg_path, heads_path = (weights_folder.fetch(file) for file in (published.VGG16, published.LPIPS_VGG))
    with torch.inference_mode(False):
        network = Lpips()
        load_matching(network.vgg, read_state_dict(vgg_path), vgg_path, ignore=UNUSED_TENSORS)
        heads = {
            name.removeprefix("lin").removesuffix(".model.1.weight"): value
            for name, value in read_state_dict(heads_path).items()
        }
        load_matching(network.heads, heads, heads_path, ignore=())
        return network.eval().requires_grad_(False).to(device)
