"""DINOv2's transformer against PyTorch's own layers, its input against Pillow, and its file."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from src.errors import UserError
from src.files import file_sha256
from src.metrics import Evaluator, get_extractor, published
from src.metrics.dinov2 import EPS, MEAN, STD, Size, VisionTransformer, standardised

from .test_inception import random_pictures

SMALL = Size(width=48, depth=2, heads=3)


def random_network():
    network = VisionTransformer(SMALL).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return network.requires_grad_(False)


def as_pytorchs(block):
    """A block as PyTorch's layer, the scales of channels taken into the weights before them."""
    layer = nn.TransformerEncoderLayer(
        SMALL.width, SMALL.heads, 4 * SMALL.width, 0.0, "gelu", EPS, batch_first=True, norm_first=True
    )
    first, second = block.ls1["gamma"], block.ls2["gamma"]
    layer.load_state_dict(
        {
            "self_attn.in_proj_weight": block.attn.qkv.weight,
            "self_attn.in_proj_bias": block.attn.qkv.bias,
            "self_attn.out_proj.weight": first[:, None] * block.attn.proj.weight,
            "self_attn.out_proj.bias": first * block.attn.proj.bias,
            "linear1.weight": block.mlp["fc1"].weight,
            "linear1.bias": block.mlp["fc1"].bias,
            "linear2.weight": second[:, None] * block.mlp["fc2"].weight,
            "linear2.bias": second * block.mlp["fc2"].bias,
            **{
                f"norm{i}.{part}": getattr(getattr(block, f"norm{i}"), part)
                for i in (1, 2)
                for part in ("weight", "bias")
            },
        }
    )
    return layer.eval()


def test_the_transformer_is_that_of_pytorchs_layers():
    network, images = random_network(), torch.randn([2, 3, 518, 518], generator=torch.Generator().manual_seed(1))
    patches = images.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).reshape(2, 37 * 37, -1)
    proj = network.patch_embed["proj"]
    tokens = torch.cat([network.cls_token.expand(2, -1, -1), patches @ proj.weight.flatten(1).T + proj.bias], dim=1)
    tokens = tokens + network.pos_embed
    for block in network.blocks:
        tokens = as_pytorchs(block)(tokens)
    expected = nn.functional.layer_norm(tokens[:, 0], [SMALL.width], network.norm.weight, network.norm.bias, EPS)
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


def test_position_codes_are_resized_as_the_published_network_does():
    """Cubic convolution (Keys, 1981) with a = -.75 at places (i + .5) * 37 / 16.1 - .5: .1 is added to the patches."""
    network = random_network()
    row = network.pos_embed[0, 1:38, 0].clone()
    network.pos_embed[:, 1:, 0] = row.repeat(37)  # each row of patches the same
    place = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5
    distance = (place[:, None] - torch.arange(-2, 39)).abs()
    near = 1.25 * distance**3 - 2.25 * distance**2 + 1
    far = -0.75 * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    weights = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    padded = torch.cat([row[:1], row[:1], row, row[-1:], row[-1:]])
    expected = (weights * padded).sum(dim=1).repeat(16)
    torch.testing.assert_close(network.positions(16, 16)[0, 1:, 0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(network.positions(37, 37), network.pos_embed)


@pytest.mark.parametrize("px", [64, 256, 224])
def test_the_input_is_pillows(px):
    pictures = random_pictures(1, px, seed=3, grain=5)
    theirs = Image.fromarray(pictures[0].permute(1, 2, 0).numpy()).resize((224, 224), Image.Resampling.BICUBIC)
    ours = standardised(pictures)[0].permute(1, 2, 0) * torch.tensor(STD) + torch.tensor(MEAN)
    assert np.abs(ours.numpy() * 255 - np.asarray(theirs, dtype=float)).max() < 1.01, "rounding"


def test_the_published_names_make_an_extractor(weights, pin, monkeypatch):
    monkeypatch.setattr(VisionTransformer.__init__, "__defaults__", (SMALL,))
    network = random_network()
    path = pin("DINOV2", weights, {**network.state_dict(), "mask_token": torch.zeros([1, SMALL.width])})
    extractor, pictures = get_extractor("dinov2"), random_pictures(5, 64, seed=1, grain=5)
    torch.testing.assert_close(extractor(pictures), network(standardised(pictures)), rtol=1e-4, atol=1e-4)
    row = Evaluator(extractor, [(picture, None) for picture in pictures], seed=0).evaluate([pictures], psi=1).row
    assert {"fd_dinov2", "fd_dinov2_bias", "kid"} <= row.keys()
    protocol = row["protocol"]
    assert (protocol["extractor"], protocol["resizer"]) == ("dinov2", "bicubic-antialias-224")
    assert protocol["extractor_sha256"] == file_sha256(path)


def test_the_names_are_those_of_the_published_file():
    assert set(VisionTransformer(Size(6, 1, 1)).state_dict()) == {
        *("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias", "norm.weight", "norm.bias"),
        *(f"blocks.0.{name}.{part}" for name in ("norm1", "attn.qkv", "attn.proj") for part in ("weight", "bias")),
        *(f"blocks.0.{name}.{part}" for name in ("norm2", "mlp.fc1", "mlp.fc2") for part in ("weight", "bias")),
        *("blocks.0.ls1.gamma", "blocks.0.ls2.gamma"),
    }


def test_without_its_file_the_message_says_which(weights, monkeypatch):
    nowhere = ("http://127.0.0.1:9/file.pth",)
    monkeypatch.setattr(
        published, "DINOV2", published.DINOV2.__class__("dinov2_vitl14_pretrain.pth", nowhere, "Apache-2.0")
    )
    with pytest.raises(UserError, match=r"dinov2_vitl14_pretrain\.pth"):
        get_extractor("dinov2")
