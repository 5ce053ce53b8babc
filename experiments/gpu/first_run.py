"""The first minutes on a GPU: correctness, speed beside the peer, whole runs; steps are timed, results are files.

    python -m experiments.gpu.first_run --ada STYLEGAN2_ADA_PYTORCH --out OUT

Steps run one after another, each a command of this repository with a limit of seconds; one that fails or runs out of
time leaves its words in OUT/STEP.log, and the next begins. A bare machine is enough: PyTorch and Lightning, no network;
without Hydra the whole run takes a configuration that `--compose FILE` has written elsewhere and `--config FILE` reads.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_SEC = 600
RUN = (
    *("dataset=demo", "pretrained=none", "pretrained.source=null", "augment=ada", "loss=scratch", "tracker=none"),
    *("metrics=none", "trainer.progress=false", "snapshot.kimg=[0]", "run=first"),
)
FULL = ("dataset.resolution=256", "dataset.num_images=256", "model=config_e", "batch=16", "total_kimg=2")
TINY = ("dataset.resolution=32", "dataset.num_images=16", "model=tiny", "batch=4", "total_kimg=0.02")


@dataclass(frozen=True)
class Step:
    """A command and the seconds that it may take."""

    name: str
    command: tuple[str, ...]
    seconds: int


def steps(args: argparse.Namespace) -> list[Step]:
    """What is run, in this order: what is right first, then how fast."""
    python, out, cuda = sys.executable, args.out, args.device == "cuda"
    preset, rounds = ("256e", "5") if not args.tiny else ("16t", "1")
    table = ("--preset", preset, "--device", args.device, "--rounds", rounds, "--warmup", "4" if cuda else "1")
    peer = ("--ada", str(args.ada)) if args.ada else ()
    low = ("bf16", "fp16") if cuda else ("bf16",)

    def speed(name: str, module: str, *options: str, seconds: int = 60) -> Step:
        command = (python, "-m", f"experiments.speed.{module}", *table, *options, "--out", str(out / name))
        return Step(name, command, seconds)

    run_options = RUN + (TINY if args.tiny else FULL) + (f"paths.runs={out / 'runs'}",)
    config = ("--config", str(args.config)) if args.config else ()
    profile = (python, "-m", "experiments.gpu.whole_run", *config, *run_options)
    predict = (python, "-m", "experiments.gpu.predict", "--px", "32" if args.tiny else "256", "--batch")
    tests = (python, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider")
    found = [
        Step("ops", (python, "-m", "src.ops"), 120),
        Step("networks", (*tests, "tests/gpu/test_whole.py"), 60),
        Step("graphs", (*tests, "tests/gpu/test_graphs.py", "-k", "256 or draws or waits"), 90),
        Step("kernels", (*tests, "tests/gpu/test_kernels.py", "-x"), 60),
        speed("training", "training", "--shipped", "--ours", "bf16", *peer, seconds=150),
        Step("train", (*profile, "trainer.profile=false"), 90),
        speed("training-without-ada", "training", "--ours", *low, *peer, *(("--graphs",) if cuda else ())),
        speed("op-by-op", "training", "--ours", "bf16", "bf16/reference", "fp32", seconds=60),
        speed("batch", "training", "--shipped", "--ours", "bf16", "--batch", "8" if args.tiny else "64"),
        speed("projection", "projection", "--ours", "fp32", "bf16", *peer),
        speed("sweep", "sweep", "--ours", "fp32", "bf16", *peer),
        speed("inference", "inference", "--ours", "fp32", *low, "--batches", "1", "32", *peer),
        Step("profile", (*profile, "trainer.profile=true", "run=profiled"), 90),
        Step("predicted", (*predict, "8" if args.tiny else "16", "--out", str(out / "predicted.json")), 60),
    ]
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer and cuda:
        found.append(
            Step("sanitizer", (sanitizer, *tests, "tests/gpu/test_kernels.py", "-k", "float32 and epilogue"), 90)
        )
    return [step for step in found if not args.only or step.name in args.only]


def run(step: Step, out: Path, left_sec: float) -> dict[str, Any]:
    """Run one step; its words go to OUT/STEP.log."""
    began, limit = time.perf_counter(), min(step.seconds, left_sec)
    environment = {**os.environ, "CARICATURE_OPS": os.environ.get("CARICATURE_OPS", "auto")}
    with open(out / f"{step.name}.log", "w", encoding="utf-8") as log:
        try:
            done = subprocess.run(
                step.command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, timeout=limit, env=environment
            )
            outcome = "ok" if done.returncode == 0 else f"exit {done.returncode}"
        except subprocess.TimeoutExpired:
            outcome = f"out of its {limit:.0f} s"
    return {"step": step.name, "outcome": outcome, "sec": round(time.perf_counter() - began, 1)}


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Run the steps, say how each went, write OUT/steps.json after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ada", type=Path, help="a checkout of stylegan2-ada-pytorch")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="toy sizes: a dry run, for a processor too")
    parser.add_argument("--only", nargs="*", help="these steps alone")
    parser.add_argument("--seconds", type=float, default=LIMIT_SEC, help="of all steps together")
    parser.add_argument("--config", type=Path, help="a composed configuration, for a machine without Hydra")
    parser.add_argument("--compose", type=Path, help="write that configuration, and nothing else")
    args = parser.parse_args(argv)
    args.out = args.out.resolve()
    if args.compose:
        from src.cli import compose_config

        composed = compose_config("train", RUN + (TINY if args.tiny else FULL))
        args.compose.write_text(json.dumps(composed, indent=1) + "\n")
        return []
    if args.config is None and importlib.util.find_spec("hydra") is None:
        raise SystemExit("without Hydra give --config FILE, written by --compose FILE where Hydra is")
    args.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    ends = time.perf_counter() + args.seconds
    for step in steps(args):
        left = ends - time.perf_counter()
        rows.append(run(step, args.out, left) if left > 0 else {"step": step.name, "outcome": "no time left", "sec": 0})
        print("{step:22s} {outcome:16s} {sec:6.1f} s".format(**rows[-1]), flush=True)
        (args.out / "steps.json").write_text(json.dumps(rows, indent=1) + "\n")
    return rows


if __name__ == "__main__":
    main()
