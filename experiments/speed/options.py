"""The options that all tables have, and setting the process up as they ask."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from src.device import set_float32

from .shapes import PRESETS, Variant, parse_variant


def add_options(parser: argparse.ArgumentParser, *, preset: str = "64s", peers: Sequence[str] = ()) -> None:
    """The options that all tables have."""
    parser.add_argument("--preset", choices=PRESETS, default=preset, help=f"shape of the networks ({preset})")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--ours", "--precision", nargs="*", default=["fp32"], metavar="PRECISION[/OPS]",
        help="our rows, e.g. fp32 bf16 fp32/reference",
    )  # fmt: skip
    parser.add_argument(
        "--ops", choices=("auto", "reference", "required"), default="auto", help="where a row names none"
    )
    for peer in peers:
        parser.add_argument(f"--{peer}", type=Path, help="path of this peer's checkout")
    parser.add_argument("--peer-precision", choices=("fp32", "fp16"), help="NVIDIA's networks; fp32, on CUDA fp16")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=1, help="calls of a part a round")
    parser.add_argument("--warmup", type=int, default=2, help="calls of each part before the rounds")
    parser.add_argument("--threads", type=int, help="of torch on a processor")
    parser.add_argument("--cpu-seconds", action="store_true", help="time CPU seconds of the process, not wall clock")
    parser.add_argument("--mfu", action="store_true", help="count our operations, against a matrix product's rate")
    parser.add_argument("--tf32", action="store_true", help="allow TF32 in float32 (all contenders, CUDA)")
    parser.add_argument("--out", type=Path, help="write OUT.json, OUT.csv and OUT.svg")


def prepare(args: argparse.Namespace) -> list[Variant]:
    """Set the process up as the options ask; returns our variants."""
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if torch.device(args.device).type == "cuda":
        if args.cpu_seconds:
            raise SystemExit("--cpu-seconds does not time a CUDA device")
        torch.backends.cudnn.benchmark = True
        set_float32(tf32=args.tf32)
    if args.peer_precision is None:
        args.peer_precision = "fp16" if torch.device(args.device).type == "cuda" else "fp32"
    variants = [parse_variant(text, args.ops) for text in args.ours]
    for variant in variants:
        try:
            variant.precision_on(args.device, 64)
        except ValueError as error:
            raise SystemExit(f"--ours {variant.precision}: {error}") from error
    return variants
