"""Does KID on the embedded features rise as one set is mixed into another, and is it 0 between halves of a set?

    python -m experiments.embedded_extractor.check
    python -m experiments.embedded_extractor.check --base FACES --other CARTOONS

Without paths the built-in portraits are used: seeds that the extractor has not seen.
"""

import argparse
import time

import torch
from torch import Tensor

from src.data import open_dataset, open_portraits
from src.metrics import KernelDistance
from src.metrics.extractors import get_extractor

FIRST_SEED = 50_000
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


def pictures(path: str | None, domain: str, num: int, resolution: int) -> Tensor:
    """Uint8 `[num, 3, resolution, resolution]`, evenly spread over the set."""
    if path is None:
        images = open_portraits(domain, num, resolution, first_seed=FIRST_SEED).images
        assert images is not None
        return images
    dataset = open_dataset(path, resolution=resolution)
    num = min(num, len(dataset))
    return torch.stack([torch.as_tensor(dataset[i * len(dataset) // num][0]) for i in range(num)])


def kid(fakes: Tensor, reals: Tensor) -> float:
    """KID of two sets of features."""
    return float(KernelDistance(reals).pseudo_values(fakes).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base")
    parser.add_argument("--other")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--num", type=int, default=400)
    args = parser.parse_args()
    extractor = get_extractor("embedded")
    base = pictures(args.base, "people", args.num, args.resolution)
    other = pictures(args.other, "cartoons", args.num, args.resolution)
    start = time.time()
    a, b = extractor(base), extractor(other)
    seconds = time.time() - start
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(0))
    halves = a[order[: len(a) // 2]], a[order[len(a) // 2 :]]
    print(
        f"| base / other | {len(a)} / {len(b)} pictures, {args.resolution} px, "
        f"{(len(a) + len(b)) / seconds:.0f} img/s |"
    )
    print(f"| halves of base | {kid(*halves):.3f} |")
    for share in SHARES:
        num = round(share * len(halves[1]))
        mixed = torch.cat([halves[1][num:], b[:num]])
        print(f"| half of base with {share:.0%} of other | {kid(halves[0], mixed):.3f} |")


if __name__ == "__main__":
    main()
