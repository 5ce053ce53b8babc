"""Where each gate's threshold lies among clean and spoiled sets of a trained run.

    python -m experiments.cariscore.gates runs/NAME
    python -m experiments.cariscore.gates runs/NAME --ghosts

Clean: every blend. Spoiled: 41 corruptions of some. A gate is there for some kinds of damage alone (`DAMAGE`): its
threshold is argued where it lies between the highest of these and the least clean blend. Beside it stand the share of
all spoiled sets that it stops, the area under the ROC curve of all, and the three kinds with the lowest values.
`--ghosts`: the gate of ghosting on blends of every kind, also such as no default makes, and on ghosts of them.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.cariscore.corruptions import corruptions
from experiments.cariscore.ground_truth import World, gates_of
from experiments.cariscore.networks import Run, opened
from src.metrics.cariscore import CariScore, Faces, Gate
from src.metrics.cariscore.gates import ghosting, thumbnails
from src.networks import blend
from src.sweep.pictures import common_codes

SPOILED = ((4.0, 16), (8.0, 16), (8.0, 8))  # blends: kimg and resolution
DAMAGE = {  # what each gate is there for
    "correspondence": ("permuted", "collapsed to 1", "collapsed to 6", "collapsed to 20", "memorised"),
    "turn": ("mirrored",),
    "faces": ("upside down",),
    "spread": ("collapsed to 1", "collapsed to 6", "collapsed to 20"),
    "memorisation": ("memorised", "memorised, blurred"),
    "symmetry": ("swirled",),
    "ghosting": ("ghost of person and cartoon",),
    "place": ("shifted",),
    "evenness": ("left person, right cartoon", "top cartoon, bottom person", "mouth erased", "eyes doubled"),
}


def areas(clean: list[float], spoiled: list[float]) -> float:
    """Area under the ROC curve: how often a spoiled set has less than a clean one."""
    less = np.array(spoiled)[:, None] - np.array(clean)
    return float((less < 0).mean() + 0.5 * (less == 0).mean())


def ghosts(run: Run, codes: Tensor) -> None:
    """Print the least and the largest value of the gate of ghosting over all snapshots, by kind and resolution."""
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    base = run.pictures(run.base, codes)
    for snapshot in {key[0]: run.network((key[0], 0)) for key in run.keys}.values():
        own = run.pictures(snapshot, codes)

        def note(kind: str, resolution: int, images: Tensor, own: Tensor = own) -> None:
            value = ghosting(*(thumbnails(pictures) for pictures in (base, images, own))).value
            assert value is not None
            found[kind, resolution].append(value)

        for name, share in (("a third cartoon", 0.33), ("half", 0.5), ("two thirds", 0.67)):
            mixed = torch.lerp(base.float(), own.float(), share)
            note(f"ghost of person and cartoon, {name}", 0, mixed)
            note(f"ghost of person and cartoon, {name}, paler and lighter", 0, 0.7 * mixed + 60)
        for resolution in run.resolutions:
            hard = run.pictures(blend(snapshot, run.base, resolution), codes)
            note("blend", resolution, hard)
            note("cartoon_high", resolution, run.pictures(blend(run.base, snapshot, resolution), codes))
            note("level=1", resolution, run.pictures(blend(snapshot, run.base, resolution, level=1), codes))
            for width in (1, 2):
                soft = blend(snapshot, run.base, resolution, width=width)
                note(f"width={width}", resolution, run.pictures(soft, codes))
            note("ghost of person and blend", resolution, (base.float() + hard) / 2)
    print("| set | px | ghosting |\n|---|---|---|")
    for (kind, resolution), values in sorted(found.items()):
        print(f"| {kind} | {resolution or ''} | {min(values):.2f} to {max(values):.2f} |")


def main() -> None:
    """Print a row a gate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--codes", type=int, default=64)
    parser.add_argument("--landmarks", default="auto")
    parser.add_argument("--ghosts", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = Run(options.run, [], [4, 8, 16, 32])
    codes = common_codes(run.base, options.codes, 0.7, 0)
    if options.ghosts:
        ghosts(run, codes)
        return
    detector = opened(run, codes, options)
    others = run.others(detector)
    score = CariScore.between(detector.base, detector.cartoons, others=others)
    world = World({"base": detector.base}, detector.cartoons, score, lambda images, _: detector.locate(images), others)
    gates = gates_of(world)
    snapshots: dict[float, Faces] = {}
    clean: dict[str, list[Gate]] = defaultdict(list)
    spoiled: dict[str, dict[str, list[Gate]]] = defaultdict(lambda: defaultdict(list))
    for key in [key for key in run.keys if key[1]]:
        if key[0] not in snapshots:
            snapshots[key[0]] = detector.locate(run.pictures(run.network((key[0], 0)), codes))
        images, unblended = run.pictures(run.network(key), codes), snapshots[key[0]]
        for gate in gates(detector.locate(images), unblended):
            clean[gate.name].append(gate)
        if key in SPOILED:
            for kind, damaged in corruptions(
                images, detector.base.images, unblended.images, detector.cartoons.images
            ).items():
                for gate in gates(detector.locate(damaged), unblended):
                    spoiled[gate.name][kind].append(gate)
    columns = ("gate", "threshold", "its damage: highest", "clean: least, 5 %", "clean stopped", "spoiled stopped")
    columns += ("area", "lowest")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, passed in clean.items():
        good = [gate.value for gate in passed if gate.value is not None]
        bad = {kind: [g.value for g in found if g.value is not None] for kind, found in spoiled[name].items()}
        low = sorted((kind for kind in bad if bad[kind]), key=lambda kind: np.mean(bad[kind]))[:3]
        values = [value for found in bad.values() for value in found]
        threshold = passed[0].threshold
        named = ", ".join(f"{kind} {np.mean(bad[kind]):.2f}" for kind in low)
        least, area = f"{min(good):.2f}, {np.quantile(good, 0.05):.2f}", areas(good, values)
        stopped = f"{np.mean(np.array(good) < threshold):.2f} | {np.mean(np.array(values) < threshold):.2f}"
        highest = max((value for kind in DAMAGE[name] for value in bad[kind]), default=np.nan)
        print(f"| {name} | {threshold:g} | {highest:.2f} | {least} | {stopped} | {area:.2f} | {named} |", flush=True)


if __name__ == "__main__":
    main()
