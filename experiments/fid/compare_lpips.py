"""LPIPS beside the lpips package's own code, with its fitted heads and random VGG16 weights.

    python -m experiments.fid.compare_lpips --lpips FOLDER

FOLDER holds the package `lpips`. It takes VGG16 from torchvision, in whose place it gets layers of torch's own here.
"""

import argparse
import dataclasses
import importlib
import shutil
import sys
import tempfile
import types
from pathlib import Path

import torch
from torch import nn

from src.fetch import WeightsFolder
from src.files import file_sha256
from src.metrics import published
from src.metrics.lpips import load_lpips
from src.metrics.vgg import STAGES


def random_vgg() -> nn.Sequential:
    """VGG16's convolutions, ReLUs and pools in torchvision's order."""
    layers: list[nn.Module] = []
    below = 3
    for stage in STAGES:
        for width in stage:
            conv = nn.Conv2d(below, width, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight)
            nn.init.normal_(conv.bias, 0, 0.1)
            layers += [conv, nn.ReLU()]
            below = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def main() -> None:
    """Print the largest relative difference at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lpips", type=Path, required=True, help="folder that holds the package")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    vgg = random_vgg()
    models = types.ModuleType("torchvision.models")
    models.vgg16 = lambda pretrained: types.SimpleNamespace(features=vgg)  # type: ignore[attr-defined]
    torchvision = types.ModuleType("torchvision")
    torchvision.models = models  # type: ignore[attr-defined]
    sys.modules.update({"torchvision": torchvision, models.__name__: models})
    sys.path.insert(0, str(args.lpips))
    peer = importlib.import_module("lpips").LPIPS(net="vgg", verbose=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / published.VGG16.name
        torch.save({f"features.{k}": v for k, v in vgg.state_dict().items()}, path)
        shutil.copyfile(args.lpips / "lpips/weights/v0.1/vgg.pth", folder / published.LPIPS_VGG.name)
        published.VGG16 = dataclasses.replace(published.VGG16, size=None, sha256=file_sha256(path))
        ours = load_lpips(weights_folder=WeightsFolder(folder))
    for px in (16, 64, 256):
        a, b = torch.rand([4, 3, px, px]) * 2 - 1, torch.rand([4, 3, px, px]) * 2 - 1
        with torch.no_grad():
            theirs, mine = peer(a, b).flatten(), ours(a, b)
        print(
            f"{px} px: distances {theirs.mean():.4f}, largest relative difference {(mine / theirs - 1).abs().max():.1e}"
        )


if __name__ == "__main__":
    main()
