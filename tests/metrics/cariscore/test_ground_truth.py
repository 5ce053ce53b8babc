"""The score on portraits whose shape and rendering are known: hybrids, morphs, forty-one corruptions, sizes, places."""

import pytest

from experiments.cariscore.corruptions import corruptions
from experiments.cariscore.factorial import portrait_set
from src.metrics.cariscore.faces import Faces

from .conftest import CODES, SETS, TRAINING, World, drawn, faces_of


@pytest.mark.parametrize(
    ("name", "s", "r"),
    [
        ("base", (-0.01, 0.01), (0.99, 1.01)),
        ("hybrid", (0.8, 1.05), (0.75, 1)),
        ("inverse", (-0.1, 0.1), (-0.1, 0.1)),
        ("cartoon", (0.8, 1.05), (-0.1, 0.1)),
        ("shape 1/2", (0.4, 0.6), (0.8, 1)),
        ("rendering 1/2", (-0.01, 0.01), (0.4, 0.65)),
    ],
)
def test_shape_and_rendering_are_told_apart(
    world: World, name: str, s: tuple[float, float], r: tuple[float, float]
) -> None:
    found = world.score.of(world.sets[name]).values
    assert s[0] <= found[0] <= s[1] and r[0] <= found[1] <= r[1], f"{name}: S {found[0]:.3f}, R {found[1]:.3f}"


def test_no_corruption_scores_above_the_hybrid(world: World) -> None:
    sets = world.sets
    clean = world.cari(sets["hybrid"])
    spoiled = corruptions(*(sets[name].images for name in ("hybrid", "base", "cartoon")), world.training.images)
    assert len(spoiled) == 41
    for name, images in spoiled.items():
        marks = sets["cartoon" if name.startswith("cartoon") else "hybrid"].marks
        score = world.cari(faces_of(images, marks))
        assert score < clean, f"{name}: {score:.3f}, the hybrid {clean:.3f}"
        if name.startswith("cartoon"):
            half = world.cari(sets["shape 1/2"])
            assert score < half, f"{name}: {score:.3f}, the hybrid of half the shape {half:.3f}"


@pytest.mark.parametrize("name", ["droplet", "permuted", "collapsed to 6", "ghost of person and cartoon"])
def test_what_befalls_single_pictures_costs_much(world: World, name: str) -> None:
    sets = world.sets
    spoiled = corruptions(*(sets[k].images for k in ("hybrid", "base", "cartoon")), world.training.images)[name]
    assert world.cari(faces_of(spoiled, sets["hybrid"].marks)) < world.cari(sets["hybrid"]) - 0.03


@pytest.mark.parametrize("px", [48, 128])
def test_the_size_of_the_pictures_hardly_matters(world: World, px: int) -> None:
    some = CODES[:24]
    sized = World({name: drawn(some, *SETS[name], px) for name in ("base", "hybrid")}, drawn(TRAINING[:40], 1, 1, px))
    assert sized.cari(sized.sets["hybrid"]) == pytest.approx(world.cari(world.sets["hybrid"]), abs=0.06)


@pytest.mark.parametrize(("zoom", "shift"), [(1.05, 0.0), (0.95, 0.0), (1.0, 0.05)])
def test_zoomed_and_shifted_blends_score_the_same(world: World, zoom: float, shift: float) -> None:
    moved = faces_of(*portrait_set(CODES, *SETS["hybrid"], zoom=zoom, shift=shift))
    assert world.cari(moved) == pytest.approx(world.cari(world.sets["hybrid"]), abs=0.03)


def test_the_other_direction_asks_for_the_other_two(portraits: dict[str, Faces], training: Faces) -> None:
    other = World(portraits, training, "cartoon_high")
    cari = {name: other.cari(faces) for name, faces in portraits.items()}
    assert cari["inverse"] > 0.8
    assert max(cari["base"], cari["cartoon"], cari["hybrid"]) < 0.3
