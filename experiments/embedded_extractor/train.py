"""Train the embedded feature network on procedural pictures alone.

    python experiments/embedded_extractor/train.py --minutes 10 --out src/metrics/embedded.safetensors

Half of each batch are the built-in portraits (both domains), half are random "dead leaves" pictures: overlapping
discs, boxes and stripes of random colour, size and texture. Two random views of each picture (crop, colour, blur,
noise, flip) are brought together and apart from the others (SimCLR, arXiv 2002.05709, Eq. 1); for portraits a linear
head also predicts the 18 drawing parameters and the domain, so that the features know about faces.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from src.data import open_portraits  # noqa: E402
from src.metrics.extractors import EmbeddedNetwork  # noqa: E402
from src.portraits.parameters import sample_params  # noqa: E402

PX, PADDED_PX = 64, 72
TEMPERATURE = 0.2
NUM_PORTRAITS = 4000


def portraits(num: int) -> tuple[Tensor, Tensor]:
    """Both domains as uint8 `[2·num, 3, 64, 64]` and targets `[2·num, P + 1]`: parameters and domain."""
    params = torch.tensor([dataclasses.astuple(sample_params(seed)) for seed in range(num)])
    pictures, targets = [], []
    for sign, domain in ((-1.0, "people"), (1.0, "cartoons")):
        pictures.append(open_portraits(domain, num, PX).images)
        targets.append(torch.cat([params.float(), torch.full([num, 1], sign)], dim=1))
    return torch.cat([p for p in pictures if p is not None]), torch.cat(targets)


def dead_leaves(num: int, rng: np.random.Generator) -> Tensor:
    """Random overlapping shapes, uint8 `[num, 3, 64, 64]`."""
    y, x = np.mgrid[0:PX, 0:PX] / PX
    pictures = np.empty([num, PX, PX, 3], np.float32)
    for picture in pictures:
        picture[:] = rng.random(3)
        for _ in range(int(rng.integers(4, 24))):
            cx, cy, size = rng.random(), rng.random(), 0.03 + 0.4 * rng.random() ** 2
            angle = rng.random() * math.pi
            u, v = (
                (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle),
                (y - cy) * math.cos(angle) - (x - cx) * math.sin(angle),
            )
            aspect = 2 ** rng.normal(0, 0.7)
            kind = rng.integers(3)
            inside = [np.hypot(u, v * aspect) < size, np.maximum(abs(u), abs(v * aspect)) < size, abs(u) < size / 6][
                kind
            ]
            colour = rng.random(3)
            shade = (
                1
                + rng.normal(0, 0.3) * u / size
                + 0.2 * rng.random() * np.sin(2 * math.pi * v / (0.02 + 0.2 * rng.random()))
            )
            picture[inside] = (colour * shade[..., None])[inside]
    return torch.from_numpy((pictures.clip(0, 1) * 255).astype(np.uint8)).permute(0, 3, 1, 2).contiguous()


def view(images: Tensor, generator: torch.Generator) -> Tensor:
    """One random view of float `[N, 3, 64, 64]` in [-1, 1]."""
    n = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand([n, 1, 1, 1], generator=generator) * (high - low) + low

    zoom, turn = uniform(0.75, 1.15)[:, 0, 0, 0], uniform(-0.2, 0.2)[:, 0, 0, 0]
    theta = torch.zeros([n, 2, 3])
    theta[:, 0, 0], theta[:, 0, 1] = zoom * turn.cos(), -zoom * turn.sin()
    theta[:, 1, 0], theta[:, 1, 1] = zoom * turn.sin(), zoom * turn.cos()
    theta[:, :, 2] = torch.rand([n, 2], generator=generator) * 0.3 - 0.15
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    out = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    grey = out.mean(dim=1, keepdim=True)
    out = grey + (out - grey) * uniform(0.3, 1.5)
    out = (out - out.mean(dim=(1, 2, 3), keepdim=True)) * uniform(0.7, 1.3) + out.mean(dim=(1, 2, 3), keepdim=True)
    out = out + uniform(-0.2, 0.2) + 0.15 * (torch.rand([n, 3, 1, 1], generator=generator) - 0.5)
    soft = F.avg_pool2d(out, 3, stride=1, padding=1, count_include_pad=False)
    out = torch.where(uniform(0, 1) < 0.25, soft, out)
    return (out + uniform(0, 0.06) * torch.randn(out.shape, generator=generator)).clamp(-1, 1)


def contrastive(a: Tensor, b: Tensor) -> Tensor:
    """SimCLR's loss of two views `[N, K]`."""
    z = F.normalize(torch.cat([a, b]), dim=1)
    similarity = z @ z.t() / TEMPERATURE
    similarity.fill_diagonal_(-1e9)
    n = len(a)
    return F.cross_entropy(similarity, torch.arange(2 * n).roll(n))


def main() -> None:
    """Train for the given time, standardise, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    faces, targets = portraits(NUM_PORTRAITS)
    leaves = dead_leaves(NUM_PORTRAITS, rng)
    network = EmbeddedNetwork()
    projector = nn.Sequential(nn.Linear(network.num_features, 128), nn.ReLU(), nn.Linear(128, 64))
    head = nn.Linear(network.num_features, targets.shape[1])
    parameters = [p for module in (network, projector, head) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)
    half, start, step = args.batch // 2, time.time(), 0
    while (progress := (time.time() - start) / (60 * args.minutes)) < 1:
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * progress))
        i = torch.randint(len(faces), [half], generator=generator)
        j = torch.randint(len(leaves), [half], generator=generator)
        images = torch.cat([faces[i], leaves[j]]).float() / 127.5 - 1
        a, b = network(view(images, generator)), network(view(images, generator))
        regression = F.mse_loss(head(a[:half]), targets[i]) + F.mse_loss(head(b[:half]), targets[i])
        loss = contrastive(projector(a), projector(b)) + regression
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(
                f"{step} steps, {progress:.0%}: loss {loss.item():.3f}, regression {regression.item() / 2:.4f}",
                flush=True,
            )
    network.eval()
    with torch.inference_mode():
        sample = torch.cat([faces[::8], leaves[::8]])
        features = torch.cat([network(part.float() / 127.5 - 1) for part in sample.split(64)])
        network.feature_mean.copy_(features.mean(0))
        network.feature_std.copy_(features.std(0).clamp(min=1e-3))
    save_file({k: v.half() for k, v in network.state_dict().items()}, args.out)
    print(
        json.dumps(
            {"steps": step, "pictures_seen": step * args.batch, "regression_mse": round(regression.item() / 2, 4)}
        )
    )


if __name__ == "__main__":
    main()
