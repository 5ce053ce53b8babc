"""Structural similarity of reconstructions and pictures, against its formula."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from src.portraits import render_portrait
from src.projection import structural_similarity


def portraits(px, seeds=(0, 1, 2)):
    return torch.stack([torch.from_numpy(render_portrait("people", s, px).image.transpose(2, 0, 1)) for s in seeds])


def by_formula(a, b):
    """Gaussian window of 11 px, sigma 1.5; the picture is mirrored beyond its edge."""
    a, b = ((p.double().numpy() * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(axis=0) for p in (a, b))
    mean = lambda x: gaussian_filter(x, 1.5, truncate=5 / 1.5, mode="mirror")  # noqa: E731
    va, vb, ab = mean(a * a) - mean(a) ** 2, mean(b * b) - mean(b) ** 2, mean(a * b) - mean(a) * mean(b)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = (2 * mean(a) * mean(b) + c1) * (2 * ab + c2) / ((mean(a) ** 2 + mean(b) ** 2 + c1) * (va + vb + c2))
    return values.mean()


def test_each_pair_by_itself():
    pictures = portraits(64)
    others = pictures.roll(1, dims=0)
    found = structural_similarity(pictures, others)
    assert (found.shape, found.dtype) == ((3,), torch.float32)
    assert found.tolist() == pytest.approx([by_formula(a, b) for a, b in zip(pictures, others, strict=True)], abs=1e-4)
    assert structural_similarity(pictures[:1], others[:1]).tolist() == pytest.approx([float(found[0])], abs=1e-6)


def test_it_falls_with_blur_and_is_one_for_equals():
    pictures = portraits(64)
    blurred = torch.from_numpy(gaussian_filter(pictures.numpy(), [0, 0, 1.5, 1.5]))
    more = torch.from_numpy(gaussian_filter(pictures.numpy(), [0, 0, 4, 4]))
    equal, little, much = (structural_similarity(p, pictures) for p in (pictures, blurred, more))
    torch.testing.assert_close(equal, torch.ones(3))
    assert (equal > little).all() and (little > much).all()


def test_large_pictures_are_compared_at_256_px():
    small = portraits(256, (0, 1))
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(structural_similarity(large[:1], large[1:]), structural_similarity(small[:1], small[1:]))
