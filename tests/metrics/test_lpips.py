"""LPIPS on VGG16: against its definition with torch's own layers, its files, and its use by the projector."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from src.errors import UserError
from src.metrics import published
from src.metrics.lpips import load_lpips
from src.networks import Generator
from src.projection import LpipsDistance, ProjectionSettings, perceptual_distance, project
from tests.tiny import make_tiny

LAYERS = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
WIDTHS, TAPS = [64, 128, 256, 512, 512], [3, 8, 15, 22, 29]


@pytest.fixture(scope="module")
def stack():
    """VGG16's `features` in torchvision's order, random weights."""
    layers, below = [], 3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for width in LAYERS:
            if width == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(below, width, 3, padding=1), nn.ReLU()]
                nn.init.kaiming_normal_(layers[-2].weight)
                below = width
    return nn.Sequential(*layers).requires_grad_(False)


@pytest.fixture
def heads():
    generator = torch.Generator().manual_seed(1)
    return {f"lin{i}.model.1.weight": torch.rand([1, w, 1, 1], generator=generator) for i, w in enumerate(WIDTHS)}


@pytest.fixture
def on_disk(weights, pin, stack, heads):
    vgg = {f"features.{k}": v for k, v in stack.state_dict().items()}
    pin("VGG16", weights, {**vgg, "classifier.0.bias": torch.zeros(2)})
    pin("LPIPS_VGG", weights, heads)
    return weights


def pictures(count, px, seed):
    return torch.rand([count, 3, px, px], generator=torch.Generator().manual_seed(seed)) * 2 - 1


def defined(stack, heads, a, b):
    """arXiv 1801.03924, Eq. 1, layer by layer."""
    total = torch.zeros(len(a))
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    a, b = (((x.movedim(1, -1) - shift) / scale).movedim(-1, 1) for x in (a, b))
    for i, layer in enumerate(stack):
        a, b = layer(a), layer(b)
        if i in TAPS:
            unit_a, unit_b = F.normalize(a, dim=1), F.normalize(b, dim=1)
            total += F.conv2d((unit_a - unit_b) ** 2, heads[f"lin{TAPS.index(i)}.model.1.weight"]).mean((1, 2, 3))
    return total


def test_distance_is_the_definition(on_disk, stack, heads):
    lpips = load_lpips()
    a, b = pictures(3, 32, 0), pictures(3, 32, 1)
    torch.testing.assert_close(lpips(a, b), defined(stack, heads, a, b), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(lpips(a, a), torch.zeros(3))


def test_gradients_are_finite_where_all_channels_are_zero(on_disk):
    lpips = load_lpips()
    for layer in lpips.vgg.features.values():
        layer.bias.data.fill_(-1000.0)
    image = pictures(1, 32, 0).requires_grad_(True)
    lpips(image, pictures(1, 32, 1)).sum().backward()
    assert image.grad.isfinite().all()


def test_larger_pictures_are_averaged_to_256_px(on_disk):
    distance, seen = LpipsDistance(), []
    distance.network.vgg.register_forward_pre_hook(lambda _, args: seen.append(args[0]) or (torch.zeros(1, 3, 16, 16),))
    for px in (512, 64):
        a = pictures(1, px, 0)
        distance(a, a)
        expected = (F.avg_pool2d(a, 2) if px == 512 else a) - distance.network.shift
        assert len(seen) == 2
        for given in seen:
            torch.testing.assert_close(given, expected / distance.network.scale)
        seen.clear()


def test_auto_takes_lpips_when_both_files_are_there(on_disk):
    assert perceptual_distance("auto").name == "lpips-vgg-0.1"
    assert perceptual_distance("embedded").name == "embedded"
    (on_disk / published.LPIPS_VGG.name).unlink()
    assert perceptual_distance("auto").name == "embedded"


def test_what_cannot_be_is_refused(weights, pin, stack):
    with pytest.raises(UserError, match=r"vgg16-397923af\.pth"):
        perceptual_distance("lpips")
    with pytest.raises(UserError, match="choose auto, lpips, embedded"):
        perceptual_distance("ssim")
    pin("VGG16", weights, {f"features.{k}": v for k, v in stack.state_dict().items()})
    pin("LPIPS_VGG", weights, {"lin0.model.1.weight": torch.zeros(1, 3, 1, 1)})
    with pytest.raises(UserError) as error:
        perceptual_distance("auto")
    assert "[1, 3, 1, 1], expected [1, 64, 1, 1]" in str(error.value) and "missing " in str(error.value)


def test_the_projector_says_what_it_measured(on_disk):
    G: Generator = make_tiny()[0].eval()
    targets = torch.randint(0, 256, [2, 3, 16, 16], dtype=torch.uint8)
    for distance, name in (("auto", "lpips-vgg-0.1"), ("embedded", "embedded")):
        result = project(G, targets, settings=ProjectionSettings(steps=8, distance=distance), progress=False)
        assert result.measure == name
    eight = make_tiny(resolution=8)[0].eval()
    with pytest.raises(UserError, match="use embedded"):
        project(eight, targets[:, :, :8, :8], settings=ProjectionSettings(steps=2), progress=False)
