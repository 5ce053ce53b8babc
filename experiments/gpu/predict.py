"""Predict the time of a training iteration on a GPU from its counted launches, bytes and operations.

    python -m experiments.gpu.predict --card h100 --batch 16 --out OUT.json

A launch takes the longest of: its bytes over the memory's rate, its operations over the rate of its format, and what a
kernel takes at least. Rates are assumptions (see `CARDS` and `_rate`), so a prediction is for comparing forms of this
code with each other, and to be held against `first_run.py` on a card.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.networks import FP32, TF32, Precision

from .counting import Launch, count_iteration

SHORTEST_SEC = 2.2e-6  # a small kernel in a graph
LAUNCH_SEC = 7e-6  # of the host, without graphs
FORMATS = {"fp32": FP32, "tf32": TF32, "bf16": Precision("bf16")}


@dataclass(frozen=True)
class Card:
    """Rates that kernels reach, not those of the data sheet.

    Attributes:
        bytes_per_sec: of the memory.
        low: operations a second of a large bf16 or fp16 matrix product.
        tf32: of a TF32 one.
        fp32: of a float32 one on the ordinary cores.
        instructions: a second, of all threads.
    """

    bytes_per_sec: float
    low: float
    tf32: float
    fp32: float
    instructions: float = 132 * 4 * 32 * 1.7e9 * 0.6


CARDS = {"h100": Card(2.6e12, 790e12, 395e12, 50e12), "h200": Card(3.9e12, 790e12, 395e12, 50e12)}


def seconds(launch: Launch, card: Card) -> float:
    """Time of a launch on a card."""
    compute = launch.flops / _rate(launch, card) if launch.flops else 0.0
    memory, instructions = launch.bytes / card.bytes_per_sec, launch.instructions / card.instructions
    return max(compute, memory, instructions, SHORTEST_SEC * launch.launches)


def _rate(launch: Launch, card: Card) -> float:
    """Narrow convolutions fill tensor cores badly."""
    peak = {"bf16": card.low, "fp16": card.low, "tf32": card.tf32}.get(launch.format, card.fp32)
    if launch.kind != "convolution":
        return 0.5 * peak
    if launch.format == "fp32":
        return 0.7 * peak
    shares = ((512, 0.6), (256, 0.55), (128, 0.45), (64, 0.3), (0, 0.12))
    return peak * next(share for channels, share in shares if launch.channels >= channels)


def summary(phases: Mapping[str, Sequence[Launch]], intervals: Mapping[str, int], card: Card) -> dict[str, Any]:
    """Launches, GB, TFLOP and milliseconds of each phase and of an iteration, in which lazy phases count in part."""
    rows: dict[str, Any] = {}
    kinds: Counter[str] = Counter()
    total = dict.fromkeys(("launches", "gb", "tflop", "ms", "ms_op_by_op"), 0.0)
    for name, launches in phases.items():
        row = {
            "launches": sum(found.launches for found in launches),
            "gb": sum(found.bytes for found in launches) / 1e9,
            "tflop": sum(found.flops for found in launches) / 1e12,
            "ms": sum(seconds(found, card) for found in launches) * 1e3,
        }
        row["ms_op_by_op"] = max(row["ms"], row["launches"] * LAUNCH_SEC * 1e3)
        rows[name] = row | {"every": intervals[name]}
        for key in total:
            total[key] += row[key] / intervals[name]
        for found in launches:
            kinds[_label(found)] += seconds(found, card) * 1e3 / intervals[name]
    return {"phases": rows, "iteration": total, "ms_by_kind": dict(kinds.most_common())}


def _label(launch: Launch) -> str:
    return f"{launch.kind} {launch.format}" if launch.kind in ("convolution", "product") else launch.kind


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Count, predict, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", choices=CARDS, default="h100")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--px", type=int, default=256)
    parser.add_argument("--precision", choices=FORMATS, default="bf16", help="of the main phases")
    parser.add_argument("--lowest", type=int, default=0, help="lowest resolution in that precision")
    parser.add_argument("--regularizers", choices=FORMATS, default="tf32", help="precision of path length and R1")
    parser.add_argument("--pipe", default="bgc", help="augmentation, or none")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    precision = Precision(args.precision, args.lowest) if args.precision != "fp32" else FP32
    pipe = None if args.pipe == "none" else args.pipe
    counted = count_iteration(precision, FORMATS[args.regularizers], batch=args.batch, px=args.px, pipe=pipe)
    result = summary(*counted, CARDS[args.card])
    result["images_per_sec"] = args.batch / result["iteration"]["ms"] * 1e3
    for name, row in result["phases"].items():
        print(
            f"{name:8s} every {row['every']:2d}: {row['launches']:5d} launches, {row['gb']:5.1f} GB, "
            f"{row['tflop']:5.2f} TFLOP, {row['ms']:5.1f} ms"
        )
    total = result["iteration"]
    print(
        f"iteration of {args.batch} on {args.card}, predicted: {total['launches']:.0f} launches, {total['gb']:.1f} GB, "
        f"{total['ms']:.1f} ms, {result['images_per_sec']:.0f} img/s; op by op {total['ms_op_by_op']:.0f} ms"
    )
    print("by kind: " + ", ".join(f"{kind} {ms:.1f}" for kind, ms in result["ms_by_kind"].items()) + " ms")
    if args.out:
        args.out.write_text(json.dumps(result | {"settings": vars(args) | {"out": None}}, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
