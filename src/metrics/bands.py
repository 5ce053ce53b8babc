"""Two-band features of a face: structure (coarse oriented gradients) and rendering (fine local-contrast statistics).

The features of the caricature score. They are classic ones, computed from the picture alone: cells of oriented
gradients (Dalal and Triggs, CVPR 2005) of the luminance at 32 px, and statistics of band-pass pictures after local
contrast normalisation (Jarrett et al., ICCV 2009; Mittal et al., "BRISQUE", TIP 2012) at three fine scales of a 144 px
picture. Both look at an oval where the face is; backgrounds do not count.
"""

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError

LOW_PX, HIGH_PX = 32, 144
CELL_PX, ORIENTATIONS = 4, 8
SCALES_PX = (0.0, 1.0, 2.0, 4.0)  # blur (standard deviation at 144 px) at the edges of the three bands
CONTRAST_PX, CONTRAST_FLOOR = 8.0, 0.02  # window of the local contrast, and the contrast of noise (luminance is [0, 1])
OVAL = (0.5, 0.53, 0.28, 0.36)  # centre x, centre y, radius x, radius y as parts of the side
PATCHES = 3  # a side: 48 px patches of the 144 px picture
HISTOGRAM = torch.linspace(-1.5, 1.5, 9)
LUMA = (0.299, 0.587, 0.114)
BATCH = 32


