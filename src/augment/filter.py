"""Image-space filtering, additive noise and cutout.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (arXiv 2006.06676), Appendix B.
The filter amplifies or attenuates four octave bands, made from the sym2 wavelet; amplitudes are normalised so
that the expected power of a natural image (1/f spectrum, 10:1:1:1) stays. A filter with reflected borders is
a linear map of each axis, so it is a weighted sum of four constant matrices, applied by two matrix products.
"""

import functools

import numpy as np
import torch
from torch import Tensor

# Low-pass analysis filter of the Daubechies wavelet with two vanishing moments (sum sqrt 2).
SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
BAND_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # expected share of the power in each band, low to high


def band_gains(log2_gains: Tensor) -> Tensor:
    """Normalised amplitude of each band, `[N, 4]`, of log2 gains `[N, 4]`, where 0 means "unchanged".

    Band i alone gets amplitude t_i, and the whole is divided by the root of the expected power; the four steps follow
    one another, so g_j = t_j / prod_i sqrt(1 + power_i (t_i^2 - 1)).
    """
    gains = log2_gains.exp2()
    power = _band_power(gains.dtype, gains.device)
    return gains / (1 + power * (gains.square() - 1)).prod(dim=1, keepdim=True).sqrt()


def filter_bands(images: Tensor, gains: Tensor) -> Tensor:
    """Scale the four bands of images `[N, C, H, W]` by gains `[N, 4]`, low to high, reflecting at the borders."""
    height, width = images.shape[2:]
    gains = gains.to(images.dtype)
    along_y = (gains @ _band_operators(height, images.dtype, images.device)).reshape(-1, 1, height, height)
    along_x = (gains @ _band_operators(width, images.dtype, images.device)).reshape(-1, 1, width, width)
    return along_y @ (images @ along_x.mT)


def add_noise(images: Tensor, sigma: Tensor, field: Tensor) -> Tensor:
    """Add `field` [N, 3, H, W] (standard normal), scaled by sigma [N]."""
    return torch.addcmul(images, field.to(images.dtype), sigma.to(images.dtype)[:, None, None, None])


def cut_out(images: Tensor, size: Tensor, center_x: Tensor, center_y: Tensor) -> Tensor:
    """Blank a rectangle of each image `[N, C, H, W]` to 0 (mid-grey).

    Side and centre `[N]` are fractions of the picture's width and height; a side of 0 leaves the image alone.
    """
    height, width = images.shape[2:]
    half = size[:, None] / 2
    x = (torch.arange(width, device=size.device) + 0.5) / width
    y = (torch.arange(height, device=size.device) + 0.5) / height
    keep_x = (x - center_x[:, None]).abs() >= half
    keep_y = (y - center_y[:, None]).abs() >= half
    keep = keep_x[:, None, None, :] | keep_y[:, None, :, None]
    return images * keep


def filter_bank() -> np.ndarray:
    """Symmetric band-pass filters float64 [4, 43], low to high, which add up to a unit impulse.

    From H(z) = sym2 follow the half-band filters L(z) = H(z) H(1/z) / 2 and its mirror 1 - L(z); band i is
    what remains after the i-th split of the lower half, each earlier band stretched by two and low-passed to
    follow the next level.
    """
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    high = -low
    high[len(low) // 2] += 1
    bands = [np.ones(1)]
    for _ in range(3):
        stretched = []
        for band in bands:
            wide = np.zeros(2 * len(band) - 1)
            wide[::2] = band
            stretched.append(np.convolve(wide, low))
        top = np.zeros_like(stretched[0])
        start = (len(top) - len(high)) // 2
        top[start : start + len(high)] = high
        bands = [*stretched, top]
    return np.stack(bands)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # kept, so it must serve autograd later
def _band_power(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(BAND_POWER, dtype=dtype, device=device)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # kept, so it must serve autograd later
def _band_operators(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Each band's filter with reflected borders as a matrix, flattened: [4, size * size]."""
    bank = filter_bank()
    radius = bank.shape[1] // 2
    row = np.arange(size)[:, None]
    period = max(2 * (size - 1), 1)
    source = size - 1 - np.abs(size - 1 - (row + np.arange(-radius, radius + 1)) % period)
    operators = np.zeros([len(bank), size, size])
    for operator, taps in zip(operators, bank, strict=True):
        np.add.at(operator, (np.broadcast_to(row, source.shape), source), np.broadcast_to(taps, source.shape))
    return torch.from_numpy(operators).reshape(len(bank), -1).to(device, dtype)
