"""`make demo`: the whole job on built-in pictures, offline, in a few minutes on a laptop's processor.

Fine-tunes the shipped portrait network to cartoons with early snapshots, evaluates them, blends and scores every
snapshot at every resolution, and turns held-out portraits into caricatures with the recommended blend.
"""

import sys
import time
from pathlib import Path

import torch

from .cli import compose_config, with_errors_as_lines
from .data import HELD_OUT_SEED, open_portraits
from .errors import UserError
from .projection import caricature_sheet
from .sweep.run import run_sweep
from .tracking import write_run_report
from .training.run import train
from .weights import load_network

PERSONS = 12
TRAIN = ["experiment=demo", "run=demo"]
RESOLUTIONS, LATENTS = (4, 8, 16, 32), 128


def main(arguments: list[str]) -> None:
    """Train, sweep, caricature; `arguments` go to the training (e.g. `paths.runs=DIR`)."""
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\nOptions are those of train.py, for example: python -m src.demo paths.runs=DIR")
        return
    started = time.time()
    print("1/3 fine-tuning the portrait network to cartoons", flush=True)
    run_dir = train(compose_config("train", [*TRAIN, *arguments]))
    print("2/3 blending and scoring every snapshot", flush=True)
    sweep_dir, ranking = run_sweep(run_dir, RESOLUTIONS, n_latents=LATENTS)
    if ranking["recommended"] is None:
        raise UserError(ranking["sentence"])
    print("3/3 caricatures of portraits that no network has seen", flush=True)
    sheet = make_sheet(run_dir, sweep_dir / "best.safetensors")
    report = write_run_report(run_dir)
    print(f"\n{ranking['sentence']}\ncaricatures: {sheet}\nreport:      {report}\n{time.time() - started:.0f} s")


def make_sheet(run_dir: Path, best: Path) -> Path:
    """Project held-out portraits into the original network and render their codes in the best blend."""
    base = load_network(run_dir / "snapshots" / "kimg-000000.00.safetensors").G_ema
    people = open_portraits("people", PERSONS, base.resolution, first_seed=HELD_OUT_SEED).images
    assert people is not None
    with torch.random.fork_rng(devices=[]):
        return caricature_sheet(people, base, load_network(best).G_ema, run_dir / "caricatures", seed=0)


if __name__ == "__main__":
    with_errors_as_lines(lambda: main(sys.argv[1:]))
