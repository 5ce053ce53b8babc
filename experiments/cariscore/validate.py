"""Does the caricature score find the blend in the middle? Laplacian-pyramid hybrids of pictures stand in for blends.

A hybrid at cut-off c takes the scales up to c px from a cartoon and the finer ones from a person, as a blended network
with its switch at c does. Portraits of this project: the same seed is the same person in both domains. Pictures of
one's own: any two folders or zips (unpaired: the i-th person meets the i-th cartoon).

    python -m experiments.cariscore.validate
    python -m experiments.cariscore.validate --base PEOPLE --finetuned CARTOONS
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.data import open_dataset
from src.metrics.bands import band_features
from src.metrics.caricature import fit_anchors, score_blends
from src.portraits.draw import render_portraits


def hybrid(people: Tensor, cartoons: Tensor, cutoff: int) -> Tensor:
    """Scales up to `cutoff` px from cartoons and the rest from people: uint8 `[N, 3, H, W]` of both."""
    high, low = people.float(), cartoons.float()
    side = people.shape[-1]
    if cutoff >= side:
        return cartoons

    def coarse(x: Tensor) -> Tensor:
        small = F.interpolate(x, (cutoff, cutoff), mode="bilinear", antialias=True)
        return F.interpolate(small, (side, side), mode="bicubic")

    return (high - coarse(high) + coarse(low) + 0.5).clamp(0, 255).to(torch.uint8)


def portraits(domain: str, first: int, count: int, resolution: int) -> Tensor:
    """Portraits of seeds from `first`, uint8 `[N, 3, H, W]`."""
    images = render_portraits(domain, range(first, first + count), resolution)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def pictures(path: Path, resolution: int, most: int) -> Tensor:
    """At most `most` pictures of a data set, evenly spread, uint8 `[N, 3, H, W]`."""
    dataset = open_dataset(path)
    count = min(len(dataset), most)
    images = torch.stack([dataset[i * len(dataset) // count][0] for i in range(count)])
    resized = F.interpolate(images.float(), (resolution, resolution), mode="bilinear", antialias=True)
    return (resized + 0.5).clamp(0, 255).to(torch.uint8)


def report(title: str, people: Tensor, cartoons: Tensor, pair: tuple[Tensor, Tensor], alpha: float, seed: int) -> None:
    """Print scores of hybrids of `pair` (people, cartoons) at every cut-off, anchored on the two sets."""
    start = time.perf_counter()
    base, finetuned = band_features(people), band_features(cartoons)
    side = pair[0].shape[-1]
    cutoffs = [c for c in (2, 4, 8, 16, 32, 64, 128) if c < side]
    sets = {"person": pair[0], **{str(c): hybrid(*pair, c) for c in cutoffs}, "cartoon": pair[1]}
    features = {label: band_features(images) for label, images in sets.items()}
    anchors = fit_anchors(base, finetuned, seed=seed)
    scores = {s.label: s for s in score_blends(base, finetuned, features, alpha=alpha, seed=seed)}
    print(
        f"\n{title}: base {len(people)}, fine-tuned {len(cartoons)}, hybrids {len(pair[0])}, {side} px, "
        f"held-out AUC low {anchors.low.auc:.3f} high {anchors.high.auc:.3f}"
    )
    print("| cut-off px | low place | high place | S | R | score | share |\n|---|---|---|---|---|---|---|")
    for label, found in features.items():
        score = scores[label]
        low, high = (
            f"{place.mean():.2f} ± {place.std() / np.sqrt(len(place)):.2f}"
            for place in (anchors.low.project(found.low), anchors.high.project(found.high))
        )
        print(f"| {label} | {low} | {high} | {score.s:.2f} | {score.r:.2f} | {score.cari:.3f} | {score.share:.2f} |")
    print(f"{time.perf_counter() - start:.1f} s")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="folder or zip of people")
    parser.add_argument("--finetuned", type=Path, help="folder or zip of cartoons")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--anchors", type=int, default=300, help="pictures of each anchor")
    parser.add_argument("--pictures", type=int, default=100, help="hybrids at a cut-off")
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    n, side = options.pictures, options.resolution
    if options.base and options.finetuned:
        people, cartoons = (pictures(p, side, options.anchors + n) for p in (options.base, options.finetuned))
        shuffle = np.random.default_rng(options.seed)
        people, cartoons = (x[torch.from_numpy(shuffle.permutation(len(x)))] for x in (people, cartoons))
    else:
        people = torch.cat([portraits("people", 0, options.anchors, side), portraits("people", 10_000, n, side)])
        cartoons = torch.cat(
            [portraits("cartoons", 5_000, options.anchors, side), portraits("cartoons", 10_000, n, side)]
        )
    pair = people[-n:], cartoons[-n:]
    report("hybrids", people[:-n], cartoons[:-n], pair, options.alpha, options.seed)


if __name__ == "__main__":
    main()
