"""KID and Fréchet distance against independent computations."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from src.metrics.distances import memorisation
from src.metrics.frechet import FrechetAccumulator


def cloud(count, seed, features=24):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn([features, features], generator=torch.Generator().manual_seed(99)) / features**0.5
    return torch.randn([count, features], generator=generator) @ mix + 0.1 * seed


def frechet_distance(fakes, reals):
    return FrechetAccumulator(reals).distance_of(fakes)


def by_scipy(a, b):
    a, b = a.double().numpy(), b.double().numpy()
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real


def test_frechet_distance_is_the_formula():
    a, b = cloud(300, 1), cloud(200, 2) * 1.3
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-8)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-8)
    assert abs(frechet_distance(a, a)) < 1e-6


def test_frechet_distance_with_fewer_pictures_than_features():
    """Covariances without full rank: the trace of the root is the sum of singular values of the centred product."""
    a, b = cloud(9, 1), cloud(12, 2)
    c, d = ((x - x.mean(0)).double() / (len(x) - 1) ** 0.5 for x in (a, b))
    trace = torch.linalg.svdvals(c @ d.T).sum()
    expected = (a.mean(0) - b.mean(0)).double().square().sum() + c.square().sum() + d.square().sum() - 2 * trace
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-5)


def test_the_accumulator_keeps_reals_and_forgets_fakes():
    reals = cloud(2100, 0)
    accumulator = FrechetAccumulator(reals)
    for seed in (1, 2):
        fakes = cloud(1300, seed)
        assert accumulator.distance_of(fakes) == pytest.approx(by_scipy(fakes, reals), rel=1e-8)


def test_frechet_distance_is_torchmetrics_own():
    for num_real, num_fake in ((300, 200), (24, 9), (9, 300)):
        reals, fakes = cloud(num_real, 1).double(), cloud(num_fake, 2).double()
        metric = FrechetInceptionDistance(feature=Same(), input_img_size=(3, 8, 8))
        metric.update(reals, real=True)
        metric.update(fakes, real=False)
        assert frechet_distance(fakes, reals) == pytest.approx(float(metric.compute()), rel=1e-5)


class Same(torch.nn.Identity):
    num_features = 24


def test_frechet_distance_is_summed_in_float64():
    """A large common mean, as Inception's features have, would swamp float32 sums."""
    a, b = cloud(400, 1) + 1000, cloud(400, 2) + 1000
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-6)


@pytest.mark.parametrize("copies", [2, 5])
def test_repeated_reals_do_not_hide_that_they_are_repeated(copies):
    reals, new, far = cloud(40, seed=0), cloud(30, seed=1), cloud(40, seed=2) + 100
    repeated = torch.cat([reals + 1e-4 * i for i in range(copies)])
    for fakes in (new, reals[:30] + 1e-3):
        assert memorisation(fakes, repeated, far) == pytest.approx(memorisation(fakes, reals, far), rel=0.02, abs=1e-3)
    assert memorisation(reals[:30] + 1e-3, repeated, far) < 0.05 < 0.5 < memorisation(new, repeated, far)
    assert memorisation(new, reals[:1].repeat(6, 1), far) is None
