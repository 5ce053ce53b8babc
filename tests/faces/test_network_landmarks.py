"""The shipped landmark network: how near it comes on portraits, its mirror image, what is no face."""

import numpy as np
import pytest
import torch

from experiments.cariscore.factorial import portrait_set
from src.errors import UserError
from src.faces import network_landmarks
from src.faces.network_landmarks import (
    MAX_DISAGREEMENT,
    MIRRORED,
    WEIGHTS,
    NetworkLandmarks,
    load_landmark_network,
    predict_landmarks,
)
from src.portraits.geometry import build_geometry
from src.portraits.parameters import sample_params

SEEDS = range(1_000_000, 1_000_024)  # held out


def _error(found: torch.Tensor, marks: torch.Tensor) -> float:
    eyes = (marks[:, 36:42].mean(dim=1) - marks[:, 42:48].mean(dim=1)).norm(dim=1)
    return float(((found - marks).norm(dim=2).mean(dim=1) / eyes).mean())


@pytest.mark.parametrize(("shape", "rendering"), [(0, 0), (1, 1), (1, 0), (0, 1)])
@pytest.mark.parametrize("px", [64, 160])
def test_portraits_landmarks_are_found_in_every_mixture(shape: float, rendering: float, px: int) -> None:
    images, marks = portrait_set(SEEDS if px == 64 else SEEDS[:6], shape, rendering, px)
    found, apart = predict_landmarks(load_landmark_network(), images)
    assert _error(found, marks) < 0.045
    assert (apart < MAX_DISAGREEMENT).all()


def test_the_mirror_image_has_the_mirrored_landmarks() -> None:
    images, _ = portrait_set(SEEDS[:4], 0.5, 0, 64)
    network = load_landmark_network()
    seen, mirrored = predict_landmarks(network, images)[0], predict_landmarks(network, images.flip(3))[0]
    back = torch.stack([1 - mirrored[:, MIRRORED, 0], mirrored[:, MIRRORED, 1]], dim=2)
    assert torch.allclose(seen, back, atol=1e-4)


@pytest.mark.parametrize("move", [(3, 0), (0, 3), (0, -3)])
def test_a_face_elsewhere_in_the_picture_has_the_same_shape(move: tuple[int, int]) -> None:
    images, _ = portrait_set(SEEDS, 0.5, 0, 64)
    found, elsewhere = (predict_landmarks(load_landmark_network(), x)[0] for x in (images, images.roll(move, (3, 2))))
    drift = (elsewhere - found - torch.tensor(move) / 64).mean(dim=0)
    assert drift.norm(dim=1).mean() < 0.0015, "a tenth of a pixel"


def test_the_mirror_table_is_that_of_a_symmetric_face() -> None:
    params = sample_params(0)
    straight = build_geometry(type(params)(**{**params.__dict__, "yaw": 0.0}), False).landmarks
    other = np.stack([1 - straight[MIRRORED, 0], straight[MIRRORED, 1]], axis=1)
    assert np.allclose(straight, other, atol=1e-9)


def test_a_provider_gives_pixels_of_the_one_face() -> None:
    images, marks = portrait_set(SEEDS[:1], 0, 0, 96)
    provider = NetworkLandmarks()
    (face,) = provider.find(images[0].permute(1, 2, 0).numpy(), "a.png")
    assert np.abs(face.landmarks - (marks[0].numpy() * 96 - 0.5)).mean() < 2
    assert 0 < face.score <= 1
    assert provider.identity("a.png") == provider.identity("b.png")


def test_noise_is_no_face() -> None:
    images = torch.randint(0, 256, (40, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    provider = NetworkLandmarks()
    assert sum(bool(provider.find(image.permute(1, 2, 0).numpy(), "")) for image in images) <= 4
    assert not provider.knows(images)


def test_it_knows_portraits_and_says_so() -> None:
    provider = NetworkLandmarks()
    assert all(provider.knows(portrait_set(SEEDS[:8], t, t, 64)[0]) for t in (0, 1))
    assert not provider.knows(portrait_set(SEEDS[:8], 0, 0, 64)[0].flip(2))


def test_another_file_than_the_shipped_one_is_refused(monkeypatch, tmp_path) -> None:
    other = tmp_path / "landmarks.safetensors"
    other.write_bytes(WEIGHTS.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(network_landmarks, "WEIGHTS", other)
    load_landmark_network.cache_clear()
    with pytest.raises(UserError, match="not the file of this version"):
        load_landmark_network()
    load_landmark_network.cache_clear()


def test_the_shipped_file_is_small() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000
