"""Geometric augmentation: one affine map an image, and its execution by orthogonal-wavelet resampling.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (arXiv 2006.06676), Appendix B:
all pixel-blitting and geometric transformations of an image are merged into one inverse map "output pixel ->
input pixel", which is executed once: reflect padding, 2x upsampling with the sym6 low-pass filter, bilinear
lookup, 2x downsampling with the same filter. Because the sym6 wavelet is orthogonal, the identity and
whole-pixel translations come out unchanged. (It is not quite symmetric, so flips and quarter turns go through
with a slight phase error at the finest detail, as in the published implementation.)

A compiled kernel (`wavelet_warp`) does all of it in one pass. Without one, up- and downsampling are linear along each
axis, so up to a certain size they are two matrix products, with operators that contain the reflection as well; larger
pictures use `upfirdn2d`. That is the reference, too.
"""

import functools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops import grid_sample, setup_filter, upfirdn2d, wavelet_warp

# Low-pass analysis filter of the Daubechies least-asymmetric wavelet with six vanishing moments (sum sqrt 2).
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
HALO = len(SYM6) // 4  # pixels around the picture that the filter's tails reach
DENSE_MAX_PX = {"cpu": 512}  # up to this size matrix products beat filtering
DENSE_MAX_PX_ELSEWHERE = 128


class GeometryDraws(NamedTuple):
    """Parameters of the geometric part for N images: float tensors [N], where 0 means "unchanged"."""

    flip: Tensor  # 0 or 1
    quarter_turns: Tensor  # 0, 1, 2, 3
    shift_x: Tensor  # whole-pixel translation, fraction of the width before rounding
    shift_y: Tensor
    log2_scale: Tensor
    pre_angle: Tensor  # radians
    log2_aniso: Tensor
    post_angle: Tensor  # radians
    move_x: Tensor  # fractional translation, fraction of the width
    move_y: Tensor


def inverse_affine(d: GeometryDraws, height: int, width: int) -> Tensor:
    """Merge all geometric transformations into one inverse map.

    Returned is `[N, 2, 3]`: centred input position = map @ (centred output x, y, 1), in pixels. The map is F R(90k)
    T(shift) S R(pre) S(aniso) R(post) T(move), each factor inverted. Rotations about the same centre add up, and both
    offsets come from one product of 2x4 matrices; none is a product that a GPU would take in TF32.
    """
    turn = d.quarter_turns * (math.pi / 2)
    angles = torch.stack([turn, turn + d.pre_angle, d.post_angle], dim=1)
    cos, sin = angles.cos(), angles.sin()
    turned, before, behind = torch.stack([cos, -sin, sin, cos], dim=2).unflatten(2, (2, 2)).unbind(1)
    zoom = (torch.stack([-d.log2_aniso, d.log2_aniso], dim=1) - d.log2_scale[:, None]).exp2()
    linear = ((before * zoom[:, None])[..., None] * behind[:, None]).sum(dim=2)
    pixels = _constant((-width, -height, -width, -height), turn.dtype, turn.device)
    moved = torch.stack([d.shift_x, d.shift_y, d.move_x, d.move_y], dim=1) * pixels
    moved[:, :2].round_()
    offset = (torch.cat([turned, linear], dim=2) * moved[:, None]).sum(dim=2, keepdim=True)
    affine = torch.cat([linear, offset], dim=2)
    affine[:, 0] *= (1 - 2 * d.flip)[:, None]
    return affine