@dataclass(frozen=True)
class BandFeatures:
    """Features of N pictures, a row each.

    Attributes:
        low: structure, float32 `[N, Dl]`.
        high: rendering, float32 `[N, Dh]`.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.low)


@torch.inference_mode()
def band_features(images: Tensor, *, extractor: str = "embedded") -> BandFeatures:
    """Measure both bands of pictures.

    Args:
        images: uint8 `[N, 3, H, W]`, faces in the middle, any size from 32 px.
        extractor: which features; `embedded` (the ones described above) is the only value.

    Returns:
        The features; a row depends on its picture alone.

    Raises:
        UserError: for an unknown extractor or anything but such pictures.
    """
    check_extractor(extractor)
    check_pictures(images, "images")
    luma = torch.tensor(LUMA)
    low, high = [], []
    for part in images.split(BATCH):
        grey = torch.einsum("nchw,c->nhw", part.cpu().float(), luma) / 255
        low.append(_low_band(grey))
        high.append(_high_band(grey))
    return BandFeatures(torch.cat(low).numpy(), torch.cat(high).numpy())


def check_extractor(name: str) -> None:
    """Refuse an extractor that the score does not have.

    Raises:
        UserError: naming it.
    """
    if name != "embedded":
        raise UserError(f"extractor={name}: the caricature score has embedded")


def check_pictures(images: Tensor, name: str) -> None:
    """Refuse anything but uint8 `[N, 3, H, W]` with N from 1 and H, W from 32.

    Raises:
        UserError: naming what was given.
    """
    if not isinstance(images, Tensor):
        raise UserError(f"{name}: expected a uint8 tensor [N, 3, H, W], not {type(images).__name__}")
    fits = images.dtype == torch.uint8 and images.ndim == 4 and images.shape[1] == 3
    if not fits or not len(images) or min(images.shape[2:]) < LOW_PX:
        shape = list(images.shape)
        raise UserError(
            f"{name}: expected uint8 pictures [N, 3, H, W] of at least {LOW_PX} px, not {images.dtype} {shape}"
        )


def _low_band(grey: Tensor) -> Tensor:
    """Oriented-gradient cells of luminance `[n, H, W]`, normalised over the oval and to unit length: `[n, Dl]`."""
    n = len(grey)
    small = _resampler(grey.shape[1], LOW_PX, 0.0) @ grey @ _resampler(grey.shape[2], LOW_PX, 0.0).t()
    oval = face_oval(LOW_PX)
    weight = oval / oval.sum()
    mean = (small * weight).sum(dim=(1, 2), keepdim=True)
    spread = ((small - mean).square() * weight).sum(dim=(1, 2), keepdim=True).sqrt()
    small = F.pad(((small - mean) / (spread + CONTRAST_FLOOR))[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    gx, gy = small[:, 1:-1, 2:] - small[:, 1:-1, :-2], small[:, 2:, 1:-1] - small[:, :-2, 1:-1]
    magnitude = (gx.square() + gy.square() + 1e-8).sqrt() * oval
    position = torch.atan2(gy, gx) / math.pi * ORIENTATIONS  # a gradient and its opposite share a bin
    steps = (position[:, None] - torch.arange(ORIENTATIONS).view(1, -1, 1, 1)).remainder(ORIENTATIONS)
    share = (1 - torch.minimum(steps, ORIENTATIONS - steps)).clamp(min=0)
    cells = F.avg_pool2d(share * magnitude[:, None], CELL_PX)
    seen = F.avg_pool2d(oval[None, None], CELL_PX)[0, 0] > 0.25
    cells = cells[:, :, seen].reshape(n, -1).sqrt()
    return cells / (cells.norm(dim=1, keepdim=True) + 1e-6)


def _high_band(grey: Tensor) -> Tensor:
    """Statistics of three fine bands of luminance `[n, H, W]` after local contrast normalisation: `[n, Dh]`."""
    rows, columns, inside, patch = _window()

    def blurred(sigma: float) -> Tensor:
        down, across = (_resampler(side, HIGH_PX, sigma) for side in grey.shape[1:])
        return (down[rows] @ grey @ across[columns].t())[:, inside]

    levels = [blurred(sigma) for sigma in SCALES_PX]
    contrast = _local_contrast(grey)
    features = []
    for fine, coarse in itertools.pairwise(levels):
        features.append(_statistics((fine - coarse) / contrast, patch))
    return torch.cat(features, dim=1)


def _local_contrast(grey: Tensor) -> Tensor:
    """Local standard deviation of the 144 px luminance, plus the floor, in the oval's pixels: `[n, P]`.

    The windows end where the oval does, so that a black background is no contrast of the face.
    """
    rows, columns, inside, _ = _window()
    down, across = (_resampler(side, HIGH_PX, 0.0) for side in grey.shape[1:])
    blur = _resampler(HIGH_PX, HIGH_PX, CONTRAST_PX)
    down_blur, across_blur = blur[rows, rows], blur[columns, columns].t()
    seen = inside.float()
    picture = (down[rows] @ grey @ across[columns].t()) * seen
    area = (down_blur @ seen @ across_blur)[inside]
    mean, square = ((down_blur @ x @ across_blur)[:, inside] / area for x in (picture, picture.square()))
    return (square - mean.square()).clamp(min=0).sqrt() + CONTRAST_FLOOR


def _statistics(band: Tensor, patch: Tensor) -> Tensor:
    """Energy, its spread over patches, sparseness, skewness and the histogram of a band `[n, P]`."""
    energy = band.square()
    rms = energy.mean(dim=1, keepdim=True).sqrt() + 1e-4
    unit = band / rms
    sparse = unit.abs().mean(dim=1, keepdim=True)
    skew = unit.pow(3).mean(dim=1, keepdim=True).clamp(-10, 10)
    local = 0.5 * (energy @ patch + 1e-6).log()
    step = float(HISTOGRAM[1] - HISTOGRAM[0])
    bins = [(1 - (unit - float(centre)).abs() / step).clamp_(min=0).mean(dim=1) for centre in HISTOGRAM]
    return torch.cat([rms.log(), sparse, skew, local, torch.stack(bins, dim=1)], dim=1)


@functools.cache
def _resampler(size: int, target: int, sigma: float) -> Tensor:
    """Matrix `[target, size]`: antialiased resize of one axis, then a Gaussian blur of `sigma` target pixels."""
    resize = F.interpolate(torch.eye(size)[None, None], (target, size), mode="bilinear", antialias=True)[0, 0]
    if not sigma:
        return resize
    place = torch.arange(target, dtype=torch.float32)
    blur = torch.exp(-0.5 * ((place[:, None] - place[None]) / sigma).square())
    return (blur / blur.sum(dim=1, keepdim=True)) @ resize


@functools.cache
def face_oval(size: int) -> Tensor:
    """Weight of each pixel `[size, size]`: 1 in the face's oval, 0 outside, a soft edge between."""
    x0, y0, rx, ry = OVAL
    place = (torch.arange(size) + 0.5) / size
    radius = (((place[None] - x0) / rx).square() + ((place[:, None] - y0) / ry).square()).sqrt()
    return ((1.1 - radius) / 0.2).clamp(0, 1)


@functools.cache
def _window() -> tuple[slice, slice, Tensor, Tensor]:
    """The oval at 144 px: its rows, its columns, its pixels in them, and averaging over patches `[P, K]`."""
    oval = face_oval(HIGH_PX) > 0.5
    ys, xs = oval.any(dim=1).nonzero()[:, 0], oval.any(dim=0).nonzero()[:, 0]
    rows, columns = slice(int(ys[0]), int(ys[-1]) + 1), slice(int(xs[0]), int(xs[-1]) + 1)
    inside = oval[rows, columns]
    height, width = inside.shape
    part = torch.arange(height)[:, None] * PATCHES // height * PATCHES + torch.arange(width) * PATCHES // width
    patch = F.one_hot(part[inside], PATCHES * PATCHES).float()
    return rows, columns, inside, patch / patch.sum(dim=0, keepdim=True)
