"""Blending two generators of one family by swapping layers at a resolution (arXiv 2010.05334), exactly as
blend_models.py of justinpinkney/stylegan2 does it.

Units have positions: 4x4 const 0, 4x4 ToRGB 1; then each resolution r = 2^k·4 has conv0 at 2k and conv1 with ToRGB at
2k + 1. A blend at (resolution, level) has its middle at that resolution's conv0 (level 0) or conv1 (level 1).

* hard: the high network is used where position - middle > 1. So "resolution 32, level 0" keeps 4 … 32 of the low
  network and takes 64 and up from the high one, and the full resolution gives the low network unchanged.
* smooth: the high network's share is 1 / (1 + exp(-(position - middle) / width)), one half at the named unit itself.

Always from the low network: the mapping, w_avg, the noise maps, and 4x4 conv1.
"""

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import UserError
from .generator import Generator

MAX_LISTED = 4  # differing tensors named in an error
#: Names of a block's parameters that a unit carries.
_CONV = ("weight", "bias", "noise_strength", "affine.weight", "affine.bias")
_TORGB = ("weight", "bias", "affine.weight", "affine.bias")


def blend(low: Generator, high: Generator, resolution: int, *, level: int = 0, width: float | None = None) -> Generator:
    """Blend two generators: coarse layers from `low`, fine layers from `high`.

    Args:
        low: gives structure, the mapping and the noise maps.
        high: gives rendering.
        resolution: of the switch, a power of two from 4 to the image's.
        level: 0 switches at the resolution's first convolution, 1 at its second.
        width: None or 0 switches hard; above 0 is the width of a logistic mix in positions.

    Returns:
        A new generator; `low` and `high` are left as they are.

    Raises:
        UserError: when the networks differ in shape, or resolution, level or width cannot be.
    """
    weights = blend_weights(low.resolution, resolution, level=level, width=width)
    return blend_networks(low, high, weights=weights)


def blend_weights(
    full_resolution: int, resolution: int, *, level: int = 0, width: float | None = None
) -> dict[str, float]:
    """Share of the high network in each unit.

    Args:
        full_resolution: of the generators.
        resolution: of the switch.
        level: 0 or 1.
        width: None or 0 for a hard switch.

    Returns:
        `{"4/const": y, "4/torgb": y, "8/conv0": y, "8/conv1": y, …}`; conv1's share is its block's ToRGB's too.

    Raises:
        UserError: when an argument cannot be.
    """
    resolutions = [2**k for k in range(2, full_resolution.bit_length())]
    if not isinstance(resolution, int) or resolution not in resolutions:
        known = ", ".join(map(str, resolutions))
        raise UserError(f"blend.res={resolution}: a {full_resolution} px network can be blended at {known}")
    if level not in (0, 1):
        raise UserError(f"blend.level={level}: choose 0 (first convolution of the block) or 1 (second)")
    if width is not None and (width < 0 or not math.isfinite(width)):
        raise UserError(f"blend.width={width}: give a width above 0 in layer positions, or null for a hard switch")
    middle = 2 * (resolution.bit_length() - 3) + level
    weights = {}
    for position, unit in enumerate(_units(resolutions)):
        x = position - middle
        weights[unit] = _logistic(x / width) if width else float(x > 1)
    return weights


def blend_networks(low: Generator, high: Generator, *, weights: Mapping[str, float]) -> Generator:
    """Mix two generators unit by unit.

    Args:
        low: share 1 - y of each unit, and everything that belongs to no unit.
        high: share y.
        weights: y in [0, 1] of the units named as by `blend_weights`; a unit that is not named stays low.

    Returns:
        A new generator.

    Raises:
        UserError: for networks of different shape, an unknown unit, or a share outside [0, 1].
    """
    _check_shapes(low, high)
    known = _units(low.synthesis.resolutions)
    result = copy.deepcopy(low)
    target, source = dict(result.named_parameters()), dict(high.named_parameters())
    for unit, y in weights.items():
        if unit not in known:
            raise UserError(f"unknown blend unit {unit!r}; units are {', '.join(known)}")
        if not 0 <= y <= 1:
            raise UserError(f"blend unit {unit}: share {y} is not in [0, 1]")
        if y == 0:
            continue
        with torch.no_grad():
            for name in _parameters_of(unit):
                if name not in target:  # only skip networks have a ToRGB in each block
                    continue
                theirs = source[name].to(target[name].device)
                target[name].copy_(theirs if y == 1 else target[name] * (1 - y) + theirs * y)
    return result


def _units(resolutions: list[int]) -> list[str]:
    """Units in the order of their positions."""
    units = ["4/const", "4/torgb"]
    for r in resolutions[1:]:
        units += [f"{r}/conv0", f"{r}/conv1"]
    return units


def _parameters_of(unit: str) -> list[str]:
    resolution, part = unit.split("/")
    block = f"synthesis.b{resolution}"
    if part == "const":
        return [f"{block}.const"]
    names = [] if part == "torgb" else [f"{block}.{part}.{name}" for name in _CONV]
    if part != "conv0":
        names += [f"{block}.torgb.{name}" for name in _TORGB]
    return names


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _check_shapes(low: Generator, high: Generator) -> None:
    ours, theirs = low.synthesis.state_dict(), high.synthesis.state_dict()
    wrong = [
        f"synthesis.{key} is {_shape(ours, key)} and {_shape(theirs, key)}"
        for key in {**ours, **theirs}
        if _shape(ours, key) != _shape(theirs, key)
    ]
    if wrong:
        more = f" and {len(wrong) - MAX_LISTED} more" if len(wrong) > MAX_LISTED else ""
        raise UserError(
            f"networks of {low.resolution} and {high.resolution} px cannot be blended, their tensors differ: "
            f"{'; '.join(wrong[:MAX_LISTED])}{more}"
        )


def _shape(tensors: Mapping[str, Tensor], key: str) -> str:
    return str(list(tensors[key].shape)) if key in tensors else "absent"
