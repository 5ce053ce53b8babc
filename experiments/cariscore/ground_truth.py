"""Is the score right where the truth is known? Portraits, or real pictures warped, and what spoils them, as tables.

Portraits: shape and rendering are drawn apart, so that the true blend (cartoon shape, people's rendering), its
opposite and everything between are at hand. Real pictures: faces warped to the cartoons' mean shape are true blends
of photographs.

    python -m experiments.cariscore.ground_truth
    python -m experiments.cariscore.ground_truth --landmarks network
    python -m experiments.cariscore.ground_truth --base PEOPLE --cartoons CARTOONS --landmarks dlib
"""

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.cariscore.corruptions import corruptions
from experiments.cariscore.factorial import portrait_set
from src.data import open_dataset
from src.faces import FaceRecogniser, LandmarkProvider, open_recogniser
from src.metrics.cariscore import (
    CariScore,
    Faces,
    Gate,
    Judge,
    References,
    check_detector,
    choose_detector,
    combine,
    locate,
    measure,
    shrunk,
)
from src.metrics.cariscore.gates import thumbnails
from src.metrics.cariscore.shape import normalised_shape
from src.metrics.cariscore.trust import warped

MIXES = {
    "base": (0, 0),
    "cartoon": (1, 1),
    "true hybrid": (1, 0),
    "inverse hybrid": (0, 1),
    **{f"shape {t}": (t, 0) for t in (0.25, 0.5, 0.75)},
    **{f"rendering {t}": (0, t) for t in (0.25, 0.5, 0.75)},
}
FIRST_CODE, FIRST_TRAINING = 10_000, 5_000
WEIGHTS = (0.5, 0.5)
Found = Callable[[Tensor, Tensor | None], Faces]


@dataclass(frozen=True)
class World:
    """Sets of the same codes, the training cartoons, and the score between them."""

    sets: dict[str, Faces]
    training: Faces
    score: CariScore
    located: Found
    others: Faces  # the base's pictures that fix the scale
    paired: bool = True  # whether "cartoon" is of the same codes as "base"

    def row(self, faces: Faces) -> tuple[float, float, float]:
        """S, R and score."""
        values = self.score.of(faces).pseudo.mean(axis=0)
        return float(values[0]), float(values[1]), float(combine(values, WEIGHTS))


def exactly(images: Tensor, marks: Tensor | None) -> Faces:
    """Faces whose landmarks are known."""
    assert marks is not None, "exact landmarks are known of drawn portraits alone"
    return Faces(images, marks, torch.ones(len(images), dtype=torch.bool))


def portraits(options: argparse.Namespace, located: Found, px: int, names: Iterable[str] = MIXES) -> World:
    """Portraits of mixtures by their names, "base" among them."""
    codes = range(FIRST_CODE, FIRST_CODE + options.pictures)
    training = range(FIRST_TRAINING, FIRST_TRAINING + options.training)
    sets = {name: located(*portrait_set(codes, *MIXES[name], px)) for name in names}
    cartoons = located(*portrait_set(training, 1, 1, px))
    return World(sets, cartoons, CariScore.between(sets["base"], cartoons), located, sets["base"])


def real_pictures(options: argparse.Namespace, located: Found) -> World:
    """Photographs, and photographs warped to the cartoons' mean shape by the detector's own landmarks."""
    large = pictures(options.base, 2 * options.px, options.pictures)
    people = located(shrunk(large, options.px), None)
    large, people = large[people.found], people.seen()
    cartoons = located(pictures(options.cartoons, options.px, options.training + options.pictures), None)
    training = Faces(*(x[options.pictures :] for x in (cartoons.images, cartoons.marks, cartoons.found)))
    move = normalised_shape(training.seen().marks).mean(dim=0) - normalised_shape(people.marks).mean(dim=0)
    sets = {"base": people}
    sets["cartoon"] = Faces(*(x[: len(people)] for x in (cartoons.images, cartoons.marks, cartoons.found)))
    for name, t in (("shape 0.5", 0.5), ("true hybrid", 1)):  # warped at twice the size, so that the warp does not blur
        hybrid = warped(Faces(large, people.marks, people.found), t * move)
        sets[name] = located(shrunk(hybrid, options.px), None)
    return World(sets, training, CariScore.between(people, training), located, people, paired=False)


