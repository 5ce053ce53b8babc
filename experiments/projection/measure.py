"""Projection of aligned photographs on a network: quality, what a batch saves, what others in the batch change.

    python -m experiments.projection.measure --network SNAPSHOT --pictures ALIGNED.zip --out RESULT.json

`--show FILE.png` writes targets over reconstructions, to look at: people's pictures do not belong in the repository.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from src.data import image_grid, open_dataset, save_jpeg, to_float, to_uint8
from src.projection import ProjectionSettings, project
from src.weights import load_network


def targets_of(path: Path, count: int, resolution: int) -> Tensor:
    """Evenly chosen pictures, uint8 `[count, 3, resolution, resolution]`."""
    dataset = open_dataset(path)
    stride = len(dataset) // count
    pictures = torch.stack([dataset[i * stride][0] for i in range(count)])
    if pictures.shape[-1] == resolution:
        return pictures
    return to_uint8(F.interpolate(to_float(pictures), size=resolution, mode="area"))


def timed(call: Any) -> tuple[float, Any]:
    """Seconds, and the result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def main() -> None:
    """Project, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3, help="of 16 together and 16 alone, in alternation")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=Path)
    args = parser.parse_args()
    G = load_network(args.network).G_ema
    targets = targets_of(args.pictures, args.count, G.resolution)
    seconds, found = timed(lambda: project(G, targets, settings=ProjectionSettings(steps=args.steps), progress=False))
    quality = found.quality()
    own = to_uint8(G(torch.randn([8, G.z_dim], generator=torch.Generator().manual_seed(0)), psi=0.7).detach())
    recovered = project(G, own, settings=ProjectionSettings(steps=args.steps), progress=False)
    short = ProjectionSettings(steps=20)
    ratios = []
    for _ in range(args.rounds):
        together, batch = timed(lambda: project(G, targets[:16], settings=short, progress=False))
        alone, singles = timed(
            lambda: [project(G, targets[i : i + 1], settings=short, progress=False) for i in range(16)]
        )
        ratios.append(alone / together)
    apart = max(float((batch.codes[i] - singles[i].codes[0]).abs().max()) for i in range(16))
    result = {
        "pictures": args.count,
        "resolution": G.resolution,
        "steps": args.steps,
        "distance": found.measure,
        "seconds_a_picture": round(seconds / args.count, 2),
        "quality_median": round(float(quality.median()), 3),
        "quality_min": round(float(quality.min()), 3),
        "quality_max": round(float(quality.max()), 3),
        "distance_falls_by_median": round(float((found.start_distances / found.distances).median()), 2),
        "own_samples_distance_falls_by_min": round(float((recovered.start_distances / recovered.distances).min()), 2),
        "sixteen_alone_over_together": round(statistics.median(ratios), 2),
        "codes_differ_by_company": apart,
        "codes_spread": float(found.codes.std()),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result, indent=2))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n")
    if args.show:
        pairs = torch.cat([targets[:16], found.images[:16]])
        save_jpeg(args.show, image_grid(pairs, 16))


if __name__ == "__main__":
    main()
