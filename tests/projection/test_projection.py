"""The projector: its schedule, that it finds its own pictures, that pictures do not see each other."""

import copy
import time

import pytest
import torch

from src.data import to_uint8
from src.errors import UserError
from src.projection import PerceptualDistance, ProjectionSettings, Projector, project, recipe
from src.projection.noise_maps import not_noise
from src.projection.samples import Samples
from src.projection.schedule import descent_start, learning_rate, noise_scale, noise_unit
from src.weights import load_network

QUICK = ProjectionSettings(steps=60)


@pytest.fixture(scope="module")
def base():
    return load_network("demo").G_ema


@pytest.fixture(scope="module")
def own_pictures(base):
    with torch.no_grad():
        z = torch.randn([3, base.z_dim], generator=torch.Generator().manual_seed(5))
        return to_uint8(base(z, psi=0.8))


def test_schedule():
    settings = ProjectionSettings(steps=1000)
    assert learning_rate(0, settings) == 0
    assert learning_rate(25, settings) == pytest.approx(0.05)
    assert learning_rate(500, settings) == pytest.approx(0.1)
    assert learning_rate(875, settings) == pytest.approx(0.05)
    assert descent_start(settings) == 750
    assert noise_scale(0, settings) == pytest.approx(0.05)
    assert noise_scale(375, settings) == pytest.approx(0.05 / 4)
    assert noise_scale(750, settings) == 0


def test_recipes_are_those_of_others():
    """NVIDIA's noise is in lengths of w - w_avg; the fork's in lengths of all layers' codes together."""
    nvidia, fork = recipe("nvidia"), recipe("fork", steps=500, noise=None)
    assert (nvidia.space, nvidia.steps, nvidia.noise, nvidia.code_weight) == ("w", 1000, True, 0)
    assert (fork.space, fork.steps, fork.noise) == ("w+", 500, True)
    assert noise_unit(nvidia, 512, 14) == pytest.approx(512**0.5)
    assert noise_unit(fork, 512, 14) == pytest.approx((512 * 14) ** 0.5)
    assert noise_unit(recipe("own"), 512, 14) == 1


def test_own_pictures_are_found(base, own_pictures):
    projection = project(base, own_pictures, settings=QUICK, progress=False)
    assert projection.codes.shape == (3, base.num_ws, base.w_dim)
    assert (projection.start_distances / projection.distances).min() > 5
    assert projection.quality().min() > 0.8
    assert projection.steps.tolist() == [60, 60, 60]
    difference = (projection.images.float() - own_pictures.float()).abs().mean()
    start = (
        to_uint8(base.synthesis(base.mapping.w_avg.expand(1, base.num_ws, -1))).float() - own_pictures.float()
    ).abs()
    assert difference < 0.4 * start.mean()


def test_results_do_not_depend_on_neighbours(base, own_pictures):
    """Whether alone, in company, in another order, or in batches of another size."""
    settings = ProjectionSettings(steps=12, noise=True)
    together = project(base, own_pictures, settings=settings, progress=False)
    alone = project(base, own_pictures[1:2], settings=settings, progress=False)
    torch.testing.assert_close(together.codes[1:2], alone.codes, atol=1e-3, rtol=0)
    torch.testing.assert_close(together.noise[3][1], alone.noise[3][0], atol=1e-3, rtol=0)
    turned = project(base, own_pictures.flip(0), settings=settings, progress=False)
    torch.testing.assert_close(together.codes, turned.codes.flip(0), atol=1e-3, rtol=0)
    one_by_one = project(base, own_pictures, settings=settings, batch=1, progress=False)
    torch.testing.assert_close(together.codes, one_by_one.codes, atol=1e-3, rtol=0)
    assert (together.codes[0] - together.codes[1]).abs().max() > 0.01


def test_sixteen_at_once_take_less_than_sixteen_alone(base, own_pictures):
    settings, many = ProjectionSettings(steps=8), own_pictures[:1].repeat(16, 1, 1, 1)
    project(base, own_pictures, settings=settings, progress=False)
    starts = [time.perf_counter()]
    project(base, many, settings=settings, progress=False)
    starts.append(time.perf_counter())
    for _ in range(4):
        project(base, own_pictures[:1], settings=settings, progress=False)
    starts.append(time.perf_counter())
    assert starts[1] - starts[0] < 4 * (starts[2] - starts[1])


def test_w_has_one_code_for_all_layers(base, own_pictures):
    projection = project(base, own_pictures[:1], settings=ProjectionSettings(steps=5, space="w"), progress=False)
    assert (projection.codes - projection.codes[:, :1]).abs().max() == 0


def test_given_codes_are_the_start(base, own_pictures):
    first = project(base, own_pictures[:1], settings=QUICK, progress=False)
    again = ProjectionSettings(steps=4, noise_factor=0, lr=0.001)
    near = project(base, own_pictures[:1], settings=again, start=first.codes, progress=False)
    far = project(base, own_pictures[:1], settings=again, progress=False)
    assert near.distances[0] < 0.3 * far.distances[0]
    assert near.start_distances[0] == pytest.approx(float(far.start_distances[0]))
    with pytest.raises(UserError, match="start codes of shape"):
        project(base, own_pictures, start=first.codes[:, :2])
    with pytest.raises(UserError, match="2 start codes for 3 pictures"):
        project(base, own_pictures, start=first.codes.repeat(2, 1, 1))


