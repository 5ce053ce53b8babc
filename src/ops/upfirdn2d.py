"""Upsample, FIR-filter, downsample in one step (StyleGAN2, arXiv 1912.04958, Sec. 4.1; notation of StyleGAN3's App. B).

Compiled kernels run it where there are any; the reference runs on depthwise convolutions. Both are wrapped in an
autograd function whose backward is the same op with up and down exchanged and the filter flipped, so gradients of any
order are again upfirdn2d: PyTorch's own double backward of a grouped convolution would run one convolution a channel.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .backend import kernels_for
from .filters import kernel_taps

Padding = int | Sequence[int]


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    *,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Insert zeros, pad, filter, and drop samples, channel by channel.

    Args:
        x: `[N, C, H, W]`, any float type and layout (channels_last stays channels_last).
        f: `[k]`, `[kh, kw]` float32 from `setup_filter`, or None for the identity.
        up: zeros are inserted so that the picture grows by this factor, or `(x, y)` factors.
        down: every `down`-th sample is kept, or `(x, y)`.
        padding: pixels with respect to the upsampled picture: one number, `(x, y)` or `(x0, x1, y0, y1)`;
            negative values crop.
        flip_filter: False convolves, True correlates.
        gain: factor on the result.

    Returns:
        `[N, C, (H·up + y0 + y1 - kh) // down + 1, …]`, same type as `x`; gradients of any order with respect to `x`.

    Raises:
        ValueError: for shapes or factors that leave no output.
    """
    if x.ndim != 4:
        raise ValueError(f"upfirdn2d takes [N, C, H, W], not {list(x.shape)}")
    upx, upy = _pair(up, "up")
    downx, downy = _pair(down, "down")
    x0, x1, y0, y1 = _parse_padding(padding)
    if f is None:
        f = torch.ones([1, 1], dtype=torch.float32, device=x.device)
    flip, gain = flip_filter, float(gain)
    if f.ndim == 1:  # separable: one pass an axis, the gain with the first
        x = _Upfirdn2d.apply(x, f[None, :], _Resampling((upx, 1), (downx, 1), (x0, x1, 0, 0), flip, gain))
        return _Upfirdn2d.apply(x, f[:, None], _Resampling((1, upy), (1, downy), (0, 0, y0, y1), flip, 1.0))
    return _Upfirdn2d.apply(x, f, _Resampling((upx, upy), (downx, downy), (x0, x1, y0, y1), flip, gain))