def padding_margins(affine: Tensor, height: int, width: int) -> Tensor:
    """Reflect padding that maps `[N, 2, 3]` reach, the largest over the batch, plus the filters' tails.

    Returned are `[4]` whole pixels (left, top, right, bottom) as floats, each within [0, size - 1].
    """
    kind, half = (affine.dtype, affine.device), ((width - 1) / 2, (height - 1) / 2)
    reach, shift = (affine[:, :, :2].abs() * _constant(half, *kind)).sum(dim=2), affine[:, :, 2]
    inside = _constant((half[0] - 2 * HALO, half[1] - 2 * HALO) * 2, *kind)
    beyond = torch.cat([reach - shift, reach + shift], dim=1).amax(dim=0) - inside
    return beyond.clamp(_constant((0.0,) * 4, *kind), _constant((width - 1, height - 1) * 2, *kind)).ceil()


def warp(images: Tensor, affine: Tensor, *, static: bool = False) -> Tensor:
    """Resample images `[N, C, H, W]` through inverse maps `[N, 2, 3]`; differentiable twice with respect to the images.

    `static` uses buffers of the largest possible size, so that no shape depends on data and nothing is copied to the
    host (for graph capture). The result is the same; False is faster on a CPU.
    """
    height, width = images.shape[2:]
    affine = affine.to(images.dtype)
    margins = padding_margins(affine, height, width)
    warped = wavelet_warp(images, affine, margins, SYM6)
    if warped is not None:
        return warped
    largest = [width - 1, height - 1] * 2
    buffer = largest if static else [int(m) for m in margins.tolist()]
    dense_max = DENSE_MAX_PX.get(images.device.type, DENSE_MAX_PX_ELSEWHERE)
    # the gradient of padding is no deterministic algorithm
    dense = max(height, width) <= dense_max or torch.are_deterministic_algorithms_enabled()
    if dense:
        fine = _upsample_dense(images, buffer, margins)
    else:
        fine = _upsample_filtered(images, buffer, margins if static else None)
    shape = [len(images), images.shape[1], 2 * (height + 2 * HALO), 2 * (width + 2 * HALO)]
    grid = F.affine_grid(_fine_affine(affine, buffer, fine, shape), shape, align_corners=False)
    sampled = grid_sample(fine, grid)
    if dense:
        down_x = _down_operator(width, images.dtype, images.device)
        down_y = _down_operator(height, images.dtype, images.device)
        return down_y @ (sampled @ down_x.T)
    return upfirdn2d(sampled, _filter(images.dtype, images.device), down=2, padding=-1, flip_filter=True)


def _fine_affine(affine: Tensor, buffer: list[int], fine: Tensor, shape: list[int]) -> Tensor:
    """Express the map between the 2x finer grids, in grid_sample's normalised coordinates.

    A fine sample pair straddles its pixel, half a fine pixel from the filter's origin; hence the two halves.
    """
    left, top, right, bottom = buffer
    kind = (affine.dtype, affine.device)
    out_size = _constant((shape[3], shape[2]), *kind)
    in_size = _constant((fine.shape[3], fine.shape[2]), *kind)
    origin = _constant((left - right - 0.5, top - bottom - 0.5), *kind)
    linear = affine[:, :, :2]
    offset = 2 * affine[:, :, 2] + linear.sum(dim=2) * 0.5 + origin
    return torch.cat([linear * (out_size / in_size[:, None]), (offset * (2 / in_size))[:, :, None]], dim=2)


def _upsample_dense(images: Tensor, buffer: list[int], margins: Tensor) -> Tensor:
    height, width = images.shape[2:]
    left, top, right, bottom = buffer
    up_x = _up_operator(width, left, right, margins[0], margins[2])
    up_y = _up_operator(height, top, bottom, margins[1], margins[3])
    return up_y @ (images @ up_x.T)


