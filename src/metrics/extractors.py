"""Feature extractors: pictures to vectors, for distances between sets of pictures.

`embedded` is a small network of this project, shipped with it, so that every number can be computed offline. Its
numbers compare snapshots of one run with each other; they are not comparable with published FID or KID. `inception` is
the network that FID is defined on, `dinov2` one that knows photographs better; their weights are files of others.
"""

import functools
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import file_sha256
from .dinov2 import load_dinov2
from .inception_extractor import load_inception
from .pictures import check_uint8

EMBEDDED_FILE = Path(__file__).parent / "embedded.safetensors"
EMBEDDED_SHA256 = "e992bd39f25a52d5dc63138ff043c607f368ffebc3c741f11f0e233b46f68b02"
EMBEDDED_PX = 64
BATCH = 64


class FeatureExtractor(Protocol):
    """What metrics ask of an extractor."""

    name: str  # as in `metrics.extractor=`
    frechet_name: str  # what the Fréchet distance of its features is called: `"fid"` is Inception's alone
    sha256: str  # of its weights
    resizer: str  # how pictures are brought to its input size
    num_features: int  # length of a feature vector

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 `[N, 3, H, W]` to float32 `[N, num_features]`, each row by itself."""
        ...


class EmbeddedNetwork(nn.Module):
    """Four stages of two convolutions with group normalisation, 64 px to 4 px.

    Group normalisation sees one picture at a time, so a picture's features do not depend on its batch.
    """

    WIDTHS = (32, 64, 96, 128)
    POOLED = (1, 2, 3)  # stages whose spatial means are the features

    def __init__(self) -> None:
        super().__init__()
        stages = []
        below = 3
        for width in self.WIDTHS:
            stages.append(
                nn.Sequential(
                    nn.Conv2d(below, width, 3, stride=2, padding=1),
                    nn.GroupNorm(8, width),
                    nn.SiLU(),
                    nn.Conv2d(width, width, 3, padding=1),
                    nn.GroupNorm(8, width),
                    nn.SiLU(),
                )
            )
            below = width
        self.stages = nn.ModuleList(stages)
        self.num_features = sum(self.WIDTHS[i] for i in self.POOLED)
        self.register_buffer("feature_mean", torch.zeros([self.num_features]))
        self.register_buffer("feature_std", torch.ones([self.num_features]))

    feature_mean: Tensor
    feature_std: Tensor

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the four stages, `[N, C, r, r]`, r = 32, 16, 8, 4.

        Args:
            images: float32 `[N, 3, 64, 64]` in [-1, 1].
        """
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 `[N, 3, 64, 64]` in [-1, 1] to standardised features `[N, num_features]`."""
        maps = self.maps(images)
        pooled = torch.cat([maps[i].mean(dim=(2, 3)) for i in self.POOLED], dim=1)
        return (pooled - self.feature_mean) / self.feature_std


def resize_to_embedded(images: Tensor) -> Tensor:
    """Bring float `[N, 3, H, W]` to 64 px: antialiased bilinear, differentiable."""
    if images.shape[-2:] == (EMBEDDED_PX, EMBEDDED_PX):
        return images
    size = (EMBEDDED_PX, EMBEDDED_PX)
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


class EmbeddedExtractor:
    """The shipped network as a `FeatureExtractor`.

    Args:
        device: where it runs.
    """

    name = "embedded"
    frechet_name = "frechet"
    resizer = "bilinear-antialias-64"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.sha256 = file_sha256(EMBEDDED_FILE)
        if self.sha256 != EMBEDDED_SHA256:
            raise UserError(f"{EMBEDDED_FILE} is not the file of this version (its sha256 differs): check it out again")
        self.network = EmbeddedNetwork()
        self.network.load_state_dict({k: v.float() for k, v in load_file(EMBEDDED_FILE).items()})
        self.network.eval().requires_grad_(False).to(self.device)
        self.num_features = self.network.num_features

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 `[N, 3, H, W]` to float32 `[N, num_features]` on the CPU."""
        check_uint8(images)
        if not len(images):
            return torch.zeros([0, self.num_features])
        parts = [resize_to_embedded(part.to(self.device).float() / 127.5 - 1) for part in images.split(BATCH)]
        return torch.cat([self.network(part) for part in parts]).cpu()


@functools.cache
def get_extractor(
    name: str,
    *,
    weights: str = "published",
    weights_sha256: str | None = None,
    device: torch.device | str = "cpu",
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> FeatureExtractor:
    """Return an extractor by name, loaded once.

    Args:
        name: `"embedded"`, `"inception"` or `"dinov2"`.
        weights: of `"inception"`: `"published"`, or `"nvidia"` for the TorchScript file.
        weights_sha256: of that TorchScript file.
        device: where it runs.
        weights_folder: where published weights lie and come from.

    Raises:
        UserError: for a name that this version does not have, or when its weights cannot be had.
    """
    with torch.inference_mode(False):  # whoever asks first: its tensors serve with gradients too (projection)
        if name == "embedded":
            return EmbeddedExtractor(device)
        if name == "inception":
            return load_inception(weights, weights_sha256, torch.device(device), weights_folder)
        if name == "dinov2":
            return load_dinov2(torch.device(device), weights_folder)
    raise UserError(f"metrics.extractor={name}: there are embedded, inception and dinov2")
