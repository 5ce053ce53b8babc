"""Gaussian blur as two products with banded matrices, which hold what lies beyond the edges.

A convolution of single maps fills no vector unit: at 128 px the products take a tenth of its time.
"""

import functools
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Edges = Literal["replicate", "reflect"]


def gaussian_blur(x: Tensor, sigma: float, *, reach: float, edges: Edges) -> Tensor:
    """Blur maps.

    Args:
        x: float32 `[N, C, H, W]`.
        sigma: standard deviation in px.
        reach: how far the kernel reaches, in standard deviations.
        edges: what lies beyond them: the outermost pixel (`"replicate"`), or the picture mirrored (`"reflect"`).

    Returns:
        The same shape.
    """
    down, across = (_operator(side, sigma, reach, edges, x.device) for side in x.shape[2:])
    return down.t() @ (x @ across)


@functools.cache
def _operator(side: int, sigma: float, reach: float, edges: Edges, device: torch.device) -> Tensor:
    """`[side, side]`: a row times it is the blurred row."""
    radius = math.ceil(reach * sigma)
    with torch.inference_mode(False), torch.no_grad():
        kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma).square())
        rows = F.pad(torch.eye(side)[None], (radius, radius), mode=edges)[0]
        return F.conv1d(rows[:, None], (kernel / kernel.sum()).view(1, 1, -1))[:, 0].to(device)
