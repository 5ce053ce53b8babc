"""Blending generators of one family by swapping layers at a resolution (arXiv 2010.05334), exactly as
blend_models.py of justinpinkney/stylegan2 does it.

Units have positions: 4x4 const 0, 4x4 ToRGB 1; then each resolution r = 2^k·4 has conv0 at 2k and conv1 with ToRGB at
2k + 1. A blend at (resolution, level) has its middle at that resolution's conv0 (level 0) or conv1 (level 1).

* hard: the high network is used where position - middle > 1. So "resolution 32, level 0" keeps 4 … 32 of the low
  network and takes 64 and up from the high one, and the full resolution gives the low network unchanged.
* smooth: the high network's share is 1 / (1 + exp(-(position - middle) / width)), one half at the named unit itself.

Always from the low network: the mapping (unless the richer forms are asked otherwise), w_avg, the noise maps, 4x4
conv1, and a resnet generator's skip convolutions.

Read the hard rule as "low up to and including r": level 0 changes networks between the blocks r and 2r, level 1 half a
block later, after 2r's conv0. There is no resolution that gives the high network alone.
"""

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import UserError
from .generator import Generator

MAX_LISTED = 4  # differing tensors named in an error
SUM_TOLERANCE = 1e-6  # of shares, around 1
#: What of a generator's configuration describes its mapping.
MAPPING_CONFIG = (
    "z_dim",
    "c_dim",
    "num_mapping_layers",
    "mapping_features",
    "mapping_lr_multiplier",
    "embed_features",
    "label_layout",
)
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
    return mix_networks([low, high], {unit: (1 - y, y) for unit, y in weights.items()})


def blend_weights(
    full_resolution: int, resolution: int, *, level: int = 0, width: float | None = None
) -> dict[str, float]:
    """Share of the high network in each unit, 0 to 1.

    Args:
        full_resolution: of the generators.
        resolution: of the switch, a power of two from 4 to `full_resolution`.
        level: 0 switches at the resolution's first convolution, 1 at its second.
        width: of a logistic mix in positions; None or 0 for a hard switch.

    Returns:
        `{"4/const": y, "4/torgb": y, "8/conv0": y, "8/conv1": y, …}`; conv1's share is its block's ToRGB's too.

    Raises:
        UserError: when an argument cannot be.
    """
    resolutions = [2**k for k in range(2, full_resolution.bit_length())]
    if not isinstance(resolution, int) or resolution not in resolutions:
        known = ", ".join(map(str, resolutions))
        raise UserError(f"resolution={resolution}: a {full_resolution} px network can be blended at {known}")
    if level not in (0, 1):
        raise UserError(f"level={level}: choose 0 (first convolution of the block) or 1 (second)")
    if width is not None and (width < 0 or not math.isfinite(width)):
        raise UserError(f"width={width}: give a width above 0 in layer positions, or none for a hard switch")
    middle = 2 * (resolution.bit_length() - 3) + level
    weights = {}
    for position, unit in enumerate(_units(resolutions)):
        x = position - middle
        weights[unit] = _logistic(x / width) if width else float(x > 1)
    return weights


def mix_networks(
    networks: Sequence[Generator], shares: Mapping[str, Sequence[float]], *, mapping: int = 0
) -> Generator:
    """Mix any number of generators unit by unit.

    Args:
        networks: at least one; the first gives all that belongs to no unit, and units that are not named.
        shares: of each network in the units named as by `blend_weights`, each in [0, 1], together 1.
        mapping: index of the network whose mapping (with its w_avg) the result has.

    Returns:
        A new generator.

    Raises:
        UserError: for networks of different shape, an unknown unit, shares that are not one a network or do not add up.
    """
    if not networks or not 0 <= mapping < len(networks):
        raise UserError(f"mapping={mapping}: there are {len(networks)} networks, counted from 0")
    first = networks[0]
    for other in networks[1:]:
        _check_shapes(first, other)
    result = copy.deepcopy(first)
    sources = [dict(network.named_parameters()) for network in networks]
    target = dict(result.named_parameters())
    known = _units(first.synthesis.resolutions)
    for unit, ys in shares.items():
        if unit not in known:
            raise UserError(f"unknown blend unit {unit!r}; units are {', '.join(known)}")
        if len(ys) != len(networks) or not all(0 <= y <= 1 for y in ys) or abs(sum(ys) - 1) > SUM_TOLERANCE:
            raise UserError(
                f"blend unit {unit}: give {len(networks)} shares in [0, 1] that add up to 1, not {list(ys)}"
            )
        for name in _parameters_of(unit):
            if name in target and ys[0] < 1:  # only skip networks have a ToRGB in each block
                _mix(target[name], [source[name] for source in sources], ys)
    if mapping != 0:
        _take_mapping(result, networks[mapping])
    return result


@torch.no_grad()
def _mix(target: Tensor, tensors: Sequence[Tensor], ys: Sequence[float]) -> None:
    """Write the mean of tensors with the given shares; a share of 1 copies bit for bit."""
    taken = [(tensor.to(target.device), y) for tensor, y in zip(tensors, ys, strict=True) if y > 0]
    if len(taken) == 1:
        target.copy_(taken[0][0])
        return
    total = taken[0][0] * taken[0][1]
    for tensor, y in taken[1:]:
        total = total + tensor * y
    target.copy_(total)


def _take_mapping(result: Generator, source: Generator) -> None:
    result.mapping = copy.deepcopy(source.mapping).to(result.mapping.w_avg.device)
    result.z_dim, result.c_dim = source.z_dim, source.c_dim
    result.config = {**result.config, **{key: source.config[key] for key in MAPPING_CONFIG}}


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
