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
    images, unblended = hybrid.images.clone(), gates.thumbnails(world.sets["cartoon"].images)
    images[:, :, :4, :4] = images[:, :, :4, :4].roll(1, dims=0)
    moved = judge.judged(judge.rows(Faces(images, hybrid.marks, hybrid.found)), unblended).gates
    assert moved[0].passed is False and all(gate.passed for gate in moved[1:])


@pytest.mark.parametrize("answers", ["text", [], [float("nan")], 1.0, [[1.0]]])
def test_what_a_recogniser_must_answer_is_one_line(world: World, answers: object) -> None:
    with pytest.raises(UserError, match="recogniser: a list of finite numbers is expected"):
        recognition.described(world.sets["base"], Frame.of(world.sets["base"]), lambda image, landmarks: answers)


def test_a_recogniser_answers_of_every_face_alike(world: World) -> None:
    answers = iter([[1.0], [1.0, 2.0]] * 30)
    with pytest.raises(UserError, match="recogniser: 1 numbers for one face and 2 for another"):
        recognition.described(world.sets["base"], Frame.of(world.sets["base"]), lambda image, marks: next(answers))


def test_mirror_images_are_turned_the_other_way(world: World) -> None:
    base, hybrid = gates.pose(world.sets["base"]), world.sets["hybrid"]
    assert gates.same_turn(base, gates.pose(hybrid)).value > 0.5
    assert gates.same_turn(base, gates.pose(gates.mirrored(hybrid))).value < -0.5


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
    base, training = rendering.features(sets["base"]), rendering.features(world.training)
    even = gates.Evenness(base, training, base)
    people, cartoons = sets["base"].images, sets["cartoon"].images
    halves = torch.cat([people[..., :32], cartoons[..., 32:]], dim=3)
    composite = Faces(halves, sets["hybrid"].marks, sets["hybrid"].found)
    assert even(rendering.features(composite)).passed is False
    for name in ("base", "hybrid", "shape 1/2", "rendering 1/2", "cartoon"):
        assert even(rendering.features(sets[name])).value > 0.3


def test_evenness_is_whitened_by_the_other_codes(world: World) -> None:
    rendering = world.score.axes[1]
    base, training, blend = (
        rendering.features(faces) for faces in (world.sets["base"], world.training, world.sets["hybrid"])
    )
    order = np.random.default_rng(0).permutation(len(base))
    value = gates.Evenness(base, training, training)(blend).value
    assert gates.Evenness(base[order], training, training)(blend[order]).value == pytest.approx(value)
    assert gates.Evenness(base, training, base)(blend).value != pytest.approx(value, abs=1e-3)


def _moved(faces: Faces, shift: torch.Tensor) -> Faces:
    return Faces(faces.images, faces.marks + shift, faces.found)


def test_shifted_faces_are_out_of_place_and_the_cartoons_place_is_none(world: World) -> None:
    base, hybrid = world.sets["base"], world.sets["hybrid"]
    start, end = gates.pose(base), gates.pose(_moved(world.training, torch.tensor([0.0, -0.2])))
    assert gates.same_place(start, end, gates.pose(hybrid)).value > 0.95
    assert gates.same_place(start, end, gates.pose(_moved(hybrid, torch.tensor([0.0, -0.1])))).value > 0.95
    for x, y in ((0.05, 0), (0, 0.05), (0, -0.25)):
        assert gates.same_place(start, end, gates.pose(_moved(hybrid, torch.tensor([x, y])))).passed is False
    lost = Faces(hybrid.images, hybrid.marks, torch.zeros(60, dtype=torch.bool))
    assert gates.same_place(start, end, gates.pose(lost)).passed is None


def _swirled(marks: torch.Tensor) -> torch.Tensor:
    """Landmarks turned about the middle of the picture, the further inside the more."""
    away = marks - torch.tensor([0.5, 0.55])
    angle = torch.deg2rad(30 * torch.exp(-away.square().sum(dim=2) / 0.07))
    x, y = away.unbind(dim=2)
    turned = torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], dim=2)
    return turned + torch.tensor([0.5, 0.55])


