"""Gates: what a clean blend passes and a spoiled one does not."""

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.metrics.cariscore import Judge, References, gates, recognition
from src.metrics.cariscore.faces import Faces
from src.metrics.cariscore.frame import Frame

from .conftest import World


@pytest.fixture(scope="module")
def looks(world: World) -> gates.Looks:
    return gates.Looks(Frame.of(world.sets["base"]))


def _picked(faces: Faces, index: torch.Tensor) -> Faces:
    return Faces(faces.images[index], faces.marks[index], faces.found[index])


def _brighter(faces: Faces) -> Faces:
    return Faces((faces.images.float() * 0.7 + 40).to(torch.uint8), faces.marks, faces.found)


def test_a_blend_is_recognised_and_permuted_ones_are_not(world: World, looks: gates.Looks) -> None:
    base, hybrid = looks(world.sets["base"]), looks(world.sets["hybrid"])
    assert gates.correspondence(base, hybrid).value > 0.9
    order = np.random.default_rng(0).permutation(len(hybrid))
    assert gates.correspondence(base, hybrid[order]).value < 0.65
    assert gates.correspondence(base, hybrid[np.arange(60) % 6]).passed is False


class Walls:
    """A recogniser that knows persons by the wall behind them."""

    def __call__(self, image, landmarks):
        assert landmarks.shape == (68, 2) and 0 < landmarks.min() < landmarks.max() < image.shape[0]
        return image[:4, :4].mean(axis=(0, 1))

    def identity(self):
        return "walls"


def test_a_recogniser_takes_the_place_of_looks(world: World) -> None:
    base = world.sets["base"]
    judge = Judge(References.of(base, world.training, base, "cartoon_low", recogniser=Walls()), Walls())
    hybrid = world.sets["hybrid"]
    assert judge.judged(judge.rows(hybrid)).gates[0].value > 0.95
    images = hybrid.images.clone()
    images[:, :, :4, :4] = images[:, :, :4, :4].roll(1, dims=0)
    moved = judge.judged(judge.rows(Faces(images, hybrid.marks, hybrid.found))).gates
    assert moved[0].passed is False and all(gate.passed for gate in moved[1:])


@pytest.mark.parametrize("answers", ["text", [], [float("nan")], 1.0, [[1.0]]])
def test_what_a_recogniser_must_answer_is_one_line(world: World, answers: object) -> None:
    with pytest.raises(UserError, match="recogniser: a list of finite numbers is expected"):
        recognition.described(world.sets["base"], Frame.of(world.sets["base"]), lambda image, landmarks: answers)


def test_a_recogniser_answers_of_every_face_alike(world: World) -> None:
    answers = iter([[1.0], [1.0, 2.0]] * 30)
    with pytest.raises(UserError, match="recogniser: 1 numbers for one face and 2 for another"):
        recognition.described(world.sets["base"], Frame.of(world.sets["base"]), lambda image, marks: next(answers))


def test_mirror_images_are_turned_the_other_way(world: World, looks: gates.Looks) -> None:
    base, hybrid = looks.yaw(world.sets["base"]), world.sets["hybrid"]
    assert gates.same_turn(base, looks.yaw(hybrid)).value > 0.5
    assert gates.same_turn(base, looks.yaw(gates.mirrored(hybrid))).value < -0.5


@pytest.mark.parametrize("count", [1, 6, 20])
def test_collapsed_sets_have_no_spread(world: World, looks: gates.Looks, count: int) -> None:
    base = looks(world.sets["base"])
    assert gates.spread(base, looks(world.sets["hybrid"])).value > 0.8
    assert gates.spread(base, looks(world.sets["hybrid"])[np.arange(60) % count]).passed is False


@pytest.mark.parametrize("change", [lambda x: x, gates.mirrored, _brighter])
def test_copies_are_seen_mirrored_and_brightened_too(world: World, looks: gates.Looks, change) -> None:
    training, turned = looks(world.training), looks(gates.mirrored(world.training))
    copies = looks(change(_picked(world.training, torch.arange(60))))
    assert gates.memorisation(copies, training, turned).value < 0.3
    assert gates.memorisation(looks(world.sets["cartoon"]), training, turned).value > 0.8


def test_near_duplicates_among_the_reals_do_not_hide_copies(world: World, looks: gates.Looks) -> None:
    training, turned = looks(world.training), looks(gates.mirrored(world.training))
    noise = np.random.default_rng(0).standard_normal(training.shape) * 1e-3
    doubled = np.concatenate([training, training + noise])
    copies = training[:60] + 3 * noise[:60]
    assert gates.memorisation(copies, doubled, np.concatenate([turned, turned])).value < 0.3


def test_composites_are_uneven(world: World) -> None:
    sets, rendering = world.sets, world.score.axes[1]
    even = gates.Evenness(rendering.features(sets["base"]), rendering.features(world.training))
    people, cartoons = sets["base"].images, sets["cartoon"].images
    halves = torch.cat([people[..., :32], cartoons[..., 32:]], dim=3)
    composite = Faces(halves, sets["hybrid"].marks, sets["hybrid"].found)
    assert even(rendering.features(composite)).passed is False
    for name in ("base", "hybrid", "shape 1/2", "rendering 1/2", "cartoon"):
        assert even(rendering.features(sets[name])).value > 0.3


def test_missing_faces_are_counted_against_the_bases(world: World) -> None:
    base, hybrid = world.sets["base"], world.sets["hybrid"]
    half = Faces(hybrid.images, hybrid.marks, torch.arange(60) % 2 == 0)
    assert gates.faces_found(half.share_found, base.share_found).value == pytest.approx(0.5)
    unknown = gates.faces_found(half.share_found, 0)
    assert unknown.passed is None and "no face" in unknown.reason
