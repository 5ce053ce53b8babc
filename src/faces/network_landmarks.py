"""Landmarks by this project's own network: for drawn portraits, and offline.

A small hourglass regresses 68 heat maps at a quarter of 64 px, and their means are the landmarks (integral regression:
Sun et al., ECCV 2018, arXiv 1711.08229). It sees luminance with its local contrast normalised, so that the rendering
matters little, and each picture with its mirror image: where the two disagree, no face is seen. Where the face is not
in the middle it looks again with the face there, so that what it finds does not hang on the place. It was trained on
procedural portraits alone (`experiments/landmark_network`): on photographs it finds a face's place, not its shape.
"""

import functools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..data import gaussian_blur
from ..errors import UserError
from ..files import file_sha256
from .align import NUM_LANDMARKS
from .face import Face

WEIGHTS = Path(__file__).parent / "landmarks.safetensors"
WEIGHTS_SHA256 = "bd676411a043a3ee4303c3a410c1d63d4bd9bfebfd59ef88dffed984b5f93420"
INPUT_PX, MAP_PX = 64, 16
CONTRAST_PX, CONTRAST_REACH, CONTRAST_FLOOR = 6.0, 2.5, 0.02  # of the local contrast; luminance is in [0, 1]
LUMA = (0.299, 0.587, 0.114)
MIDDLE = (0.5, 0.625)  # mean of a portrait's landmarks, in parts of the side
BATCH, CPU = 64, torch.device("cpu")
MAX_DISAGREEMENT = 0.14  # of a picture and its mirror image, in radii of the face
KNOWN_DISAGREEMENT = 0.055  # median of sets like those it was trained on: .03 to .045, photographs .065 to .085
#: Where each landmark (iBUG 300-W order) is in the mirror image.
MIRRORED = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
]  # fmt: skip


