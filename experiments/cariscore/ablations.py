"""What each part of the score is there for: the same sets judged by S alone, R alone, KID, and the score of before.

On portraits, or with a run's folder on its blends: what each criterion puts first, and how many of the 41 corruptions
of the true hybrid (of the run's best blend) it puts above that set itself.

    python -m experiments.cariscore.ablations
    python -m experiments.cariscore.ablations runs/NAME --kimg 2 4 6 8

`--old FOLDER` names a checkout of 18fbb5f, the last commit with the score of before: its own `rank_blends` is run there
on the same pictures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.cariscore.corruptions import corruptions
from experiments.cariscore.ground_truth import WEIGHTS, World, exactly, portraits
from experiments.cariscore.networks import Run, asked, label, opened
from src.metrics import get_extractor
from src.metrics.cariscore import CariScore, Faces, combine
from src.metrics.kid import KernelDistance
from src.sweep.pictures import common_codes

NAMES = ("score", "S alone", "R alone", "KID to the cartoons", "score of before")
Values = dict[str, list[float]]  # of each set by the criteria, larger is better
OLD = """
import json, sys
import numpy as np, torch
from src.metrics.caricature import rank_blends
with np.load(sys.argv[1]) as file:
    sets = {name: torch.from_numpy(file[name]) for name in file.files}
base, cartoons = sets.pop("base"), sets.pop("cartoon")
print(json.dumps({row["label"]: row["cari"] for row in rank_blends(base, cartoons, sets)}))
"""


def judged(world: World, sets: dict[str, Faces], old: Path | None) -> Values:
    """Judge sets of the base's codes by each criterion."""
    extract = get_extractor("embedded")
    kid = KernelDistance(torch.as_tensor(extract(world.training.images)))
    values: Values = {}
    for name, faces in sets.items():
        s, r = world.score.of(faces).pseudo.mean(axis=0)
        near = -float(kid.pseudo_values(torch.as_tensor(extract(faces.images))).mean())
        values[name] = [float(combine(np.array([s, r]), WEIGHTS)), float(s), float(r), near]
    if old is not None:
        before = by_the_old_score(world.sets["base"], world.sets["cartoon"], sets, old)
        values = {name: [*found, before[name]] for name, found in values.items()}
    return values


def by_the_old_score(base: Faces, cartoon: Faces, sets: dict[str, Faces], old: Path) -> dict[str, float]:
    """Scores of sets by the checkout's own code, anchored on the un-blended network's pictures as it was."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sets.npz"
        named: dict[str, np.ndarray] = {name: faces.images.numpy() for name, faces in sets.items()}
        np.savez(path, allow_pickle=False, **named | {"base": base.images.numpy(), "cartoon": cartoon.images.numpy()})
        command = [sys.executable, "-c", OLD, str(path)]
        there = {**os.environ, "PYTHONPATH": str(old)}
        done = subprocess.run(command, cwd=old, env=there, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))


def of_portraits(options: argparse.Namespace) -> tuple[World, dict[str, Faces], str]:
    """Sets of known shape and rendering, and the one that is best by construction."""
    settings = argparse.Namespace(pictures=options.codes, training=2 * options.codes)
    world = portraits(settings, exactly, 64)
    return world, {k: v for k, v in world.sets.items() if k not in ("base", "cartoon")}, "true hybrid"


def of_run(options: argparse.Namespace) -> tuple[World, dict[str, Faces], str]:
    """A run's blends, and the best of them by the score."""
    run = Run(options.run, options.kimg, options.res)
    codes = common_codes(run.base, options.codes, 0.7, options.seed)
    detector = opened(run, codes, options)
    others = run.others(detector)
    score = CariScore.between(detector.base, detector.cartoons, others=others)

    def located(images: Tensor, _: Tensor | None) -> Faces:
        return detector.locate(images)

    world = World({"base": detector.base}, detector.cartoons, score, located, others)
    faces = {key: located(run.pictures(run.network(key), codes), None) for key in run.keys}
    blends = {label(key): found for key, found in faces.items() if key[1]}
    best = max(blends, key=lambda name: world.row(blends[name])[2])
    kimg = next(key[0] for key in run.keys if label(key) == best)
    world.sets["cartoon"] = faces[kimg, 0]
    return world, blends, best


def main() -> None:
    """Print what each criterion says of each set, and of what spoils the best one."""
    parser = asked(__doc__)
    next(action for action in parser._actions if action.dest == "run").nargs = "?"
    parser.add_argument("--codes", type=int, default=100)
    parser.add_argument("--old", type=Path, help="checkout of 18fbb5f")
    options = parser.parse_args()
    torch.set_num_threads(1)
    world, sets, best = of_portraits(options) if options.run is None else of_run(options)
    images = (sets[best].images, world.sets["base"].images, world.sets["cartoon"].images, world.training.images)
    spoiled = {}
    for name, pictures in corruptions(*images).items():
        marks = (world.sets["cartoon"] if name.startswith("cartoon") else sets[best]).marks
        spoiled[f"spoiled: {name}"] = world.located(pictures, marks)
    values = judged(world, {**sets, **spoiled}, options.old)
    names = NAMES[: len(values[best])]
    print(f"| set | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name in sets:
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in values[name])} |")
    print(f"\n| criterion | puts first | corruptions of {best} above it |\n|---|---|---|")
    for i, name in enumerate(names):
        above = [key.removeprefix("spoiled: ") for key in spoiled if values[key][i] > values[best][i]]
        first = max(sets, key=lambda key: values[key][i])
        print(f"| {name} | {first} | {len(above)}: {', '.join(above)} |")


if __name__ == "__main__":
    main()
