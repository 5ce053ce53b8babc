"""DINOv2's vision transformer ViT-L/14 (arXiv 2304.07193; ViT: arXiv 2010.11929), and its class token as features.

Inception's features know ImageNet's classes, and photographs of faces that differ for a person may be alike for them;
distances on DINOv2's follow people's judgements better (Stein et al., arXiv 2306.04675, who call the Fréchet distance
FD-DINOv2 and use this network). Names of tensors are those of the published state dict.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import file_sha256
from ..weights import load_matching, read_state_dict
from . import published
from .network_extractor import NetworkExtractor

INPUT_PX, PATCH_PX, TRAINED_PX = 224, 14, 518  # of pictures, patches, and the pictures that position codes are made for
OFFSET = 0.1  # added to the number of patches a side when position codes are resized, as the published network does
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures, in [0, 1]
EPS = 1e-6
#: Tensors of the published file that are not needed here: the token of masked patches.
UNUSED_TENSORS = ("mask_token",)


@dataclass(frozen=True)
class Size:
    """Of a transformer."""

    width: int
    depth: int
    heads: int


VIT_L = Size(width=1024, depth=24, heads=16)


class VisionTransformer(nn.Module):
    """Patches to tokens, blocks of attention and perceptrons, the normalised class token."""

    def __init__(self, size: Size = VIT_L) -> None:
        super().__init__()
        self.num_features = size.width
        self.cls_token = nn.Parameter(torch.zeros([1, 1, size.width]))
        self.pos_embed = nn.Parameter(torch.zeros([1, 1 + (TRAINED_PX // PATCH_PX) ** 2, size.width]))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, size.width, PATCH_PX, stride=PATCH_PX)})
        self.blocks = nn.ModuleList([Block(size) for _ in range(size.depth)])
        self.norm = nn.LayerNorm(size.width, eps=EPS)

    def forward(self, images: Tensor) -> Tensor:
        """Map standardised float `[N, 3, H, W]`, sides multiples of 14 px, to features `[N, width]`."""
        patches = self.patch_embed["proj"](images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).mT], dim=1)
        tokens = tokens + self.positions(patches.shape[-2], patches.shape[-1])
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, 0])

    def positions(self, rows: int, columns: int) -> Tensor:
        """Position codes `[1, 1 + rows · columns, width]`, resized from those of 37 by 37 patches."""
        trained = TRAINED_PX // PATCH_PX
        if (rows, columns) == (trained, trained):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].mT.unflatten(2, (trained, trained))
        scale = ((rows + OFFSET) / trained, (columns + OFFSET) / trained)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).mT], dim=1)


class Block(nn.Module):
    """Attention, then a perceptron of four times the width, each normalised before and scaled by channel after."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.width
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=EPS), nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, size.heads)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": torch.ones([width])}) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[N, T, width]`."""
        x = x + self.ls1["gamma"] * self.attn(self.norm1(x))
        return x + self.ls2["gamma"] * self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class Attention(nn.Module):
    """Self-attention of several heads (arXiv 1706.03762, Sec. 3.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[N, T, width]`."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def standardised(images: Tensor) -> Tensor:
    """Bring uint8 `[N, 3, H, W]` to 224 px, bicubic as Pillow does, and to ImageNet's mean and spread."""
    values = images.float()
    if images.shape[-2:] != (INPUT_PX, INPUT_PX):
        values = F.interpolate(values, (INPUT_PX, INPUT_PX), mode="bicubic", antialias=True).round().clamp(0, 255)
    mean, std = (torch.tensor(each, device=images.device).view(3, 1, 1) for each in (MEAN, STD))
    return (values / 255 - mean) / std


def dinov2_extractor(network: VisionTransformer, *, sha256: str, device: torch.device) -> NetworkExtractor:
    """The extractor of a transformer."""
    resizer = f"bicubic-antialias-{INPUT_PX}"
    return NetworkExtractor(
        "dinov2",
        "fd_dinov2",
        lambda images: network(standardised(images)),
        network.num_features,
        sha256,
        resizer,
        device,
        batch=16,
    )


def load_dinov2(device: torch.device, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> NetworkExtractor:
    """Load the extractor.

    Args:
        device: where it runs.
        weights_folder: where the published file lies and comes from.

    Raises:
        UserError: when it cannot be had, or is another network.
    """
    path = weights_folder.fetch(published.DINOV2)
    network = VisionTransformer()
    load_matching(network, read_state_dict(path), path, ignore=UNUSED_TENSORS)
    network = network.eval().requires_grad_(False).to(device)
    return dinov2_extractor(network, sha256=file_sha256(path), device=device)