def test_noise_maps_stay_noise(base, own_pictures):
    """Neighbours stay uncorrelated, unlike without the regulariser, where maps explain more of the picture."""
    loud = load_network("demo").G_ema
    for layer in loud.synthesis.layers():
        layer.noise_strength.fill_(0.2)
    runs = {}
    for weight in (1e5, 0.0):
        settings = ProjectionSettings(steps=40, noise=True, noise_weight=weight)
        runs[weight] = project(loud, own_pictures[:1], settings=settings, progress=False)
        for noise in runs[weight].noise:
            assert noise.mean().abs() < 1e-5
            assert noise.square().mean() == pytest.approx(1, abs=1e-4)
    maps = {weight: [m[:, None] for m in run.noise] for weight, run in runs.items()}
    assert not_noise(maps[1e5])[0] < 0.05 * not_noise(maps[0.0])[0]
    plain = project(loud, own_pictures[:1], settings=ProjectionSettings(steps=40), progress=False)
    assert runs[0.0].distances[0] < 0.9 * plain.distances[0]
    with torch.no_grad():
        again = to_uint8(loud.synthesis(runs[1e5].codes, noise=maps[1e5]))
    assert (again.int() - runs[1e5].images.int()).abs().max() <= 1


def test_the_regulariser_measures_correlation():
    generator = torch.Generator().manual_seed(0)
    white = torch.randn([2, 1, 64, 64], generator=generator)
    smooth = torch.nn.functional.avg_pool2d(white, 3, 1, 1)
    assert (not_noise([white]) < 0.02).all()
    assert (not_noise([smooth / smooth.std()]) > 0.5).all()


def test_a_picture_on_a_plateau_stops_early_and_no_other(base, own_pictures):
    settings = ProjectionSettings(steps=100, patience=8, plateau=0.15)
    grain = torch.randint(0, 256, own_pictures[:1].shape, generator=torch.Generator().manual_seed(0))  # is no face
    pair = torch.cat([own_pictures[:1], grain.to(torch.uint8)])
    early = project(base, pair, settings=settings, progress=False)
    assert early.steps[0] == 100
    assert 25 + 16 <= early.steps[1] < 100  # the final descent, after two windows
    whole = project(base, own_pictures[:1], settings=ProjectionSettings(steps=100), progress=False)
    torch.testing.assert_close(whole.codes[0], early.codes[0], atol=5e-3, rtol=0)


def test_bf16_finds_nearly_the_same(base, own_pictures):
    half = project(base, own_pictures, settings=ProjectionSettings(steps=30, precision="bf16"), progress=False)
    full = project(base, own_pictures, settings=ProjectionSettings(steps=30), progress=False)
    assert half.codes.dtype == torch.float32
    assert (half.distances < 1.2 * full.distances).all()
    assert (half.codes != full.codes).any()


def test_the_generator_is_afterwards_as_it_was(base, own_pictures):
    G = copy.deepcopy(base).train().requires_grad_(True)
    frozen = next(iter(G.parameters())).requires_grad_(False)
    with Projector(G, settings=ProjectionSettings(steps=2), batch=2) as projector:
        assert not G.training and not any(p.requires_grad for p in G.parameters())
        assert [len(projector(part).codes) for part in own_pictures.split(projector.batch)] == [2, 1]
    assert G.training and [p for p in G.parameters() if not p.requires_grad] == [frozen]


def test_what_cannot_be_is_refused(base):
    with pytest.raises(UserError, match=r"uint8 \[N, 3, 64, 64\]"):
        project(base, torch.zeros([1, 3, 32, 32], dtype=torch.uint8))
    for settings, words in (
        ({"space": "z"}, r"space=z: give w or w\+"),
        ({"steps": 0}, "steps=0: give a whole number from 1 up"),
        ({"precision": "int8"}, "precision=int8: give fp32 or bf16"),
        ({"patience": 0}, "patience=0: give a whole number from 1 up or null"),
    ):
        with pytest.raises(UserError, match=words):
            ProjectionSettings(**settings)
    with pytest.raises(UserError, match="choose own, nvidia, fork"):
        recipe("mine")


def test_distance_is_zero_for_itself_and_grows(own_pictures):
    distance = PerceptualDistance()
    images = own_pictures.float() / 127.5 - 1
    assert distance(images, images).max() < 1e-5
    near, far = distance(images * 0.95, images), distance(images.roll(1, 0), images)
    assert (near < far).all()
    images.requires_grad_(True)
    distance(images, images.detach().roll(1, 0)).sum().backward()
    assert images.grad.abs().sum() > 0


def test_a_picture_begins_with_the_nearest_random_face(base):
    samples = Samples(base, 40)
    ws = samples.codes[[31, 7]]
    with torch.no_grad():
        targets = to_uint8(base.synthesis(ws[:, None].expand(-1, base.num_ws, -1), noise="const"))
    assert torch.equal(samples.nearest(targets.float() / 127.5 - 1), ws)
    still = ProjectionSettings(steps=1, lr=1e-9, noise_factor=0, samples=40)
    found = project(base, targets, settings=still, progress=False)
    torch.testing.assert_close(found.codes, ws[:, None].expand(-1, base.num_ws, -1), atol=1e-4, rtol=0)
    assert (found.distances < 0.1 * found.start_distances).all()
    alone = project(base, targets[1:], settings=still, progress=False)
    torch.testing.assert_close(alone.codes, found.codes[1:])
    begun = project(base, targets, settings=still, start=ws[:1, None].expand(-1, base.num_ws, -1), progress=False)
    torch.testing.assert_close(begun.codes[1], ws[:1].expand(base.num_ws, -1), atol=1e-4, rtol=0)