class LandmarkNetwork(nn.Module):
    """64 px of normalised luminance `[N, 1, 64, 64]` to 68 points: four stages down, two up, one map a point."""

    WIDTHS = (24, 40, 56, 88)
    places: Tensor
    middle: Tensor

    def __init__(self) -> None:
        super().__init__()
        w1, w2, w3, w4 = self.WIDTHS
        self.down1 = nn.Sequential(_conv(1, w1, stride=2, kernel=5), _conv(w1, w1))
        self.down2 = nn.Sequential(_conv(w1, w2, stride=2), _conv(w2, w2))
        self.down3 = nn.Sequential(_conv(w2, w3, stride=2), _conv(w3, w3), _conv(w3, w3))
        self.down4 = nn.Sequential(_conv(w3, w4, stride=2), _conv(w4, w4), _conv(w4, w4))
        self.up3, self.merge3 = nn.Conv2d(w4, w3, 1), _conv(w3, w3)
        self.up2, self.merge2 = nn.Conv2d(w3, w2, 1), _conv(w2, w2)
        self.maps = nn.Conv2d(w2, NUM_LANDMARKS, 1)
        self.register_buffer("places", (torch.arange(MAP_PX) + 0.5) / MAP_PX, persistent=False)
        self.register_buffer("middle", torch.tensor(MIDDLE), persistent=False)

    def forward(self, luma: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points `[N, 68, 2]` (x, y) in parts of the side, and the variance of each map about its mean."""
        fine = self.down2(self.down1(luma))
        middle = self.down3(fine)
        middle = self.merge3(middle + _doubled(self.up3(self.down4(middle))))
        fine = self.merge2(fine + _doubled(self.up2(middle)))
        weight = self.maps(fine).flatten(2).softmax(dim=2).unflatten(2, (MAP_PX, MAP_PX))
        across, down, places = weight.sum(dim=2), weight.sum(dim=3), self.places
        x, y = across @ places, down @ places
        variance = across @ places.square() - x.square() + down @ places.square() - y.square()
        return torch.stack([x, y], dim=2), variance


class NetworkLandmarks:
    """The shipped network as a provider of landmarks, for pictures that hold one aligned face each.

    Args:
        device: where it runs.

    Raises:
        UserError: when its file is not the shipped one.
    """

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        self.network = load_landmark_network(torch.device(device))

    def find(self, image: NDArray[np.uint8], name: str) -> list[Face]:
        """Return the one face of an aligned picture, or none; the score is 1 where the mirror image agrees."""
        height, width = image.shape[:2]
        points, disagreement = predict_landmarks(self.network, torch.from_numpy(image).permute(2, 0, 1)[None])
        if float(disagreement[0]) > MAX_DISAGREEMENT:
            return []
        pixels = points[0].double().cpu().numpy() * [width, height] - 0.5
        return [Face(pixels, 1 - float(disagreement[0]) / MAX_DISAGREEMENT)]

    def knows(self, images: Tensor) -> bool:
        """Whether pictures, uint8 `[N, 3, H, W]`, are drawn as those it was trained on."""
        return float(predict_landmarks(self.network, images)[1].median()) <= KNOWN_DISAGREEMENT

    def identity(self, name: str) -> str:
        """The hash of the weights."""
        return f"network {WEIGHTS_SHA256[:12]} {MAX_DISAGREEMENT} twice"


@torch.inference_mode()
def predict_landmarks(network: LandmarkNetwork, images: Tensor) -> tuple[Tensor, Tensor]:
    """Find the landmarks of pictures that hold one aligned face each.

    Args:
        network: see `load_landmark_network`.
        images: uint8 `[N, 3, H, W]`.

    Returns:
        Points `[N, 68, 2]` (x, y) in parts of the side, the mean of those in the picture and in its mirror image; and
        how far the two lie apart `[N]`, in rms radii of the face. Both are on the network's device.
    """
    points, apart = [], []
    for part in images.split(BATCH):
        luma = normalised(luminance(part.to(network.places.device)))
        seen, mirrored = _both_ways(network, luma)
        move = ((torch.stack([seen, mirrored]).mean(dim=(0, 2)) - network.middle) * INPUT_PX).round()
        if (away := move.any(dim=1)).any():
            seen[away], mirrored[away] = _both_ways(network, _moved(luma[away], move[away].long()))
        mean = (seen + mirrored) / 2
        points.append(mean + move[:, None] / INPUT_PX)
        apart.append(rms_radius(seen - mirrored, centred=False) / rms_radius(mean))
    return torch.cat(points), torch.cat(apart)


def _both_ways(network: LandmarkNetwork, luma: Tensor) -> tuple[Tensor, Tensor]:
    """Points in pictures, and those in their mirror images as points of the pictures."""
    luma = luma.contiguous(memory_format=torch.channels_last)
    return network(luma)[0], unmirrored(network(luma.flip(3))[0])


def _moved(luma: Tensor, move: Tensor) -> Tensor:
    """Pictures `[N, 1, H, W]` from so many pixels `[N, 2]` (x, y) further on, continued beyond their edges."""
    height, width = luma.shape[2:]
    x, y = (
        (torch.arange(side, device=luma.device) + move[:, [k]]).clamp(0, side - 1)
        for k, side in enumerate((width, height))
    )
    rows = luma.gather(2, y[:, None, :, None].expand_as(luma))
    return rows.gather(3, x[:, None, None].expand_as(luma))


@functools.cache
def load_landmark_network(device: torch.device = CPU) -> LandmarkNetwork:
    """Load the shipped network."""
    if not WEIGHTS.is_file() or file_sha256(WEIGHTS) != WEIGHTS_SHA256:
        raise UserError(f"{WEIGHTS} is not the file of this version (its sha256 differs): check it out again")
    network = LandmarkNetwork()
    state = load_file(WEIGHTS)
    network.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    )
    network = network.eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, nn.Sequential) and isinstance(layer[-1], nn.ReLU):
            _fold_normalisation(layer)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # a fifth faster on a processor


def luminance(images: Tensor) -> Tensor:
    """Uint8 `[N, 3, H, W]` as luminance in [0, 1] at the network's size, `[N, 1, 64, 64]`."""
    red, green, blue = images.unbind(dim=1)
    luma = red[:, None] * LUMA[0]
    luma.add_(green[:, None], alpha=LUMA[1]).add_(blue[:, None], alpha=LUMA[2])
    if luma.shape[2:] != (INPUT_PX, INPUT_PX):
        luma = F.interpolate(luma, (INPUT_PX, INPUT_PX), mode="bilinear", antialias=True)
    return luma / 255


def normalised(luma: Tensor) -> Tensor:
    """Luminance `[N, 1, H, W]` less its local mean, over its local standard deviation."""
    blurred = functools.partial(gaussian_blur, sigma=CONTRAST_PX, reach=CONTRAST_REACH, edges="reflect")
    mean = blurred(luma)
    spread = (blurred(luma.square()) - mean.square()).clamp(min=0).sqrt()
    return (luma - mean) / (spread + CONTRAST_FLOOR)


def unmirrored(points: Tensor) -> Tensor:
    """Points `[N, 68, 2]` found in the mirror image, as points of the picture (or the other way round)."""
    points = points[:, MIRRORED]
    return torch.stack([1 - points[..., 0], points[..., 1]], dim=2)


def rms_radius(points: Tensor, *, centred: bool = True) -> Tensor:
    """Root mean square distance `[N]` of points `[N, P, 2]` from their mean, or from the origin."""
    points = points - points.mean(dim=1, keepdim=True) if centred else points
    return points.square().sum(dim=2).mean(dim=1).sqrt()


def _conv(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _fold_normalisation(layer: nn.Sequential) -> None:
    """Put the batch normalisation of a convolution, which is constant by now, into its weights."""
    convolution, normalisation = layer[0], layer[1]
    assert isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d)
    layer[0], layer[1] = fuse_conv_bn_eval(convolution, normalisation), nn.Identity()


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
