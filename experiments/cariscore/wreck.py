"""A run with a wreck beside its snapshots, and how far that, or an earlier end, moves the scores of common cells.

python -m experiments.cariscore.wreck runs/NAME runs/WRECKED
python sweep.py run=WRECKED name=NEW
python -m experiments.cariscore.wreck --compare runs/NAME/sweeps/OLD runs/WRECKED/sweeps/NEW
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from src.runs import find_snapshots
from src.weights import load_network, save_network

NOISE = 0.5  # of the noise that is added to each weight, in standard deviations of its tensor
LATER = 4.0  # kimg after the last snapshot, by the wreck's name


def wreck(run: Path, copy: Path) -> Path:
    """Copy a run without its sweeps, and add its last snapshot with noise in all weights."""
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("sweeps"))
    last = find_snapshots(copy)[-1]
    network = load_network(last.path, parts=("G_ema",)).G_ema
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight += NOISE * weight.std() * torch.randn_like(weight)
    kimg = last.kimg + LATER
    return save_network(copy / "snapshots" / f"kimg-{kimg:09.2f}.safetensors", G_ema=network, meta={"kimg": kimg})


def largest_change(sweep: Path, other: Path) -> tuple[int, float]:
    """How many cells two sweeps have in common, and how far the scores of one of them differ at most."""
    rows = [map(json.loads, (folder / "cells.jsonl").read_text().splitlines()) for folder in (sweep, other)]
    scores, again = ({row["label"]: row["cari"] for row in found} for found in rows)
    common = scores.keys() & again.keys()
    return len(common), max(abs(scores[label] - again[label]) for label in common)


def main() -> None:
    """Make the run, or compare two sweeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    if options.compare:
        print(
            "common cells: {}, largest change of a score: {:.1e}".format(*largest_change(options.first, options.second))
        )
    else:
        print(wreck(options.first, options.second))


if __name__ == "__main__":
    main()
