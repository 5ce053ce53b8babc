"""Places on the axes: leave-one-out values, missed faces, what has no scale."""

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.metrics.cariscore.axis import Features
from src.metrics.cariscore.faces import Faces
from src.metrics.cariscore.frame import Frame
from src.metrics.cariscore.gates import Looks
from src.metrics.cariscore.rendering import RenderingAxis, RenderingScale
from src.metrics.cariscore.score import CariScore, exponents, measure, open_axes
from src.metrics.cariscore.shape import ShapeAxis

from .conftest import World


@pytest.fixture(scope="module")
def features(world: World) -> dict[str, list[Features]]:
    """Of base, training cartoons and hybrids on both axes."""
    sets = world.sets | {"training": world.training}
    return {name: measure(world.score.axes, sets[name]) for name in ("base", "training", "shape 1/2", "inverse")}


@pytest.mark.parametrize("kept", [False, True])
def test_shape_without_each_code_is_that_of_the_other_codes(features: dict[str, list[Features]], kept: bool) -> None:
    axis, (base, target, hybrid) = ShapeAxis(kept=kept), (features[k][0] for k in ("base", "training", "shape 1/2"))
    place = axis.between(base, target).place(hybrid)
    for i in (0, 17, 59):
        others = np.arange(len(hybrid)) != i
        again = axis.between(base[others], target).place(hybrid[others])
        assert again.value == pytest.approx(place.without[i], abs=1e-9)


@pytest.mark.parametrize("kept", [False, True])
def test_rendering_without_each_code_is_that_of_the_other_codes(kept: bool) -> None:
    rng = np.random.default_rng(0)
    base, target = rng.standard_normal((20, 6)), rng.standard_normal((15, 6)) + 2
    x = (base + 0.5 * rng.standard_normal((20, 6)) + 0.5).astype(np.float32)
    place = RenderingScale(np.eye(6), base, target, kept).place(x)
    for i in (0, 7, 19):
        others = np.arange(20) != i
        again = RenderingScale(np.eye(6), base[others], target, kept).place(x[others])
        assert again.value == pytest.approx(place.without[i], abs=1e-9)


def test_the_mean_place_does_not_depend_on_the_number_of_codes() -> None:
    rng = np.random.default_rng(0)
    target = rng.standard_normal((300, 8)) + 1

    def mean(codes: int) -> float:
        base = rng.standard_normal((codes, 8))
        x = (base + 0.5 * rng.standard_normal((codes, 8)) + 0.4).astype(np.float32)
        return float(RenderingScale(np.eye(8), base, target, True).place(x).pseudo_values().mean())

    few, many = np.mean([mean(16) for _ in range(300)]), np.mean([mean(256) for _ in range(30)])
    assert few == pytest.approx(many, abs=0.02)


def test_what_is_known_of_other_codes_makes_one_scale_for_all(features: dict[str, list[Features]]) -> None:
    """R without each code is what the score of the other codes is, and the whitening moves with neither."""
    axis, index = RenderingAxis(Frame(32, torch.rand(68, 2), torch.rand(68, 2))), np.arange(60)
    known, base, target, hybrid = (features[name][1] for name in ("inverse", "base", "training", "shape 1/2"))
    place = axis.between(base, target, known).place(hybrid)
    for without in (0, 17, 59):
        others = index != without
        again = axis.between(base[others], target, known).place(hybrid[others])
        assert again.value == pytest.approx(float(place.without[without]), abs=1e-9)
    alone = axis.between(base[1:], target).place(hybrid[1:])
    assert alone.value != pytest.approx(float(axis.between(base, target).place(hybrid).without[0]), abs=1e-6)


def test_unpaired_sets_have_places_too(world: World) -> None:
    hybrid = world.sets["hybrid"]
    few = Faces(hybrid.images[:25], hybrid.marks[:25], hybrid.found[:25])
    s, r = world.score.of(few).values
    assert s == pytest.approx(world.score.of(hybrid).values[0], abs=0.1)
    assert 0.7 < r < 1


def test_missed_faces_have_adopted_nothing(world: World) -> None:
    hybrid = world.sets["hybrid"]
    half = torch.arange(len(hybrid)) % 2 == 0
    blind = Faces(hybrid.images, torch.where(half[:, None, None], hybrid.marks, torch.rand(68, 2)), half)
    found = world.score.of(blind).values[0]
    assert found == pytest.approx(world.score.of(hybrid).values[0] / 2, abs=0.06)


def test_missed_faces_are_left_out_of_the_references(world: World, features: dict[str, list[Features]]) -> None:
    training = world.training
    some = torch.arange(len(training)) % 4 != 0
    blind = Faces(training.images, torch.where(some[:, None, None], training.marks, torch.rand(68, 2)), some)
    score = CariScore(world.score.axes, features["base"], measure(world.score.axes, blind.seen()))
    values = score.of(world.sets["hybrid"]).values
    assert values == pytest.approx(world.score.of(world.sets["hybrid"]).values, abs=0.05)


def test_a_row_depends_on_its_picture_alone(world: World, features: dict[str, list[Features]]) -> None:
    base = world.sets["base"]
    one = Faces(base.images[7:8], base.marks[7:8], base.found[7:8])
    for axis, rows in zip(world.score.axes, features["base"], strict=True):
        assert np.allclose(axis.features(one)[0], rows[7], atol=1e-4)


def test_pictures_are_warped_once_for_all_that_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the axes and the gates; another set is warped anew."""
    base, warped = world.sets["base"], []
    frame, warp = Frame.of(base), Frame._warp
    monkeypatch.setattr(Frame, "_warp", lambda self, faces: warped.append(len(faces)) or warp(self, faces))
    one = Faces(base.images[:8], base.marks[:8], base.found[:8])
    rows, looks = RenderingAxis(frame).features(one), Looks(frame)(one)
    assert warped == [8] and len(rows) == len(looks) == 8
    other = Faces(one.images.flip(3), one.marks, one.found)
    assert not np.allclose(Looks(frame)(other), looks) and warped == [8, 8]


def test_cartoons_of_the_bases_shape_are_refused(world: World, features: dict[str, list[Features]]) -> None:
    with pytest.raises(UserError, match="mean shape cannot be told from the base's"):
        CariScore(world.score.axes, features["base"], features["inverse"])


def test_sets_without_faces_are_refused(features: dict[str, list[Features]]) -> None:
    with pytest.raises(UserError, match="faces were found in 0 of 60 pictures"):
        ShapeAxis().between(np.full_like(features["base"][0], np.nan), features["training"][0])


def test_directions_and_alpha_are_checked(world: World) -> None:
    with pytest.raises(UserError, match="choose cartoon_low or cartoon_high"):
        open_axes(Frame.of(world.sets["base"]), "sideways")
    with pytest.raises(UserError, match=r"alpha=1\.5"):
        exponents(world.score.axes, 1.5)
    assert exponents(world.score.axes, 0.3) == pytest.approx((0.3, 0.7))
