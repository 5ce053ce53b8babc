"""Ranking by pictures alone, with the project's own landmark network: the true hybrid wins, ends lose."""

from typing import Any

import numpy as np
import pytest
import torch

from experiments.cariscore.factorial import portrait_set
from src.errors import UserError
from src.faces import Face, NetworkLandmarks
from src.metrics.cariscore import detectors, rank_blends
from src.metrics.cariscore.detectors import choose_detector
from src.metrics.cariscore.trust import check_detector

from .conftest import World

LABELS = ("base", "hybrid", "inverse", "cartoon", "shape 1/2")


@pytest.fixture(scope="module")
def blends(world: World) -> dict[str, torch.Tensor]:
    return {label: world.sets[label].images for label in LABELS}


@pytest.fixture(scope="module")
def ranking(world: World, blends: dict[str, torch.Tensor]) -> list[dict[str, Any]]:
    return rank_blends(blends["base"], world.training.images, blends)


def test_the_true_hybrid_wins_and_both_ends_lose(ranking: list[dict[str, Any]]) -> None:
    found = {row["label"]: row for row in ranking}
    assert [row["label"] for row in ranking[:2]] == ["hybrid", "shape 1/2"]
    assert found["hybrid"]["s"] > 0.8 and found["hybrid"]["r"] > 0.7
    assert found["hybrid"]["share"] > 0.95
    assert all(found[label]["cari"] < 0.35 for label in ("base", "inverse", "cartoon"))


def test_rows_are_complete_and_consistent(ranking: list[dict[str, Any]]) -> None:
    assert sum(row["share"] for row in ranking) == pytest.approx(1)
    for row in ranking:
        assert {"label", "s", "r", "cari", "share", "landmarks", "found"} <= set(row)
        assert 0 <= row["s"] <= 1 and 0 <= row["r"] <= 1
        assert row["cari"] == pytest.approx((row["s"] * row["r"]) ** 0.5)
        assert row["landmarks"] == "network" and row["found"] > 0.9


def test_a_few_blends_of_other_codes_at_other_sizes_are_ranked(world: World) -> None:
    codes = range(30_000, 30_009)
    few = {name: portrait_set(codes, *mix, 96)[0] for name, mix in {"a": (1, 0), "b": (0.4, 0), "c": (1, 0.7)}.items()}
    found = rank_blends(world.sets["base"].images, world.training.images, few)
    assert found[0]["label"] == "a"


def test_weights_of_shape_and_rendering_are_the_users(world: World, blends: dict[str, torch.Tensor]) -> None:
    found = rank_blends(blends["base"], world.training.images, {k: blends[k] for k in ("hybrid", "cartoon")}, alpha=0.9)
    for row in found:
        assert row["cari"] == pytest.approx(row["s"] ** 0.9 * row["r"] ** 0.1)


def test_mistakes_are_named(world: World, blends: dict[str, torch.Tensor]) -> None:
    base, cartoons = blends["base"], world.training.images
    with pytest.raises(UserError, match="none given"):
        rank_blends(base, cartoons, {})
    with pytest.raises(UserError, match="blend x: expected uint8"):
        rank_blends(base, cartoons, {"x": base.float()})
    with pytest.raises(UserError, match="same codes, at least 3, not 60 of x, 10 of y"):
        rank_blends(base, cartoons, {"x": base, "y": base[:10]})
    with pytest.raises(UserError, match="landmarks=eyes: choose auto, face-alignment"):
        rank_blends(base, cartoons, {"x": base}, landmarks="eyes")


def test_pictures_without_faces_are_not_scored(world: World) -> None:
    noise = torch.randint(0, 256, (12, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with pytest.raises(UserError, match=r"landmarks=network: faces found in .*% of the base's pictures"):
        rank_blends(noise, world.training.images, {"x": noise}, landmarks="network")


class RenderingReader:
    """A detector that is led by rendering alone: dark outlines make it see a cartoon's face."""

    def find(self, image: np.ndarray, name: str) -> list[Face]:
        _, people = portrait_set([0], 0, 0, 32)
        _, cartoon = portrait_set([0], 1, 1, 32)
        dark = float((image.mean(axis=2) < 40).mean())
        marks = people[0] + min(8 * dark, 1) * (cartoon[0] - people[0])
        noise = np.random.default_rng(int(image.sum()) % 1000).standard_normal((68, 2)) * 0.002
        return [Face((marks.double().numpy() + noise) * image.shape[0] - 0.5)]

    def identity(self, name: str) -> str:
        return "rendering"


class Unmoved(RenderingReader):
    """A detector that sees one face in every picture."""

    def find(self, image: np.ndarray, name: str) -> list[Face]:
        return super().find(np.full_like(image, 255), name)


def test_a_detector_that_reads_rendering_is_not_trusted(world: World) -> None:
    good = choose_detector("network", world.sets["base"].images, world.training.images)
    trust = check_detector(good.base, good.cartoons, good.provider)
    assert trust.trusted and trust.shape > 0.8 and trust.leak < 0.2
    assert trust.warning(good.name) is None
    bad = choose_detector(RenderingReader(), world.sets["base"].images[:12], world.training.images[:12])
    distrust = check_detector(bad.base, bad.cartoons, bad.provider)
    assert not distrust.trusted
    assert "cannot tell shape from rendering" in str(distrust.warning(bad.name))


def test_auto_passes_over_a_detector_that_is_not_trusted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = world.sets["base"].images[:12], world.training.images[:12]
    providers: dict[str, Any] = {"dlib": RenderingReader(), "network": NetworkLandmarks()}

    def opened(name: str, **_: Any) -> Any:
        if name not in providers:
            raise UserError(f"{name} is not here")
        return providers[name]

    monkeypatch.setattr(detectors, "open_detector", opened)
    assert choose_detector("auto", *pictures).name == "network", "it knows the portraits"
    monkeypatch.setattr(NetworkLandmarks, "knows", lambda self, images: False)
    assert choose_detector("auto", *pictures).name == "network"
    providers["network"] = RenderingReader()
    assert choose_detector("auto", *pictures).name == "dlib", "none is trusted: the first that sees faces"
    providers["dlib"] = Unmoved()
    assert choose_detector("auto", *pictures).name == "network", "shapes that are all one cannot be told apart at all"
    providers["face-alignment"] = NetworkLandmarks()
    assert choose_detector("auto", *pictures).name == "face-alignment"
