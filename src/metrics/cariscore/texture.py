"""Statistics of the shape-free face: what its rendering looks like, octave by octave and place by place.

Band-pass pictures of a Gaussian pyramid (Burt and Adelson 1983) of luminance and two colour differences. About each
part of the face: log energy, sparsity, skewness and products of neighbours of the luminance (BRISQUE: Mittal et al.,
TIP 2012), log energy of the colours, correlation of magnitudes from octave to octave (Portilla and Simoncelli, IJCV
2000: an edge is one at all scales, a ghost's is not), and the coarse colour itself.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ...data import gaussian_blur
from .frame import BATCH, RADIUS, Frame

FINEST_PX = 0.6  # blur (standard deviation) below which nothing is asked for
ENERGY_FLOOR = 1e-6  # about a quarter of a grey level, squared
WINDOW = 0.30  # standard deviation of a window, in radii of the face
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
#: Opponent colours: luminance, red - green, yellow - blue (rows) of red, green, blue.
OPPONENT = torch.tensor([[0.299, 0.587, 0.114], [1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])
PARTS = ((0, 1, 7), (2, 6), (3,), (4, 5))  # of the face, by their places: eyes and bridge, mouth and chin, nose, cheeks
PLACES = 8  # about which everything is measured: eyes, mouth, nose, cheeks, chin, bridge; the fastest index of a row


class Texture:
    """Statistics of pictures in a frame."""

    def __init__(self, frame: Frame) -> None:
        self.octaves = max(2, round(math.log2(frame.px / 64)) + 4)
        self.places = _places(frame.points)

    def __call__(self, pictures: Tensor) -> Tensor:
        """Measure shape-free pictures, float32 `[N, 3, px, px]` in [0, 1]: `[N, D]`."""
        return torch.cat([self._measured(part) for part in pictures.split(BATCH)])

    def _measured(self, pictures: Tensor) -> Tensor:
        level = torch.einsum("nchw,dc->ndhw", pictures, OPPONENT.to(pictures.device))
        features, finer, places = [], None, self.places.to(pictures.device)
        for octave in range(self.octaves):
            coarse = _blurred(level, _sigma(octave))
            band, window = level - coarse, _windows(level.shape[-1], places)
            features += _statistics(band, window, lag=1 if octave == 0 else 2)
            if finer is not None:
                features.append(_correlation(finer, band[:, :1].abs(), window))
            finer = _blurred(band[:, :1].abs(), FINEST_PX)
            level = coarse
            if octave > 0:  # its blur is two octaves below the grid's finest by now
                level, finer = F.avg_pool2d(level, 2), F.avg_pool2d(finer, 2)
        features.append(_pooled(level, _windows(level.shape[-1], places)).flatten(1))
        return torch.cat(features, dim=1)


def _statistics(band: Tensor, window: Tensor, *, lag: int) -> list[Tensor]:
    """Statistics of one band `[N, 3, h, w]` in each window: list of `[N, W]` or `[N, 2 W]`."""
    luma = band[:, :1]
    energy = _pooled(luma.square(), window).flatten(1)
    colour = _pooled(band[:, 1:].square(), window).flatten(1)
    power = energy + ENERGY_FLOOR / 10
    products = [
        _pooled(luma * torch.roll(luma, (dy * lag, dx * lag), (2, 3)), window).flatten(1) / power
        for dy, dx in NEIGHBOURS
    ]
    return [
        0.5 * (energy + ENERGY_FLOOR).log(),
        0.5 * (colour + ENERGY_FLOOR).log(),
        _pooled(luma.abs(), window).flatten(1) / power.sqrt(),
        (_pooled(luma * luma.square(), window).flatten(1) / power**1.5).clamp(-5, 5),
        *products,
    ]


def _correlation(a: Tensor, b: Tensor, window: Tensor) -> Tensor:
    """Correlation of two pictures `[N, 1, h, w]` in each window: `[N, W]`."""
    mean_a, mean_b, ab, aa, bb = (_pooled(x, window).flatten(1) for x in (a, b, a * b, a * a, b * b))
    spread = (aa - mean_a.square()).clamp(min=1e-9) * (bb - mean_b.square()).clamp(min=1e-9)
    return (ab - mean_a * mean_b) / spread.sqrt()


def _pooled(x: Tensor, window: Tensor) -> Tensor:
    return x.flatten(2) @ window


def _sigma(octave: int) -> float:
    """Blur in px of the octave's own grid that takes its level one octave down."""
    return FINEST_PX if octave == 0 else FINEST_PX * math.sqrt(3)


def _blurred(x: Tensor, sigma: float) -> Tensor:
    return gaussian_blur(x, sigma, reach=3, edges="replicate")


def _places(points: Tensor) -> Tensor:
    """Middles of eyes, mouth, nose, cheeks, chin and bridge `[8, 2]` of a face `[68, 2]`."""
    left, right = points[36:42].mean(dim=0), points[42:48].mean(dim=0)
    cheeks = [
        0.4 * (points[eye] + points[corner]) + 0.2 * points[jaw] for eye, corner, jaw in ((36, 48, 3), (45, 54, 13))
    ]
    chin = 0.5 * (points[57] + points[8])
    return torch.stack([left, right, points[48:60].mean(dim=0), points[30], *cheeks, chin, points[27]])


def _windows(px: int, places: Tensor) -> Tensor:
    """Gaussian windows about places, each of sum 1: `[px², W]`."""
    axis = (torch.arange(px, device=places.device) + 0.5) / px
    x, y = (torch.exp(-0.5 * ((axis - places[:, k, None]) / (WINDOW * RADIUS)).square()) for k in (0, 1))
    windows = (y[:, :, None] * x[:, None, :]).flatten(1)
    return (windows / windows.sum(dim=1, keepdim=True)).t()