def _up_operator(size: int, before: int, after: int, margin_before: Tensor, margin_after: Tensor) -> Tensor:
    """Reflect padding followed by 2x upsampling of one axis as a matrix [2 (before + size + after), size].

    Samples outside [-margin_before, size + margin_after) are zero, whatever the buffer holds.
    """
    rows, pixel, source, taps = _up_table(size, margin_before.dtype, margin_before.device)
    first, last = 2 * (size - 1 - before), 2 * (2 * size - 1 + after)
    rows, pixel, source, taps = rows[first:last], pixel[first:last], source[first:last], taps[first:last]
    low, high = -margin_before, size + margin_after
    inside = (pixel >= low) & (pixel < high) & (rows >= low) & (rows < high)
    count = last - first
    index = torch.arange(0, count * size, size, device=taps.device)[:, None] + source
    operator = torch.zeros(count * size, dtype=taps.dtype, device=taps.device)
    return operator.index_add_(0, index.flatten(), (taps * inside).flatten()).reshape(count, size)


@functools.lru_cache(maxsize=32)
@torch.inference_mode(False)  # kept, so it must serve autograd later
def _up_table(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each of the M fine samples of an axis with full padding: its pixel [M, 1], and of the six pixels
    that its taps read [M, 6]: the position, where reflection takes it, and the weight.
    """
    sample = torch.arange(-2 * (size - 1), 2 * (2 * size - 1), device=device)[:, None]
    tap = 2 * torch.arange(len(SYM6) // 2, device=device) + (1 - sample % 2)
    pixel = torch.div(sample + len(SYM6) // 2 - 1 - tap, 2, rounding_mode="floor")
    period = max(2 * (size - 1), 1)
    source = size - 1 - (size - 1 - pixel % period).abs()
    weight = torch.tensor(SYM6, dtype=torch.float64, device=device) * math.sqrt(2)
    rows = torch.div(sample, 2, rounding_mode="floor")
    return rows.to(dtype), pixel.to(dtype), source, weight[tap].to(dtype)


@functools.lru_cache(maxsize=32)
@torch.inference_mode(False)  # kept, so it must serve autograd later
def _down_operator(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """2x downsampling with the time-reversed filter, halo cropped: a matrix [size, 2 (size + 2 HALO)]."""
    row = torch.arange(size)[:, None]
    operator = torch.zeros(size, 2 * (size + 2 * HALO), dtype=torch.float64)
    taps = torch.tensor(SYM6, dtype=torch.float64) / math.sqrt(2)
    operator[row, 2 * row + 1 + torch.arange(len(SYM6))] = taps
    return operator.to(device, dtype)


@functools.lru_cache(maxsize=128)
@torch.inference_mode(False)  # kept, so it must serve autograd later
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A small vector, made once: copying it to a GPU each time would stop graph capture."""
    return torch.tensor(values, dtype=dtype, device=device)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # kept, so it must serve autograd later
def _filter(dtype: torch.dtype, device: torch.device) -> Tensor:
    return setup_filter(list(SYM6), device=device).to(dtype)


def _upsample_filtered(images: Tensor, buffer: list[int], margins: Tensor | None) -> Tensor:
    """The same by filtering; with `margins` samples beyond them are zeroed in buffers of fixed size."""
    height, width = images.shape[2:]
    left, top, right, bottom = buffer
    padded = F.pad(images, [left, right, top, bottom], mode="reflect")
    if margins is not None:
        in_x = _inside(width, left, right, margins[0], margins[2])
        in_y = _inside(height, top, bottom, margins[1], margins[3])[:, None]
        padded = padded * in_x * in_y
    half = len(SYM6) // 2
    fine = upfirdn2d(padded, _filter(images.dtype, images.device), up=2, padding=[half, half - 1] * 2, gain=4)
    if margins is not None:
        fine = fine * _twice(in_x) * _twice(in_y[:, 0])[:, None]
    return fine


def _twice(values: Tensor) -> Tensor:
    """Each element of `[n]` two times in a row, by views alone."""
    return values[:, None].expand(-1, 2).flatten()


def _inside(size: int, before: int, after: int, margin_before: Tensor, margin_after: Tensor) -> Tensor:
    pixel = torch.arange(-before, size + after, device=margin_before.device)
    return ((pixel >= -margin_before) & (pixel < size + margin_after)).to(margin_before.dtype)