def upsample2d(x: Tensor, f: Tensor, *, up: int = 2, add: Tensor | None = None) -> Tensor:
    """Upsample by `up`, keeping place and brightness (`[N, C, H, W]` to `[N, C, H·up, W·up]`), and `add` to it."""
    kw, kh = f.shape[-1], f.shape[0]
    padding = ((kw + up - 1) // 2, (kw - up) // 2, (kh + up - 1) // 2, (kh - up) // 2)
    gain = float(up * up)
    if add is None or f.ndim == 1 or torch.compiler.is_compiling():
        y = upfirdn2d(x, f, up=up, padding=padding, gain=gain)
        return y if add is None else y + add
    return _Join.apply(add, x, f, _Resampling((up, up), (1, 1), padding, False, gain))


def downsample2d(x: Tensor, f: Tensor, *, down: int = 2) -> Tensor:
    """Filter and downsample by `down` with the picture kept in place (`[N, C, H, W]` to `[N, C, H/down, W/down]`)."""
    return upfirdn2d(x, f, down=down, padding=_keeping(f, down))


def fork2d(x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """`x` for one branch of a network, and `downsample2d(x, f)` for another: their gradients meet in one pass.

    Args:
        x: `[N, C, H, W]`.
        f: `[kh, kw]` from `setup_filter`.

    Returns:
        `x`, and `[N, C, H/2, W/2]`; gradients of any order with respect to `x`.
    """
    if torch.compiler.is_compiling():
        return x, downsample2d(x, f)
    return _Fork.apply(x, f, _Resampling((1, 1), (2, 2), _keeping(f, 2), False, 1.0))


class _Resampling(NamedTuple):
    """How one 2-D pass resamples: factors `(x, y)`, padding `(x0, x1, y0, y1)`, whether it correlates, its gain."""

    up: tuple[int, int]
    down: tuple[int, int]
    padding: tuple[int, int, int, int]
    flip: bool
    gain: float

    def last(self, x: Tensor, f: Tensor) -> tuple[int, int]:
        """Last row and column of the filtered picture, before samples are dropped."""
        x0, x1, y0, y1 = self.padding
        return x.shape[2] * self.up[1] + y0 + y1 - f.shape[0], x.shape[3] * self.up[0] + x0 + x1 - f.shape[1]

    def adjoint(self, f: Tensor, before: torch.Size, after: torch.Size) -> "_Resampling":
        """The pass that takes gradients of `after`'s shape back to `before`'s."""
        (up_x, up_y), (down_x, down_y), (x0, _, y0, _) = self.up, self.down, self.padding
        kh, kw = f.shape
        padding = (
            kw - x0 - 1,
            before[3] * up_x - after[3] * down_x + x0 - up_x + 1,
            kh - y0 - 1,
            before[2] * up_y - after[2] * down_y + y0 - up_y + 1,
        )
        return _Resampling(self.down, self.up, padding, not self.flip, self.gain)


class _Upfirdn2d(torch.autograd.Function):
    """One 2-D pass; backward is the adjoint, which is again this function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Tensor, how: _Resampling) -> Tensor:
        y = _run(x, f, how)
        ctx.save_for_backward(f)
        ctx.how, ctx.shapes = how, (x.shape, y.shape)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.needs_input_grad[0]:
            return None, None, None
        (f,) = ctx.saved_tensors
        return _Upfirdn2d.apply(grads[0], f, ctx.how.adjoint(f, *ctx.shapes)), None, None


class _Fork(torch.autograd.Function):
    """The picture, and the picture resampled; the adjoint is `_Join`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Tensor, how: _Resampling) -> tuple[Tensor, Tensor]:
        y = _run(x, f, how)
        ctx.save_for_backward(f)
        ctx.how, ctx.shapes = how, (x.shape, y.shape)
        ctx.set_materialize_grads(False)
        return x.view_as(x), y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        (of_x, of_y), (f,) = grads, ctx.saved_tensors
        if of_y is None:
            return of_x, None, None
        adjoint = ctx.how.adjoint(f, *ctx.shapes)
        joined = _Upfirdn2d.apply(of_y, f, adjoint) if of_x is None else _Join.apply(of_x, of_y, f, adjoint)
        return joined, None, None


class _Join(torch.autograd.Function):
    """A picture plus another one resampled; the adjoint is `_Fork`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor, f: Tensor, how: _Resampling) -> Tensor:
        ctx.save_for_backward(f)
        ctx.how, ctx.shapes = how, (other.shape, x.shape)
        return _run(other, f, how, add=x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (f,) = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return grads[0], None, None, None
        return *_Fork.apply(grads[0], f, ctx.how.adjoint(f, *ctx.shapes)), None, None


def _run(x: Tensor, f: Tensor, how: _Resampling, add: Tensor | None = None) -> Tensor:
    """The arithmetic, without autograd; and the sum with another picture."""
    last_y, last_x = how.last(x, f)
    if last_y < 0 or last_x < 0:
        (kh, kw), (height, width) = f.shape, x.shape[2:]
        raise ValueError(f"upfirdn2d: a {kh}x{kw} filter with padding {how.padding} leaves nothing of {height}x{width}")
    size = (last_y // how.down[1] + 1, last_x // how.down[0] + 1)
    kernels = kernels_for(x)
    if kernels is None:
        y = _reference(x, f, how, size)
        return y if add is None else y + add
    before = (how.padding[0], how.padding[2])
    return kernels.fir(x, kernel_taps(f, x.dtype), size, how.up, how.down, before, how.flip, how.gain, add)


def _reference(x: Tensor, f: Tensor, how: _Resampling, size: tuple[int, int]) -> Tensor:
    """Depthwise convolution to `size`, transposed where `up` > 1 and `down` = 1."""
    up, down, (px0, px1, py0, py1) = how.up, how.down, how.padding
    channels = x.shape[1]
    taps = f.to(torch.promote_types(f.dtype, x.dtype))
    taps = (taps if how.gain == 1.0 else taps * how.gain).to(x.dtype)
    if x.numel() == 0:
        return x.new_zeros([x.shape[0], channels, *size])
    if up != (1, 1) and down == (1, 1):
        return _up_transposed(x, taps.flip((0, 1)) if how.flip else taps, up, how.padding, size)
    if up != (1, 1):
        x = _insert_zeros(x, up)
        # the zeros behind the last sample are part of the upsampled picture
    kernel = (taps if how.flip else taps.flip((0, 1)))[None, None].expand(channels, 1, *f.shape)
    symmetric = px0 == px1 >= 0 and py0 == py1 >= 0
    if not symmetric:
        x = _pad(x, how.padding)
    return F.conv2d(x, kernel, stride=(down[1], down[0]), padding=(py0, px0) if symmetric else 0, groups=channels)


def _up_transposed(
    x: Tensor, taps: Tensor, up: tuple[int, int], padding: tuple[int, int, int, int], size: tuple[int, int]
) -> Tensor:
    """Zero insertion and filtering as one transposed depthwise convolution; the padding becomes a crop of it."""
    channels = x.shape[1]
    kh, kw = taps.shape
    kernel = taps[None, None].expand(channels, 1, kh, kw)
    # full convolution index = output index + (k - 1 - p0); conv_transpose2d can crop equally on both sides itself
    top, left = kh - 1 - padding[2], kw - 1 - padding[0]
    full_h, full_w = (x.shape[2] - 1) * up[1] + kh, (x.shape[3] - 1) * up[0] + kw
    bottom, right = full_h - top - size[0], full_w - left - size[1]
    crop_y, crop_x = max(min(top, bottom), 0), max(min(left, right), 0)
    y = F.conv_transpose2d(x, kernel, stride=(up[1], up[0]), padding=(crop_y, crop_x), groups=channels)
    return _pad(y, (crop_x - left, crop_x - right, crop_y - top, crop_y - bottom))


def _insert_zeros(x: Tensor, up: tuple[int, int]) -> Tensor:
    """`[N, C, H, W]` to `[N, C, H·up, W·up]` with `up - 1` zeros after each sample."""
    y = x.new_zeros([x.shape[0], x.shape[1], x.shape[2] * up[1], x.shape[3] * up[0]])
    y = y.contiguous(memory_format=_layout(x))
    y[:, :, :: up[1], :: up[0]] = x
    return y


def _pad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Zero-pad or (negative) crop: `(x0, x1, y0, y1)`."""
    if padding == (0, 0, 0, 0):
        return x
    return F.pad(x, list(padding))


def _keeping(f: Tensor, down: int) -> tuple[int, int, int, int]:
    """The padding that keeps the picture in place."""
    kw, kh = f.shape[-1], f.shape[0]
    return (kw - down + 1) // 2, (kw - down) // 2, (kh - down + 1) // 2, (kh - down) // 2


def _layout(x: Tensor) -> torch.memory_format:
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if channels_last else torch.contiguous_format


def _pair(factor: int | Sequence[int], name: str) -> tuple[int, int]:
    pair = (factor, factor) if isinstance(factor, int) else tuple(int(v) for v in factor)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"upfirdn2d: {name} is a positive whole number or an (x, y) pair, not {factor!r}")
    return pair[0], pair[1]


def _parse_padding(padding: Padding) -> tuple[int, int, int, int]:
    values = [padding] * 4 if isinstance(padding, int) else [int(v) for v in padding]
    if len(values) == 2:
        values = [values[0], values[0], values[1], values[1]]
    if len(values) != 4:
        raise ValueError(f"upfirdn2d: padding is one number, (x, y) or (x0, x1, y0, y1), not {padding!r}")
    return values[0], values[1], values[2], values[3]
