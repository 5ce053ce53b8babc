"""Seconds a picture through Inception on a processor.

    python -m experiments.fid.speed --threads 1 2

Random weights under the published names: time asks for shapes alone. Rounds of the numbers of threads take turns, so that
what else the machine does meets all of them.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from experiments.fid.compare import inception_of
from experiments.fid.random_weights import random_pictures, random_state
from src.metrics import FeatureExtractor, published


def extractor_of_random_weights() -> FeatureExtractor:
    """`inception`, its file gone again once it is read."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(random_state(), Path(folder) / published.INCEPTION.name)
        return inception_of(Path(folder))


def measure(num: int, px: int, threads: list[int], rounds: int) -> dict[int, list[tuple[float, float]]]:
    """Seconds a picture of each round, on the clock and of the cores' work, by number of threads."""
    extractor, pictures = extractor_of_random_weights(), random_pictures(num, px, seed=1, grain=32)
    extractor(pictures[:8])  # what is set up once
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in threads}
    for _ in range(rounds):
        for count in threads:
            torch.set_num_threads(count)
            start, work = time.perf_counter(), time.process_time()
            extractor(pictures)
            found[count].append(((time.perf_counter() - start) / num, (time.process_time() - work) / num))
    return found


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=64, help="pictures a round")
    parser.add_argument("--px", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    for count, rounds in measure(args.num, args.px, args.threads, args.rounds).items():
        clock, work = ([part[i] for part in rounds] for i in range(2))
        print(
            f"{count} threads: median {statistics.median(clock):.4f} s a picture, {min(clock):.4f} to {max(clock):.4f} "
            f"(of the cores: median {statistics.median(work):.4f} s)"
        )


if __name__ == "__main__":
    main()
