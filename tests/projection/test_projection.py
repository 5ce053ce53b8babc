"""The projector: its schedule, that it finds its own pictures, that pictures do not see each other."""

import json

import numpy as np
import pytest
import torch

from src.data import to_uint8
from src.errors import UserError
from src.projection import PerceptualDistance, ProjectionSettings, caricature_sheet, project
from src.projection.projector import learning_rate, noise_scale
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
    assert noise_scale(0, settings) == pytest.approx(0.05)
    assert noise_scale(375, settings) == pytest.approx(0.05 / 4)
    assert noise_scale(750, settings) == 0


def test_own_pictures_are_found(base, own_pictures):
    projection = project(base, own_pictures, settings=QUICK, progress=False)
    assert projection.codes.shape == (3, base.num_ws, base.w_dim)
    assert (projection.start_distances / projection.distances).min() > 5
    difference = (projection.images.float() - own_pictures.float()).abs().mean()
    start = (
        to_uint8(base.synthesis(base.mapping.w_avg.expand(1, base.num_ws, -1))).float() - own_pictures.float()
    ).abs()
    assert difference < 0.4 * start.mean()


def test_results_do_not_depend_on_neighbours(base, own_pictures):
    settings = ProjectionSettings(steps=12)
    together = project(base, own_pictures, settings=settings, progress=False)
    alone = project(base, own_pictures[:1], settings=settings, progress=False)
    torch.testing.assert_close(together.codes[:1], alone.codes, atol=5e-3, rtol=0)
    one_by_one = project(base, own_pictures, settings=settings, batch=1, progress=False)
    torch.testing.assert_close(together.codes, one_by_one.codes, atol=5e-3, rtol=0)


def test_w_has_one_code_for_all_layers(base, own_pictures):
    projection = project(base, own_pictures[:1], settings=ProjectionSettings(steps=5, space="w"), progress=False)
    assert (projection.codes - projection.codes[:, :1]).abs().max() == 0


def test_what_cannot_be_is_refused(base):
    with pytest.raises(UserError, match=r"uint8 \[N, 3, 64, 64\]"):
        project(base, torch.zeros([1, 3, 32, 32], dtype=torch.uint8))
    with pytest.raises(UserError, match="choose w or w"):
        project(base, torch.zeros([1, 3, 64, 64], dtype=torch.uint8), settings=ProjectionSettings(space="z"))


def test_distance_is_zero_for_itself_and_grows(own_pictures):
    distance = PerceptualDistance()
    images = own_pictures.float() / 127.5 - 1
    assert distance(images, images).max() < 1e-5
    near, far = distance(images * 0.95, images), distance(images.roll(1, 0), images)
    assert (near < far).all()
    images.requires_grad_(True)
    distance(images, images.detach().roll(1, 0)).sum().backward()
    assert images.grad.abs().sum() > 0


def test_sheet(base, own_pictures, tmp_path):
    path = caricature_sheet(own_pictures, base, base, tmp_path, settings=ProjectionSettings(steps=3), progress=False)
    assert path == tmp_path / "sheet.jpg"
    codes = np.load(tmp_path / "portrait-00.npy")
    assert codes.shape == (base.num_ws, base.w_dim)
    assert codes.dtype == np.float32
    assert set(json.loads((tmp_path / "distances.json").read_text())) == {f"portrait-{i:02d}" for i in range(3)}
