"""KID's jackknife: its value, its error and that of differences, which snapshots may be the lowest, bias of others."""

import numpy as np
import pytest
import torch

from src.metrics import kid
from src.metrics.frechet import FrechetAccumulator
from src.metrics.kid import KernelDistance, error_of, lowest

REALS = torch.from_numpy(np.random.default_rng(1).standard_normal((150, 12)))


def snapshots(seed: int, codes: int = 80) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((codes, 12))
    return [z + shift + 0.2 * rng.standard_normal(z.shape) for shift in (0.3, 0.25, 0.1)]


def pseudo_values(seed: int) -> np.ndarray:
    distance = KernelDistance(REALS)
    return np.stack([distance.pseudo_values(torch.from_numpy(x)) for x in snapshots(seed)], axis=1)


def double_sum(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 12 + 1) ** 3)

    within = [np.mean([k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]) for z in (x, y)]
    return float(sum(within) - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_the_mean_is_kid_and_rows_are_those_without_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kid, "BLOCK", 7)
    x, y = snapshots(0)[0][:20], REALS[:30]
    pseudo = KernelDistance(y).pseudo_values(torch.from_numpy(x))
    value, others = double_sum(x, y.numpy()), double_sum(x[1:], y.numpy())
    assert pseudo.mean() == pytest.approx(value, abs=1e-9)
    assert pseudo[0] == pytest.approx(20 * value - 19 * others, abs=1e-7)


def test_errors_of_differences_are_those_of_new_codes() -> None:
    differences, errors = [], []
    for seed in range(100):
        gap = -np.diff(pseudo_values(seed)[:, :2])[:, 0]
        differences.append(gap.mean())
        errors.append(error_of(gap))
    assert 0.8 < np.sqrt(np.mean(np.square(errors))) / np.std(differences, ddof=1) < 1.25


def test_the_lowest_is_a_candidate_and_a_far_one_is_not() -> None:
    found = [lowest(pseudo_values(seed), draws=300) for seed in range(40)]
    assert np.mean([f.candidate[2] for f in found]) > 0.92
    assert np.mean([f.candidate[0] for f in found]) < 0.2
    assert found[0].mean[2] > found[0].mean[0]  # the scores are distances with their signs turned


def test_the_bias_of_a_frechet_distance_is_seen() -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((400, 12)))
    reals = FrechetAccumulator(torch.from_numpy(np.random.default_rng(2).standard_normal((4000, 12))))
    whole, bias = reals.distance_of(x), reals.bias_of(x)
    assert bias == pytest.approx(whole, rel=0.3)  # of equal distributions all of it is bias
    assert reals.bias_of(x[:3]) is None
