"""The caricature score on hybrids of portraits: scales up to a cut-off from the cartoon, the rest from the person."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from src.errors import UserError
from src.metrics.bands import BandFeatures, band_features
from src.metrics.caricature import fit_anchors, rank_blends, score_blends
from src.portraits.draw import render_portraits

PX = 64


def _portraits(domain: str, first: int, count: int) -> Tensor:
    return torch.from_numpy(render_portraits(domain, range(first, first + count), PX)).permute(0, 3, 1, 2)


def _hybrid(people: Tensor, cartoons: Tensor, cutoff: int) -> Tensor:
    def coarse(x: Tensor) -> Tensor:
        small = F.interpolate(x, (cutoff, cutoff), mode="bilinear", antialias=True)
        return F.interpolate(small, (PX, PX), mode="bicubic")

    high, low = people.float(), cartoons.float()
    return (high - coarse(high) + coarse(low)).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def people() -> Tensor:
    return _portraits("people", 0, 60)


@pytest.fixture(scope="module")
def cartoons() -> Tensor:
    return _portraits("cartoons", 500, 70)


@pytest.fixture(scope="module")
def blends() -> dict[str, Tensor]:
    high, low = _portraits("people", 1000, 9), _portraits("cartoons", 1000, 9)
    return {"person": high, **{str(c): _hybrid(high, low, c) for c in (4, 16, 32)}, "cartoon": low}


@pytest.fixture(scope="module")
def ranking(people: Tensor, cartoons: Tensor, blends: Mapping[str, Tensor]) -> list[dict]:
    return rank_blends(people, cartoons, blends)


def _noise(count: int, shift: float, seed: int, features: int = 300) -> BandFeatures:
    rows = np.random.default_rng(seed).standard_normal((count, features)).astype(np.float32)
    rows[:, :5] += shift
    return BandFeatures(rows, rows[:, ::-1].copy())


def test_ends_of_the_sweep_lose_and_the_middle_wins(ranking: list[dict]):
    found = {row["label"]: row for row in ranking}
    assert found["person"]["s"] < 0.1 and found["person"]["r"] > 0.9
    assert found["cartoon"]["s"] > 0.9 and found["cartoon"]["r"] < 0.1
    assert ranking[0]["label"] in ("16", "32") and ranking[0]["cari"] > 0.7
    assert {row["label"] for row in ranking[-2:]} == {"person", "cartoon"}
    assert found["4"]["s"] < found["16"]["s"] < found["32"]["s"] + 0.05


def test_rows_are_sorted_consistent_and_complete(ranking: list[dict]):
    assert all(set(row) == {"label", "s", "r", "cari", "share"} for row in ranking)
    assert [row["cari"] for row in ranking] == sorted((row["cari"] for row in ranking), reverse=True)
    assert sum(row["share"] for row in ranking) == pytest.approx(1)
    for row in ranking:
        assert row["cari"] == pytest.approx((row["s"] * row["r"]) ** 0.5)


def test_order_of_blends_does_not_matter_and_a_seed_repeats(
    people: Tensor, cartoons: Tensor, blends: dict[str, Tensor], ranking: list[dict]
):
    backwards = dict(reversed(list(blends.items())))
    assert rank_blends(people, cartoons, backwards) == ranking
    other = rank_blends(people, cartoons, blends, seed=1)
    assert other != ranking and other[0]["label"] == ranking[0]["label"]


def test_alpha_weighs_structure(people: Tensor, cartoons: Tensor, blends: dict[str, Tensor]):
    structure = {row["label"]: row for row in rank_blends(people, cartoons, blends, alpha=0.9)}
    row = structure["16"]
    assert row["cari"] == pytest.approx(row["s"] ** 0.9 * row["r"] ** 0.1)


def test_sets_of_other_sizes_are_brought_together(people: Tensor, cartoons: Tensor, blends: dict[str, Tensor]):
    """The people at 128 px, enlarged: without a common size, their blur would be what tells them apart."""
    larger = F.interpolate(people.float(), (128, 128), mode="nearest").to(torch.uint8)
    rows = rank_blends(larger, cartoons, blends)
    assert rows[0]["label"] in ("16", "32")


def test_held_out_means_are_zero_and_one_with_more_features_than_pictures():
    base, finetuned = _noise(40, 0.0, 0), _noise(60, 1.5, 1)
    anchors = fit_anchors(base, finetuned)
    fresh_base, fresh_finetuned = _noise(2000, 0.0, 2), _noise(2001, 1.5, 3)
    for axis, band in ((anchors.low, "low"), (anchors.high, "high")):
        assert axis.project(getattr(base, band)).mean() == pytest.approx(0, abs=1e-6)
        assert axis.project(getattr(finetuned, band)).mean() == pytest.approx(1, abs=1e-6)
        assert axis.project(getattr(fresh_base, band)).mean() == pytest.approx(0, abs=0.15)
        assert axis.project(getattr(fresh_finetuned, band)).mean() == pytest.approx(1, abs=0.15)
        assert 0.7 < axis.auc < 1


def test_blends_of_the_anchors_codes_are_not_drawn_to_the_base_by_overfitting():
    """Pictures between base and fine-tuned of the same codes are in the middle: the fitted pictures are not theirs."""
    base, finetuned = _noise(40, 0.0, 0), _noise(60, 1.5, 1)
    between = BandFeatures(base.low.copy(), base.high.copy())
    between.low[:, :5] += 0.75
    place = fit_anchors(base, finetuned).low.project(between.low).mean()
    assert place == pytest.approx(0.5, abs=0.12)


def test_the_anchor_is_the_snapshot_furthest_from_the_base():
    base = _noise(50, 0.0, 0)
    snapshots = {"early": _noise(50, 0.5, 1), "late": _noise(50, 2.0, 2), "first": _noise(30, 0.1, 3)}
    assert fit_anchors(base, snapshots).finetuned == "late"
    rows = {s.label: s for s in score_blends(base, snapshots, {k: v for k, v in snapshots.items() if k != "late"})}
    assert rows["first"].s < rows["early"].s < 0.6


def test_bootstrap_is_paired_over_codes():
    """A blend that is better on every code is better in every replicate, however much the codes differ."""
    base, finetuned = _noise(200, 0.0, 0, 20), _noise(200, 3.0, 1, 20)
    codes = _noise(9, 1.5, 2, 20)
    low = codes.low.copy()
    low[:, :5] += 0.02
    scores = score_blends(base, finetuned, {"a": codes, "b": BandFeatures(low, codes.high)})
    assert scores[0].label == "b" and scores[0].share == 1.0


def test_equal_blends_share_the_bootstrap():
    base, finetuned, codes = _noise(50, 0.0, 0), _noise(50, 2.0, 1), _noise(9, 1.0, 2)
    scores = score_blends(base, finetuned, {"a": codes, "b": codes})
    assert [score.share for score in scores] == [0.5, 0.5]


@pytest.mark.parametrize("side", [32, 64, 100, 256])
def test_features_have_one_shape_at_every_size_and_depend_on_their_picture_alone(side: int):
    images = torch.randint(0, 256, (5, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = band_features(images)
    alone = band_features(images[3:4])
    assert found.low.shape == (5, 176) and found.high.shape == (5, 63)
    assert np.isfinite(found.low).all() and np.isfinite(found.high).all()
    np.testing.assert_allclose(found.low[3:4], alone.low, atol=1e-5)
    np.testing.assert_allclose(found.high[3:4], alone.high, atol=1e-3)


def test_features_are_finite_for_a_flat_picture_and_ignore_the_background(people: Tensor):
    flat = band_features(torch.full((1, 3, PX, PX), 128, dtype=torch.uint8))
    assert np.isfinite(flat.low).all() and np.isfinite(flat.high).all()
    changed = people[:4].clone()
    changed[:, :, :4] = 0
    changed[:, :, :, :8] = 255
    changed[:, :, :, -8:] = 255
    before, after, others = band_features(people[:4]), band_features(changed), band_features(people[4:8])
    assert np.abs(before.low - after.low).mean() < 0.02 * np.abs(before.low - others.low).mean()
    assert np.abs(before.high - after.high).mean() < 0.02 * np.abs(before.high - others.high).mean()


def test_low_band_ignores_brightness_and_contrast(people: Tensor):
    dim = (people[:4].float() * 0.5 + 40).to(torch.uint8)
    before, after, others = band_features(people[:4]), band_features(dim), band_features(people[4:8])
    assert np.abs(before.low - after.low).mean() < 0.25 * np.abs(before.low - others.low).mean()


def test_what_cannot_be_scored_is_refused(people: Tensor, cartoons: Tensor, blends: dict[str, Tensor]):
    with pytest.raises(UserError, match="extractor=clip"):
        rank_blends(people, cartoons, blends, extractor="clip")
    with pytest.raises(UserError, match=r"alpha=1\.5"):
        rank_blends(people[:8], cartoons[:8], blends, alpha=1.5)
    with pytest.raises(UserError, match="blends: none given"):
        rank_blends(people[:8], cartoons[:8], {})
    with pytest.raises(UserError, match=r"blend 16: expected uint8"):
        rank_blends(people, cartoons, {"16": blends["16"].float()})
    with pytest.raises(UserError, match="base: 3 pictures"):
        rank_blends(people[:3], cartoons, blends)
    with pytest.raises(UserError, match="cannot be told from"):
        rank_blends(people[:30], people[30:], blends)
    with pytest.raises(UserError, match="no snapshot"):
        rank_blends(people, {}, blends)


def test_nine_pictures_of_everything_are_enough(people: Tensor, cartoons: Tensor, blends: dict[str, Tensor]):
    rows = rank_blends(people[:9], cartoons[:9], blends)
    assert rows[0]["label"] in ("16", "32")
