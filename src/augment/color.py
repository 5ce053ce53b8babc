"""Colour augmentation: one affine map of RGB an image.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (arXiv 2006.06676), Appendix B:
brightness, contrast, luma flip, hue rotation and saturation, in this order. The last three share the grey
axis v = (1,1,1)/sqrt 3: with P = v v', Q = I - P and K = [v]x they are (P or -P) + Q, P + cos Q + sin K and P
+ s Q, which commute, and the offset of the brightness lies on v. So their product has a closed form with
three coefficients.
"""

import functools
from typing import NamedTuple

import torch
from torch import Tensor


class ColorDraws(NamedTuple):
    """Parameters of the colour part for N images: float tensors [N], where 0 means "unchanged"."""

    brightness: Tensor  # added, in units of the [-1, 1] range
    log2_contrast: Tensor
    luma_flip: Tensor  # 0 or 1
    hue_angle: Tensor  # radians
    log2_saturation: Tensor


def color_affine(d: ColorDraws) -> tuple[Tensor, Tensor]:
    """Merge the drawn transformations: out = matrix `[N, 3, 3]` @ rgb + offset `[N]` of all channels."""
    contrast = d.log2_contrast.exp2()
    along = contrast * (1 - 2 * d.luma_flip)
    across = contrast * d.log2_saturation.exp2()
    coefficients = torch.stack([along, across * d.hue_angle.cos(), across * d.hue_angle.sin()], dim=1)
    basis = _basis(coefficients.dtype, coefficients.device)
    return (coefficients @ basis).reshape(-1, 3, 3), along * d.brightness


def apply_color(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Map the colours of images [N, 3, H, W] with matrix [N, 3, 3] and offset [N]."""
    flat = images.reshape(len(images), 3, -1)
    mapped = torch.baddbmm(offset.to(images.dtype)[:, None, None], matrix.to(images.dtype), flat)
    return mapped.reshape(images.shape)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # kept, so it must serve autograd later
def _basis(dtype: torch.dtype, device: torch.device) -> Tensor:
    """P, Q and K as rows [3, 9]."""
    along = torch.full([3, 3], 1 / 3, dtype=torch.float64)
    turn = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / 3**0.5
    return torch.stack([along, torch.eye(3, dtype=torch.float64) - along, turn]).reshape(3, 9).to(device, dtype)
