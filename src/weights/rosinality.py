"""Checkpoints of rosinality/stylegan2-pytorch, in training (g, d, g_ema, optimisers) and converted (g_ema, latent_avg).

Same storage as this project's but other names and leading ones in the shapes. Widths, depth and size are read from the
shapes; blur kernels are left out after a look. A checkpoint in training keeps no average of w: it is estimated.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..networks import Discriminator, Generator
from .assemble import make_discriminator, make_generator
from .errors import Refused, shown
from .native import stored
from .network_file import NetworkFile, Plan
from .standins import StandIn
from .tensors import View, as_tensor

FORMAT = "rosinality"
MBSTD_GROUP = 4
AVERAGES = {"G_ema": "latent_avg", "G": "latent_avg_g"}  # the second is an addition of this project
KERNEL = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64
MAX_LEVELS, MAX_DEPTH = 9, 100  # resolutions above 4 px, layers of the mapping
#: Dimensions of our tensors, and leading ones that theirs have besides, by the last part of our name.
_FORMS = {"noise_strength": (0, 1), "noise_const": (2, 2), "const": (3, 1)}
_SHARED = {"conv.weight": "weight", "conv.modulation.weight": "affine.weight", "conv.modulation.bias": "affine.bias"}
_CONV = _SHARED | {"noise.weight": "noise_strength", "activate.bias": "bias"}
_TORGB = _SHARED | {"bias": "bias"}


def _generator_names() -> dict[str, str]:
    """Their names of a generator's tensors to ours, for networks of every size; a blur kernel has none of ours."""
    names = {f"style.{i + 1}.{part}": f"mapping.fc{i}.{part}" for i in range(MAX_DEPTH) for part in ("weight", "bias")}
    convs, colours = {"conv1": "b4.conv1"}, {"to_rgb1": "b4.torgb"}
    for k in range(MAX_LEVELS):
        convs |= {f"convs.{2 * k + i}": f"b{8 << k}.conv{i}" for i in (0, 1)}
        colours[f"to_rgbs.{k}"] = f"b{8 << k}.torgb"
    for layers, parts in ((convs, _CONV), (colours, _TORGB)):
        for theirs, ours in layers.items():
            names |= {f"{theirs}.{part}": f"synthesis.{ours}.{own}" for part, own in parts.items()}
    names |= {f"noises.noise_{i}": f"synthesis.{ours}.noise_const" for i, ours in enumerate(convs.values())}
    return names | {"input.input": "synthesis.b4.const"}


GENERATOR_NAMES = _generator_names()


def discriminator_names(top: int) -> dict[str, str]:
    """The same of a discriminator whose images have `top` px."""
    layers = {"convs.0": f"b{top}.fromrgb", "final_conv": "b4.conv"}
    names = {
        f"{theirs}.{part}": f"{ours}.{part[2:]}" for theirs, ours in layers.items() for part in ("0.weight", "1.bias")
    }
    for i, ours in enumerate(("fc", "out")):
        names |= {f"final_linear.{i}.{part}": f"b4.{ours}.{part}" for part in ("weight", "bias")}
    for i in range(1, top.bit_length() - 2):
        block = f"b{2 * top >> i}"
        names |= {
            f"convs.{i}.conv1.0.weight": f"{block}.conv0.weight",
            f"convs.{i}.conv1.1.bias": f"{block}.conv0.bias",
        }
        names |= {
            f"convs.{i}.conv2.1.weight": f"{block}.conv1.weight",
            f"convs.{i}.conv2.2.bias": f"{block}.conv1.bias",
        }
        names[f"convs.{i}.skip.1.weight"] = f"{block}.skip.weight"
    return names


def rosinality_state(network: Generator | Discriminator, dtype: torch.dtype) -> dict[str, Tensor]:
    """A network's tensors under their names, in their shapes, with the blur kernels."""
    levels, is_generator = range(network.resolution.bit_length() - 3), isinstance(network, Generator)
    own = network.state_dict()
    names = GENERATOR_NAMES if is_generator else discriminator_names(network.resolution)
    if is_generator:
        kernels = [f"{layer}.kernel" for k in levels for layer in (f"convs.{2 * k}.conv.blur", f"to_rgbs.{k}.upsample")]
    else:
        kernels = [f"convs.{k + 1}.{layer}.0.kernel" for k in levels for layer in ("conv2", "skip")]
    state = {theirs: own[ours] for theirs, ours in names.items() if ours in own}
    if is_generator:
        state = {theirs: _with_ones(value, names[theirs]) for theirs, value in state.items()}
    state |= dict.fromkeys(kernels, KERNEL * (4 if is_generator else 1))
    return {name: stored(value, dtype) for name, value in state.items()}


