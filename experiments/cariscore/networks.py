"""The score and the decision on a trained run: cells, and what spoils the best one.

    python -m experiments.cariscore.networks runs/NAME

Every cell and un-blended snapshot with the gates that stop it, corruptions of the best cell that none stops, and the
ranking when the run ends earlier.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.cariscore.ground_truth import WEIGHTS, World, corruption_table, failed, gates_of, recogniser_of
from src.errors import UserError
from src.metrics.cariscore import (
    CariScore,
    Cell,
    Detector,
    Faces,
    choose_detector,
    combine,
    compare,
    decide,
    recommendation,
    remark,
)
from src.metrics.cariscore.axis import Floats
from src.networks import Generator, blend
from src.sweep.pictures import common_codes, render
from src.sweep.references import OTHER_CODES, OTHER_SEED, training_pictures
from src.weights import load_network

Key = tuple[float, int]  # kimg, and the blend's resolution or 0 for the un-blended snapshot


class Run:
    """A run's networks and the pictures of their blends.

    Args:
        folder: of the run.
        kimg: snapshots to look at; all later than 0 when empty.
        resolutions: of the blends.
        level: of the blends, see `networks.blend`.
    """

    def __init__(self, folder: Path, kimg: Sequence[float], resolutions: Sequence[int], level: int = 0) -> None:
        paths = {float(p.stem.removeprefix("kimg-")): p for p in sorted((folder / "snapshots").glob("kimg-*"))}
        self.folder = folder
        self.base = _generator(paths[0.0])
        self._snapshots = {k: _generator(paths[k]) for k in (kimg or [k for k in paths if k > 0])}
        self.resolutions, self._level = resolutions, level

    @property
    def keys(self) -> list[Key]:
        """All cells, and each snapshot un-blended."""
        return [(k, r) for k in self._snapshots for r in (*self.resolutions, 0)]

    def network(self, key: Key) -> Generator:
        """A blend, or the un-blended snapshot."""
        kimg, resolution = key
        snapshot = self._snapshots[kimg]
        return blend(snapshot, self.base, resolution, level=self._level) if resolution else snapshot

    def pictures(self, network: Generator, codes: Tensor) -> Tensor:
        """Uint8 pictures of codes."""
        return torch.cat(list(render(network, codes)))

    def others(self, detector: Detector) -> Faces:
        """The base's pictures that fix the scale of a sweep, whichever its codes are."""
        return detector.locate(self.pictures(self.base, common_codes(self.base, OTHER_CODES, 0.7, OTHER_SEED)))


def label(key: Key) -> str:
    """`8 kimg at 16 px`."""
    return f"{key[0]:g} kimg at {key[1]} px" if key[1] else f"{key[0]:g} kimg un-blended"


def one_set(run: Run, options: argparse.Namespace) -> None:
    """All tables about one set of codes."""
    codes = common_codes(run.base, options.codes, 0.7, options.seed)
    detector = opened(run, codes, options)
    training = detector.cartoons
    trust = detector.trust
    print(f"landmarks: {detector.name}, found in {detector.base.share_found:.2f} and {training.share_found:.2f}")
    print(f"people warped to the cartoons' shape {trust.shape:.2f}, the reverse {trust.leak:.2f}")
    others = run.others(detector)
    score = CariScore.between(detector.base, training, others=others)
    faces = {key: detector.locate(run.pictures(run.network(key), codes)) for key in run.keys}
    world = World({"base": detector.base}, training, score, lambda images, _: detector.locate(images), others)
    pseudo = {key: score.of(found).pseudo for key, found in faces.items()}
    recogniser = recogniser_of(options)
    gates = gates_of(world, recogniser)
    passed = []
    print("\n| cell | S | R | score | gates that stop it |\n|---|---|---|---|---|")
    for key, rows in pseudo.items():
        s, r = rows.mean(axis=0)
        cari = float(combine(rows.mean(axis=0), WEIGHTS))
        reasons = failed(gates(faces[key], faces[key[0], 0]))
        if key[1] and not reasons:
            passed.append(key)
        print(f"| {label(key)} | {s:.3f} | {r:.3f} | {cari:.3f} | {reasons} |", flush=True)
    blends = [key for key in run.keys if key[1]]
    say(run, pseudo, passed or blends)
    cuts(pseudo, blends)
    best = max(passed or blends, key=lambda key: float(combine(pseudo[key].mean(axis=0), WEIGHTS)))
    world.sets.update({"true hybrid": faces[best], "cartoon": faces[best[0], 0]})
    print(f"\nbest: {label(best)}")
    corruption_table(world, recogniser)


def opened(run: Run, codes: Tensor, options: argparse.Namespace) -> Detector:
    """The detector, with the faces of the base's pictures and of the run's training pictures, as a sweep takes them."""
    cartoons, reason = training_pictures(run.folder)
    if cartoons is None:
        raise UserError(reason)
    return choose_detector(options.landmarks, run.pictures(run.base, codes), cartoons.images)


def say(run: Run, pseudo: dict[Key, Floats], blends: list[Key]) -> None:
    """Print the recommendation of blends that no gate stops."""
    cells = [Cell(label(key), *key) for key in blends]
    stopped = [Cell(label(key), *key) for key in run.keys if key[1] and key not in blends]
    rows = np.stack([pseudo[key] for key in blends], axis=1)
    unblended = np.stack([pseudo[key] for key in run.keys if not key[1]], axis=1)
    resolutions = tuple(r for r in run.base.synthesis.resolutions if r < run.base.resolution)
    decision = decide(rows, cells, resolutions=resolutions, stopped=stopped, unblended=unblended)
    assert decision is not None
    titles = ("cartoon shape adopted", "base rendering kept")
    print("\n" + recommendation(decision, cells, rows.mean(axis=0), titles))
    for note in decision.notes:
        print(remark(note, decision))


def cuts(pseudo: dict[Key, Floats], blends: list[Key]) -> None:
    """Print how many pairs of common cells change places when the run ends earlier: none can, scores are the same."""
    whole = [key for key in blends]
    for last in sorted({key[0] for key in blends})[1:]:
        kept = [key for key in whole if key[0] <= last]
        found = compare(np.stack([pseudo[key] for key in kept], axis=1)).mean
        again = compare(np.stack([pseudo[key] for key in whole], axis=1)).mean[[whole.index(key) for key in kept]]
        print(f"ends at {last:g} kimg: largest change of a common cell's score {np.abs(found - again).max():.1e}")


def _generator(path: Path) -> Generator:
    return load_network(path, parts=("G_ema",)).G_ema


def asked(about: str | None) -> argparse.ArgumentParser:
    """Options of experiments with a run's networks."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--kimg", type=float, nargs="*", default=[])
    parser.add_argument("--res", type=int, nargs="*", default=[8, 16, 32])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--landmarks", default="auto")
    parser.add_argument("--recogniser", help="dlib or package.module:function; looks without")
    return parser


def main() -> None:
    """Run."""
    parser = asked(__doc__)
    parser.add_argument("--codes", type=int, default=256)
    parser.add_argument("--level", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    one_set(Run(options.run, options.kimg, options.res, options.level), options)


if __name__ == "__main__":
    main()
