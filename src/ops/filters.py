"""FIR filters: making them, and finding the factors of those that are separable."""

import ctypes
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .kernels import Taps, small_dtype


def setup_filter(
    f: Tensor | Sequence[float] | Sequence[Sequence[float]] | float | None,
    *,
    device: torch.device | str | None = None,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1.0,
    separable: bool | None = None,
) -> Tensor:
    """Make a FIR filter for `upfirdn2d`.

    Args:
        f: filter taps, `[k]` (separable), `[kh, kw]`, a number, or None for the identity.
        device: where the filter lives.
        normalize: scale the taps to sum 1 (for DC gain 1).
        flip_filter: reverse the taps.
        gain: gain of the whole 2-D filter.
        separable: keep a 1-D filter 1-D; None does so from 8 taps up, where two passes are cheaper than one.

    Returns:
        float32 `[k]` or `[kh, kw]`.

    Raises:
        ValueError: for an empty filter or one with more than two dimensions.
    """
    taps = torch.as_tensor(1.0 if f is None else f, dtype=torch.float32)
    if taps.ndim > 2 or taps.numel() == 0:
        raise ValueError(f"a FIR filter has one or two dimensions and at least one tap, not shape {list(taps.shape)}")
    if taps.ndim == 0:
        taps = taps[None]
    if separable is None:
        separable = taps.ndim == 1 and taps.numel() >= 8
    if taps.ndim == 1 and not separable:
        taps = torch.outer(taps, taps)
    if taps.ndim == 2 and separable:
        raise ValueError("a two-dimensional filter cannot be kept separable: give its one-dimensional taps")
    if normalize:
        taps = taps / taps.sum()
    if flip_filter:
        taps = taps.flip(tuple(range(taps.ndim)))
    taps = taps * gain ** (taps.ndim / 2)
    return taps.to(device=device).contiguous()


class _Known(NamedTuple):
    """Taps found earlier, valid while the tensor they come from lives unchanged."""

    owner: "weakref.ref[Tensor]"
    version: int
    taps: Taps


_known: dict[tuple[object, ...], _Known] = {}


def kernel_taps(f: Tensor, dtype: torch.dtype) -> Taps:
    """A filter `[kh, kw]` as the compiled kernels take it, for pictures of `dtype`.

    Looking for factors reads the filter on the host, which waits for a GPU: it is done once a filter.
    """
    owner = f if f._base is None else f._base
    key = (id(owner), f.storage_offset(), f.shape, f.stride(), small_dtype(dtype))
    version = -1 if owner.is_inference() else owner._version  # inference tensors do not count their changes
    known = _known.get(key)
    if known is not None and known.owner() is owner and known.version == version:
        return known.taps
    taps = f.detach().to(small_dtype(dtype)).contiguous()
    host = taps.double().cpu()
    factors = _factors(host, torch.finfo(taps.dtype).eps)
    col, row = (None, None) if factors is None else ((ctypes.c_double * len(v))(*v.tolist()) for v in factors)
    found = Taps(taps, col, row)
    if version >= 0:
        for gone in [key for key, known in list(_known.items()) if known.owner() is None]:
            _known.pop(gone, None)  # not by a callback of the reference, in which a signal's exception would be lost
        _known[key] = _Known(weakref.ref(owner), version, found)
    return found


def _factors(f: Tensor, eps: float) -> tuple[Tensor, Tensor] | None:
    """`(col [kh], row [kw])` whose outer product is `f` to its own rounding, or None."""
    peak = int(f.abs().argmax())
    i, j = divmod(peak, f.shape[1])
    if f[i, j] == 0:
        return None
    col, row = f[:, j].clone(), f[i] / f[i, j]
    return (col, row) if (torch.outer(col, row) - f).abs().max() <= 2 * eps * f[i, j].abs() else None
