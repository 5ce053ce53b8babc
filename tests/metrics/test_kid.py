"""KID's jackknife: its value, its error and that of differences, which snapshots may be the lowest, bias of others."""

import numpy as np
import pytest
import torch

from src.metrics.distances import polynomial_mmd
from src.metrics.frechet import FrechetAccumulator
from src.metrics.kid import extrapolated, kid_pseudo_values, lowest

REALS = np.random.default_rng(1).standard_normal((150, 12))


def snapshots(seed: int, codes: int = 80) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((codes, 12))
    return [z + shift + 0.2 * rng.standard_normal(z.shape) for shift in (0.3, 0.25, 0.1)]


def test_the_mean_is_kid_and_rows_are_those_without_a_code() -> None:
    x = snapshots(0)[0]
    pseudo = kid_pseudo_values([x], REALS)[:, 0]
    value = polynomial_mmd(torch.from_numpy(x), torch.from_numpy(REALS))
    others = polynomial_mmd(torch.from_numpy(x[1:]), torch.from_numpy(REALS))
    assert pseudo.mean() == pytest.approx(value, abs=1e-9)
    assert pseudo[0] == pytest.approx(80 * value - 79 * others, abs=1e-7)


def test_errors_of_differences_are_those_of_new_codes() -> None:
    differences, errors = [], []
    for seed in range(100):
        pseudo = kid_pseudo_values(snapshots(seed)[:2], REALS)
        gap = pseudo[:, 0] - pseudo[:, 1]
        differences.append(gap.mean())
        errors.append(gap.std(ddof=1) / np.sqrt(len(gap)))
    assert 0.8 < np.sqrt(np.mean(np.square(errors))) / np.std(differences, ddof=1) < 1.25


def test_the_lowest_is_a_candidate_and_a_far_one_is_not() -> None:
    found = [lowest(kid_pseudo_values(snapshots(seed), REALS), draws=300) for seed in range(40)]
    assert np.mean([f.candidate[2] for f in found]) > 0.92
    assert np.mean([f.candidate[0] for f in found]) < 0.2
    assert found[0].mean[2] > found[0].mean[0]  # the scores are distances with their signs turned


def test_the_bias_of_a_frechet_distance_is_seen() -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((400, 12)))
    reals = FrechetAccumulator(torch.from_numpy(np.random.default_rng(2).standard_normal((4000, 12))))
    whole = reals.distance_of(x)
    value, bias = extrapolated(lambda index: reals.distance_of(x[torch.from_numpy(index)]), 400)
    assert bias > 0
    assert abs(value) < 0.3 * whole
    assert value + bias == pytest.approx(whole, abs=0.3 * whole)
