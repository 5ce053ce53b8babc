"""InceptionV3 as FID uses it: the network of TensorFlow's archive of 2015-12-05, in its own resize and scaling.

Architecture: arXiv 1512.00567, Fig. 5 to 7 and 10, and Table 1. Three things of that graph differ from the paper's
network: average pools do not count padding, the last block pools by maximum, and batch-norm eps is 1e-3. Module names
are those of the published state dict.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INPUT_PX = 299
NUM_FEATURES = 2048
BATCH_NORM_EPS = 1e-3
#: Tensors of the published file that the features do not need.
UNUSED_TENSORS = ("fc.", ".num_batches_tracked")


class Step(NamedTuple):
    """A convolution of a branch; stride 1 keeps the size, stride 2 has no padding."""

    name: str
    width: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1


class Fork(NamedTuple):
    """Convolutions side by side on one input."""

    steps: tuple[Step, ...]


Branch = Sequence[Step | Fork]


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self, below: int, width: int, kernel: int | tuple[int, int], *, stride: int = 1, padding: int | tuple[int, int]
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(below, width, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=BATCH_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[N, C, H, W]` to `[N, width, H', W']`."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Branches on one input, concatenated, the pooled branch last.

    Args:
        below: channels of the input.
        branches: each a chain of convolutions.
        pool: `"mean"` or `"max"` of 3 x 3 at stride 1 before a 1 x 1 convolution, or `"halve"`, a 3 x 3 maximum at
            stride 2 without one.
        pool_width: of that convolution.
    """

    def __init__(self, below: int, branches: Sequence[Branch], *, pool: str, pool_width: int = 0) -> None:
        super().__init__()
        self.branches, self.pool = tuple(tuple(branch) for branch in branches), pool
        self.width = 0
        for branch in self.branches:
            width = below
            for step in branch:
                units = step.steps if isinstance(step, Fork) else (step,)
                for unit in units:
                    self.add_module(f"branch{unit.name}", _unit(width, unit))
                width = sum(unit.width for unit in units)
            self.width += width
        if pool_width:
            self.branch_pool = ConvUnit(below, pool_width, 1, padding=0)
        self.width += pool_width or below

    def forward(self, x: Tensor) -> Tensor:
        """Map `[N, below, H, W]` to `[N, width, H', W']`."""
        outputs = []
        for branch in self.branches:
            y = x
            for step in branch:
                units = step.steps if isinstance(step, Fork) else (step,)
                parts = [self.get_submodule(f"branch{unit.name}")(y) for unit in units]
                y = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
            outputs.append(y)
        if self.pool == "halve":
            outputs.append(F.max_pool2d(x, 3, stride=2))
        elif self.pool == "max":
            outputs.append(self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1)))
        else:
            mean = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
            outputs.append(self.branch_pool(mean))
        return torch.cat(outputs, dim=1)


class FidInception(nn.Module):
    """The network up to its last spatial mean, 2048 features."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvUnit(3, 32, 3, stride=2, padding=0)
        self.Conv2d_2a_3x3 = ConvUnit(32, 32, 3, padding=0)
        self.Conv2d_2b_3x3 = ConvUnit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvUnit(64, 80, 1, padding=0)
        self.Conv2d_4a_3x3 = ConvUnit(80, 192, 3, padding=0)
        self.names: list[str] = []
        width = 192
        for name, build in _MIXED.items():
            block = build(width)
            self.add_module(name, block)
            self.names.append(name)
            width = block.width
        assert width == NUM_FEATURES

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 or float `[N, 3, H, W]` in [0, 255] to `[N, 2048]`."""
        x = (resize_like_tensorflow(images.to(self.Conv2d_1a_3x3.conv.weight.dtype), INPUT_PX) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))