def test_swirled_faces_are_crooked(world: World) -> None:
    shape, hybrid = world.score.axes[0], world.sets["hybrid"]
    swirled = Faces(hybrid.images, _swirled(hybrid.marks), hybrid.found)
    base, target, spoiled = (shape.features(faces) for faces in (world.sets["base"], world.training, swirled))
    for name in ("base", "hybrid", "shape 1/2", "rendering 1/2", "cartoon"):
        assert gates.symmetry(base, target, shape.features(world.sets[name])).value > 0.9
    value = gates.symmetry(base, target, spoiled).value
    assert value < 0.5
    lost, missed = np.arange(60) % 5 == 0, target.copy()
    missed[::7] = np.nan
    partly = [np.where((np.arange(60) % 7 == 1)[:, None], np.nan, base), np.where(lost[:, None], np.nan, spoiled)]
    known = np.isfinite(partly[0][:, 0]) & ~lost
    assert gates.symmetry(partly[0], missed, partly[1]).value == pytest.approx(
        gates.symmetry(base[known], target[np.isfinite(missed[:, 0])], spoiled[known]).value
    )
    assert gates.symmetry(base, target, np.full_like(base, np.nan)).passed is None


def test_what_the_cartoons_have_of_crookedness_is_taken_out_along_its_own_direction(world: World) -> None:
    shape, hybrid = world.score.axes[0], world.sets["hybrid"]
    swirled = shape.features(Faces(hybrid.images, _swirled(hybrid.marks), hybrid.found))
    base = shape.features(world.sets["base"])
    assert gates.symmetry(base, swirled, swirled).value > 0.9
    other = swirled + np.tile([0.0, 0.3], 68) * (np.arange(136) // 2 < 17) * np.sign(np.arange(136) // 2 - 8)
    assert gates.symmetry(base, other.astype(np.float32), swirled).passed is False


def test_a_turn_of_the_head_is_not_crooked_and_chance_is_not(world: World) -> None:
    shape = world.score.axes[0]
    base, target, hybrid = (
        shape.features(faces) for faces in (world.sets["base"], world.training, world.sets["hybrid"])
    )
    turn = gates.pose(world.sets["base"])[:, 0]
    one_way = base[turn > np.quantile(turn, 0.7)].mean(axis=0) - base.mean(axis=0)
    assert gates.symmetry(base, target, hybrid + one_way).value > 0.8
    little = base + 0.05 * (hybrid - base)
    crooked = 0.02 * np.sign(np.arange(136) // 2 - 8) * (np.arange(136) % 2) * (np.arange(136) // 2 < 17)
    assert gates.symmetry(base, target, (little + crooked).astype(np.float32)).value > 0.9
    noise = np.random.default_rng(0).standard_normal(base.shape).astype(np.float32) * 0.1
    assert gates.symmetry(base, target, base + noise).value == 1


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_averages_of_person_and_cartoon_are_ghosts(world: World, share: float) -> None:
    people, cartoons = (world.sets[name].images.float() for name in ("base", "cartoon"))
    ghost = (1 - share) * people + share * cartoons
    base, cartoon = (gates.thumbnails(images) for images in (people, cartoons))
    for images in (ghost, ghost * 0.7, ghost * 0.7 + 40):
        assert gates.ghosting(base, gates.thumbnails(images), cartoon).value < 1e-6


def test_a_blend_is_no_ghost_nor_are_its_parents_whatever_their_brightness(world: World) -> None:
    base, cartoon, hybrid = (gates.thumbnails(world.sets[name].images) for name in ("base", "cartoon", "hybrid"))
    value = gates.ghosting(base, hybrid, cartoon).value
    assert value > 0.5
    lighter = gates.thumbnails(world.sets["hybrid"].images.float() + 30)
    assert gates.ghosting(base, lighter, cartoon).value == pytest.approx(value)
    for same in (base, cartoon):
        assert gates.ghosting(base, same, cartoon).passed
    assert gates.ghosting(base, base, base).passed
    assert gates.ghosting(base, 1.3 * cartoon - 0.3 * base, cartoon).passed
    assert gates.ghosting(base, hybrid, None).passed is None
    with pytest.raises(UserError, match="of the same codes are needed"):
        gates.ghosting(base, hybrid, cartoon[:1])


def test_missing_faces_are_counted_against_the_bases(world: World) -> None:
    base, hybrid = world.sets["base"], world.sets["hybrid"]
    half = Faces(hybrid.images, hybrid.marks, torch.arange(60) % 2 == 0)
    assert gates.faces_found(half.share_found, base.share_found).value == pytest.approx(0.5)
    unknown = gates.faces_found(half.share_found, 0)
    assert unknown.passed is None and "no face" in unknown.reason