def _with_ones(value: Tensor, ours: str) -> Tensor:
    """A generator's tensor in their shape."""
    if ours.endswith("torgb.bias"):
        return value.reshape(1, -1, 1, 1)
    ones = _FORMS.get(ours.rpartition(".")[2], (0, int(value.ndim == 4)))[1]
    return value.reshape(*[1] * ones, *value.shape)


def is_rosinality(value: Any) -> bool:
    """Whether an unpickled value is such a checkpoint (or its generator's bare state dict)."""
    if not isinstance(value, Mapping):
        return False
    g_ema = value.get("g_ema", value)
    return isinstance(g_ema, Mapping) and any(str(key).endswith("conv1.conv.weight") for key in g_ema)


def read_rosinality(value: Mapping[str, Any], origin: NetworkFile) -> Plan:
    """Plan the networks of an unpickled checkpoint.

    G's average of w is G_ema's where the file has none.
    """
    meta: dict[str, Any] = {"format": FORMAT}
    bare = "g_ema" not in value
    averages = {part: value[key] for part, key in AVERAGES.items() if value.get(key) is not None}
    states = {"G_ema": value if bare else value["g_ema"], "G": None if bare else value.get("g")}
    parts: dict[str, Any] = {
        name: partial(_generator, state, origin, averages, name) for name, state in states.items() if state is not None
    }
    if not bare and value.get("d") is not None:
        parts["D"] = partial(_discriminator, value["d"], origin)
    options = value.get("args")
    if isinstance(options, StandIn) and isinstance(step := options.state.get("start_iter"), int):
        meta["iterations"] = step
    return Plan(parts, meta)


def _discriminator(state: Any, origin: NetworkFile) -> Any:
    return make_discriminator(_renamed(state, discriminator_names), origin, mbstd_group_size=MBSTD_GROUP)


def _generator(state: Any, origin: NetworkFile, averages: dict[str, Any], part: str) -> Any:
    tensors = _renamed(state, lambda _: GENERATOR_NAMES)
    for key, value in tensors.items():
        if key.endswith("torgb.bias"):
            tensors[key] = value.reshape(-1)
        elif (form := _FORMS.get(key.rpartition(".")[2])) is not None or value.ndim == 5:
            tensors[key] = _shaped(value, key, 4 if form is None else form[0])
    average = averages.get(part, averages.get("G_ema"))
    if average is not None:
        tensors["mapping.w_avg"] = _shaped(as_tensor(average, "latent_avg"), "latent_avg", 1)
        return make_generator(tensors, origin)
    G = make_generator(tensors, origin)  # without an average of w it makes its own estimate
    averages[part] = G.mapping.w_avg
    return G


def _renamed(state: Any, names_of: Callable[[int], Mapping[str, str]]) -> dict[str, Tensor]:
    """A state dict's tensors under our names, or their own where they are unknown; the blur kernels are checked."""
    if not isinstance(state, Mapping):
        raise Refused("a network that is not a state dict")
    given = {str(key).removeprefix("module."): value for key, value in state.items() if isinstance(value, View)}
    blocks = {m[1] for name in given if (m := re.match(r"convs\.(\d{1,2})\.conv1\.", name))}
    names, tensors = names_of(4 << len(blocks)), {}
    for name, value in given.items():
        if name.endswith(".kernel"):
            _check_kernel(name, as_tensor(value, name))
        else:
            tensors[names.get(name, name)] = as_tensor(value, name)
    return tensors


def _check_kernel(name: str, kernel: Tensor) -> None:
    """Blur kernels are the usual one, times 4 in a generator, where they follow upsampling."""
    gain = 4 if name.endswith(("blur.kernel", "upsample.kernel")) else 1
    if kernel.shape != (4, 4) or not torch.allclose(kernel.float(), KERNEL * gain, atol=1e-4):
        raise Refused(f"the blur kernel {shown(name)} is another than [1, 3, 3, 1] with gain {gain}")


def _shaped(value: Tensor, key: str, ndim: int) -> Tensor:
    """Drop leading ones down to `ndim` dimensions."""
    while value.ndim > ndim and value.shape[0] == 1:
        value = value[0]
    if value.ndim != ndim:
        raise Refused(f"{key} has the shape {list(value.shape)}")
    return value
