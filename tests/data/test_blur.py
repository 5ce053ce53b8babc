"""Gaussian blur by products equals the convolution."""

import pytest
import torch
import torch.nn.functional as F

from src.data import gaussian_blur


@pytest.mark.parametrize("edges", ["replicate", "reflect"])
def test_a_blur_equals_the_convolution(edges):
    x = torch.randn(2, 3, 20, 17, generator=torch.Generator().manual_seed(0))
    kernel = torch.exp(-0.5 * (torch.arange(-5, 6) / 1.8).square())
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    padded = F.pad(x, (5, 5, 5, 5), mode=edges)
    expected = F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)
    torch.testing.assert_close(gaussian_blur(x, 1.8, reach=2.5, edges=edges), expected, rtol=0, atol=1e-6)
