"""`make demo`: the whole job on built-in pictures, offline, in a few minutes on a laptop's processor.

Fine-tunes the shipped portrait network to cartoons with early snapshots, evaluates them, blends and scores every
snapshot at every resolution, and turns photographs of held-out persons into caricatures with the recommended blend:
found, aligned, projected, rendered, pasted back, as caricature.py does it.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from .caricature import CaricatureSettings, Result, caricature
from .cli import compose_config
from .data import HELD_OUT_SEED, save_png
from .errors import UserError
from .exits import with_errors_as_lines
from .faces import FaceSettings
from .files import write_text
from .portraits import render_photograph
from .projection import ProjectionChoice
from .runs import PathsSettings
from .sweep import run_sweep
from .tracking import write_run_report
from .training import train

PERSONS, PORTRAIT_PX, TILT_DEG = 12, 192, 16
ALIGN_PX = 256
TRAIN = ["experiment=demo", "run=demo"]
LATENTS = 128
LEVEL = 1  # the switch lies half a block later: of the few places that a small network has, the better ones
SAMPLES = 1000  # random faces, with the nearest of which a projection begins


def main(arguments: list[str]) -> None:
    """Train, sweep, caricature; `arguments` go to the training (e.g. `paths.runs=DIR`)."""
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\nOptions are those of train.py, for example: python -m src.demo paths.runs=DIR")
        return
    started = time.perf_counter()
    print("1/3 fine-tuning the portrait network to cartoons", flush=True)
    run_dir = train(compose_config("train", [*TRAIN, *arguments]))
    print("2/3 blending and scoring every snapshot", flush=True)
    sweep_dir, ranking = run_sweep(run_dir, n_latents=LATENTS, blend={"level": LEVEL})
    if ranking["recommended"] is None:
        raise UserError(ranking["sentence"])
    print("3/3 caricatures of persons that no network has seen", flush=True)
    result = make_caricatures(run_dir, sweep_dir.name)
    report = write_run_report(run_dir)
    print(
        f"\n{ranking['sentence']}\ncaricatures: {result.sheet}\nwith sliders: {result.page}\nreport:      {report}\n"
        f"{time.perf_counter() - started:.0f} s"
    )


def make_caricatures(run_dir: Path, sweep: str) -> Result:
    """Draw photographs of held-out persons with their landmarks beside them, and turn them into caricatures."""
    photos = draw_photographs(run_dir / "photographs", PERSONS)
    settings = CaricatureSettings(
        photos=photos,
        projection=ProjectionChoice(samples=SAMPLES),
        run=str(run_dir.resolve()),
        out=run_dir / "caricatures",
        sweep=sweep,
        faces=FaceSettings(landmarks="files", align_px=ALIGN_PX),
        paths=PathsSettings(runs=str(run_dir.parent)),
    )
    with torch.random.fork_rng(devices=[]):
        return caricature(settings)


def draw_photographs(folder: Path, count: int) -> Path:
    """Write photographs of held-out persons, each held a little askew, and their landmarks as `<stem>.json`."""
    angles = np.random.default_rng(0).uniform(-TILT_DEG, TILT_DEG, count)
    for i, angle in enumerate(angles):
        picture, landmarks = render_photograph(HELD_OUT_SEED + i, PORTRAIT_PX, degrees=float(angle))
        path = save_png(folder / f"person-{i:02d}.png", picture)
        write_text(path.with_suffix(".json"), json.dumps([landmarks.round(3).tolist()]) + "\n")
    return folder


if __name__ == "__main__":
    with_errors_as_lines(lambda: main(sys.argv[1:]))
