"""Train the landmark network on procedural portraits alone.

python -m experiments.landmark_network.train --out src/faces/landmarks.safetensors
"""

import argparse
import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.landmark_network.pictures import Views, random_faces
from src.faces.network_landmarks import INPUT_PX, LandmarkNetwork, predict_landmarks
from src.files import file_sha256

LEARNING_RATE, WEIGHT_DECAY, WARM_UP, LAST_RATE = 3e-3, 1e-3, 100, 2e-5
EMA_DECAY = 0.995
VARIANCE_WEIGHT, FREE_VARIANCE = 1e-3, 9.0  # of a map, in squared pixels: a spread of 3 px costs nothing
HELD_OUT = 300


def loss_of(network: LandmarkNetwork, luma: Tensor, points: Tensor) -> Tensor:
    """Smooth L1 distance in pixels, and a price of maps that are not one peak."""
    found, variance = network(luma)
    distance = F.smooth_l1_loss(found * INPUT_PX, points * INPUT_PX)
    return distance + VARIANCE_WEIGHT * (variance * INPUT_PX**2 - FREE_VARIANCE).clamp(min=0).mean()


def normalised_error(found: Tensor, points: Tensor) -> float:
    """Mean distance of landmarks over that of the eyes' middles (NME), in per cent."""
    eyes = (points[:, 36:42].mean(dim=1) - points[:, 42:48].mean(dim=1)).norm(dim=1)
    return float(((found - points).norm(dim=2).mean(dim=1) / eyes).mean()) * 100


def report(network: LandmarkNetwork, pictures: Tensor, points: Tensor) -> str:
    """NME on held-out faces in both renderings."""
    errors = [normalised_error(predict_landmarks(network, pictures[:, k])[0], points) for k in (0, 1)]
    return f"NME people {errors[0]:.2f} %, cartoons {errors[1]:.2f} %"


def train(
    pictures: Tensor, points: Tensor, steps: int, batch: int, seed: int, start: Path | None = None
) -> LandmarkNetwork:
    """Train, from the weights of a file where one is given; returns the moving average of the network."""
    torch.manual_seed(seed)
    network, views = LandmarkNetwork(), Views(seed)
    if start is not None:
        network.load_state_dict(
            {key: value.to(network.state_dict()[key].dtype) for key, value in load_file(start).items()}
        )
    average = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    order = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    for step in range(steps):
        for group in optimizer.param_groups:
            cosine = 0.5 + 0.5 * math.cos(math.pi * step / steps)
            group["lr"] = LEARNING_RATE * min(1, step / WARM_UP) * cosine + LAST_RATE
        chosen = torch.randint(HELD_OUT, len(pictures), (batch,), generator=order)
        loss = loss_of(network, *views(pictures[chosen], points[chosen]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        decay = min(EMA_DECAY, step / (step + 50))
        for kept, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            kept.lerp_(now, 1 - decay) if kept.is_floating_point() else kept.copy_(now)
        if step % 250 == 249 or step == steps - 1:
            line = report(average, pictures[:HELD_OUT], points[:HELD_OUT])
            print(f"step {step + 1}: loss {loss.item():.3f}, {line}, {time.perf_counter() - started:.0f} s", flush=True)
    return average


def main() -> None:
    """Draw, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights to go on from, instead of random ones")
    parser.add_argument("--faces", type=int, default=7000)
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    pictures, points = random_faces(0, options.faces)
    print(f"{options.faces} faces in two renderings drawn in {time.perf_counter() - started:.0f} s", flush=True)
    network = train(pictures, points, options.steps, options.batch, options.seed, options.start)
    state = network.state_dict()
    save_file({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, options.out)
    numbers = sum(parameter.numel() for parameter in network.parameters())
    print(f"{options.out}: {numbers} parameters, {options.out.stat().st_size} bytes, sha256 {file_sha256(options.out)}")


if __name__ == "__main__":
    main()