def resize_like_tensorflow(images: Tensor, size: int) -> Tensor:
    """Resize as TensorFlow 1's `resize_bilinear` does: output i reads at i · in / out, two neighbours, no antialiasing.

    Float `[N, C, H, W]` to `[N, C, size, size]`; a picture that has that size already stays as it is.
    """
    for dim in (3, 2):
        length = images.shape[dim]
        position = torch.arange(size, dtype=torch.float32, device=images.device) * (length / size)
        low = position.long().clamp(max=length - 1)
        high = (low + 1).clamp(max=length - 1)
        weight = (position - low).to(images.dtype).view([-1, 1] if dim == 2 else [-1])
        first = images.index_select(dim, low)
        images = first + (images.index_select(dim, high) - first) * weight
    return images


def _unit(below: int, step: Step) -> ConvUnit:
    kernel = (step.kernel, step.kernel) if isinstance(step.kernel, int) else step.kernel
    padding = (kernel[0] // 2, kernel[1] // 2) if step.stride == 1 else (0, 0)
    return ConvUnit(below, step.width, kernel, stride=step.stride, padding=padding)


def _grid_35(below: int, pool_width: int) -> Mixed:
    """Fig. 5: 5 x 5 and two 3 x 3 in factors."""
    branches = (
        (Step("1x1", 64),),
        (Step("5x5_1", 48), Step("5x5_2", 64, 5)),
        (Step("3x3dbl_1", 64), Step("3x3dbl_2", 96, 3), Step("3x3dbl_3", 96, 3)),
    )
    return Mixed(below, branches, pool="mean", pool_width=pool_width)


def _to_17(below: int) -> Mixed:
    """Fig. 10: from 35 to 17."""
    branches = (
        (Step("3x3", 384, 3, 2),),
        (Step("3x3dbl_1", 64), Step("3x3dbl_2", 96, 3), Step("3x3dbl_3", 96, 3, 2)),
    )
    return Mixed(below, branches, pool="halve")


def _grid_17(below: int, inner: int) -> Mixed:
    """Fig. 6: 7 x 7 as 1 x 7 and 7 x 1."""
    row, column = (1, 7), (7, 1)
    branches = (
        (Step("1x1", 192),),
        (Step("7x7_1", inner), Step("7x7_2", inner, row), Step("7x7_3", 192, column)),
        (
            Step("7x7dbl_1", inner),
            *(Step("7x7dbl_2", inner, column), Step("7x7dbl_3", inner, row)),
            *(Step("7x7dbl_4", inner, column), Step("7x7dbl_5", 192, row)),
        ),
    )
    return Mixed(below, branches, pool="mean", pool_width=192)


def _to_8(below: int) -> Mixed:
    """From 17 to 8."""
    branches = (
        (Step("3x3_1", 192), Step("3x3_2", 320, 3, 2)),
        (
            *(Step("7x7x3_1", 192), Step("7x7x3_2", 192, (1, 7))),
            *(Step("7x7x3_3", 192, (7, 1)), Step("7x7x3_4", 192, 3, 2)),
        ),
    )
    return Mixed(below, branches, pool="halve")


def _grid_8(below: int, pool: str) -> Mixed:
    """Fig. 7: forks of 1 x 3 and 3 x 1."""
    branches = (
        (Step("1x1", 320),),
        (Step("3x3_1", 384), Fork((Step("3x3_2a", 384, (1, 3)), Step("3x3_2b", 384, (3, 1))))),
        (
            *(Step("3x3dbl_1", 448), Step("3x3dbl_2", 384, 3)),
            Fork((Step("3x3dbl_3a", 384, (1, 3)), Step("3x3dbl_3b", 384, (3, 1)))),
        ),
    )
    return Mixed(below, branches, pool=pool, pool_width=192)


_MIXED = {
    "Mixed_5b": lambda below: _grid_35(below, 32),
    "Mixed_5c": lambda below: _grid_35(below, 64),
    "Mixed_5d": lambda below: _grid_35(below, 64),
    "Mixed_6a": _to_17,
    "Mixed_6b": lambda below: _grid_17(below, 128),
    "Mixed_6c": lambda below: _grid_17(below, 160),
    "Mixed_6d": lambda below: _grid_17(below, 160),
    "Mixed_6e": lambda below: _grid_17(below, 192),
    "Mixed_7a": _to_8,
    "Mixed_7b": lambda below: _grid_8(below, "mean"),
    "Mixed_7c": lambda below: _grid_8(below, "max"),
}