def pictures(path: Path, px: int, most: int) -> Tensor:
    """At most `most` pictures of a data set, evenly spread, uint8 `[N, 3, px, px]`."""
    dataset = open_dataset(path)
    count = min(len(dataset), most)
    chosen = [i * len(dataset) // count for i in np.random.default_rng(0).permutation(count)]
    images = torch.stack([dataset[i][0] for i in chosen])
    resized = F.interpolate(images.float(), (px, px), mode="bilinear", antialias=True)
    return (resized + 0.5).clamp(0, 255).to(torch.uint8)


def table(title: str, world: World, sets: dict[str, Faces]) -> None:
    """Print S, R and score of sets."""
    print(f"\n{title}\n\n| set | faces found | S | R | score |\n|---|---|---|---|---|")
    for name, faces in sets.items():
        s, r, cari = world.row(faces)
        print(f"| {name} | {faces.share_found:.2f} | {s:.2f} | {r:.2f} | {cari:.3f} |", flush=True)


def corruption_table(world: World, recogniser: FaceRecogniser | None = None) -> None:
    """Print what every corruption of the true hybrid scores, and which gates stop it."""
    clean, cartoon = world.sets["true hybrid"], world.sets["cartoon"]
    best = world.row(clean)[2]
    gates = gates_of(world, recogniser)
    spoiled = corruptions(
        *(world.sets[name].images for name in ("true hybrid", "base", "cartoon")), world.training.images
    )
    above, stopped = [], 0
    print(
        f"\nCorruptions of the true hybrid ({best:.3f})\n\n| corruption | S | R | score | correspondence |"
        " gates that stop it |"
    )
    print("|---|---|---|---|---|---|")
    print(f"| none | | | {best:.3f} | {gates(clean, cartoon)[0].value:.2f} | {failed(gates(clean, cartoon))} |")
    for name, images in spoiled.items():
        faces = world.located(images, world.sets["cartoon" if name.startswith("cartoon") else "true hybrid"].marks)
        s, r, cari = world.row(faces)
        found = gates(faces, cartoon)
        reasons = failed(found)
        above += [name] * (cari > best)
        stopped += bool(reasons)
        print(f"| {name} | {s:.2f} | {r:.2f} | {cari:.3f} | {found[0].value:.2f} | {reasons} |", flush=True)
    print(f"\n{len(above)} of {len(spoiled)} above ({', '.join(above) or 'none'}); gates stop {stopped}.")


def gates_of(world: World, recogniser: FaceRecogniser | None = None) -> Callable[[Faces, Faces], list[Gate]]:
    """All gates of a set of the base's codes, correspondence first; asked for with the un-blended network's set."""
    base = world.sets["base"]
    references = References.of(base, world.training, world.others, "cartoon_low", recogniser=recogniser)
    judge = Judge(references, recogniser)

    def found(faces: Faces, unblended: Faces) -> list[Gate]:
        return judge.judged(judge.rows(faces), thumbnails(unblended.images) if world.paired else None).gates

    return found


def failed(gates: list[Gate]) -> str:
    """Names and values of the gates that do not pass."""
    return ", ".join(f"{gate.name} {gate.value:.2f}" for gate in gates if gate.passed is False)


def place_table(options: argparse.Namespace, world: World) -> None:
    """Print the score of zoomed and shifted hybrids against the same base."""
    codes = range(FIRST_CODE, FIRST_CODE + options.pictures)
    moved = {
        name: world.located(*portrait_set(codes, *MIXES["true hybrid"], options.px, zoom=zoom, shift=shift))
        for name, zoom, shift in (("zoom 1.05", 1.05, 0), ("zoom 0.95", 0.95, 0), ("shift .05", 1, 0.05))
    }
    table("True hybrid elsewhere in the picture", world, moved)


def cost(world: World) -> None:
    """Print processor time a picture of each axis."""
    faces = world.sets["base"]
    for axis in world.score.axes:
        started = time.process_time()
        axis.features(faces)
        print(f"{axis.title}: {1000 * (time.process_time() - started) / len(faces):.1f} ms a picture")
    features = measure(world.score.axes, faces)
    started = time.process_time()
    world.score.places(features)
    print(f"places of {len(faces)} pictures: {1000 * (time.process_time() - started):.0f} ms")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="folder or zip of aligned photographs")
    parser.add_argument("--cartoons", type=Path, help="folder or zip of cartoons")
    parser.add_argument("--landmarks", default="exact", help="exact (portraits alone), network, face-alignment or dlib")
    parser.add_argument("--recogniser", help="dlib or package.module:function; looks without")
    parser.add_argument("--px", type=int, default=64)
    parser.add_argument("--sizes", type=int, nargs="*", default=[48, 128, 256])
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--training", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    provider = open_provider(options)
    located: Found = exactly if provider is None else (lambda images, marks: locate(images, provider))
    drawn = options.base is None
    world = portraits(options, located, options.px) if drawn else real_pictures(options, located)
    table(f"Shape and rendering, {options.px} px, landmarks: {options.landmarks}", world, world.sets)
    if provider is not None:
        trust = check_detector(world.sets["base"], world.training, provider)
        print(f"\nDetector: people warped to the cartoons' shape {trust.shape:.2f}, the reverse {trust.leak:.2f}")
    corruption_table(world, recogniser_of(options))
    if drawn:
        place_table(options, world)
        for px in options.sizes:
            sized = portraits(options, located, px, ("base", "true hybrid", "shape 0.5"))
            table(f"{px} px", sized, sized.sets)
    cost(world)


def recogniser_of(options: argparse.Namespace) -> FaceRecogniser | None:
    """The recogniser that was asked for; None: by looks."""
    return None if options.recogniser is None else open_recogniser(options.recogniser)


def open_provider(options: argparse.Namespace) -> LandmarkProvider | None:
    """The detector; None for exact landmarks."""
    if options.landmarks == "exact":
        return None
    if options.base:
        references = [pictures(path, options.px, 8) for path in (options.base, options.cartoons)]
    else:
        references = [portrait_set(range(8), t, t, options.px)[0] for t in (0, 1)]
    return choose_detector(options.landmarks, *references).provider


if __name__ == "__main__":
    main()
