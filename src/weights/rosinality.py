"""Checkpoints of rosinality/stylegan2-pytorch, in training (g, d, g_ema, optimisers) and converted (g_ema, latent_avg).

Same storage as this project's but other names and leading ones in the shapes. Widths, depth and size are read from the
shapes; blur kernels are left out after a look. A checkpoint in training keeps no average of w: it is estimated.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .assemble import make_discriminator, make_generator
from .errors import Refused, shown
from .network_file import NetworkFile, Plan
from .standins import StandIn
from .tensors import View, as_tensor

FORMAT = "rosinality"
MBSTD_GROUP = 4
AVERAGES = {"G_ema": "latent_avg", "G": "latent_avg_g"}  # the second is an addition of this project
KERNEL = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


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


def generator_key(name: str) -> str | None:
    """This project's name of a generator's tensor; None for blur kernels; the name itself when it is unknown."""
    if name.endswith(".kernel"):
        return None
    if match := re.fullmatch(r"style\.(\d{1,3})\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"
    if name == "input.input":
        return "synthesis.b4.const"
    if match := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        return f"{_conv(int(match[1]) - 1)}.noise_const"
    layer, part = "", ""
    if match := re.fullmatch(r"conv1\.(.+)", name):
        layer, part = _conv(-1), match[1]
    elif match := re.fullmatch(r"convs\.(\d{1,2})\.(.+)", name):
        layer, part = _conv(int(match[1])), match[2]
    elif match := re.fullmatch(r"to_rgb1\.(.+)", name):
        layer, part = "synthesis.b4.torgb", match[1]
    elif match := re.fullmatch(r"to_rgbs\.(\d{1,2})\.(.+)", name):
        layer, part = f"synthesis.b{8 << int(match[1])}.torgb", match[2]
    ours = _PARTS.get(part)
    return f"{layer}.{ours}" if layer and ours else name


_PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}


def _conv(index: int) -> str:
    """The layer of `convs.<index>`; -1 for `conv1`."""
    return "synthesis.b4.conv1" if index < 0 else f"synthesis.b{8 << index // 2}.conv{index % 2}"


def discriminator_key(name: str, top: int) -> str | None:
    """The same for a discriminator whose images have `top` px."""
    if name.endswith(".kernel"):
        return None
    if match := re.fullmatch(r"convs\.0\.(0\.weight|1\.bias)", name):
        return f"b{top}.fromrgb.{match[1].partition('.')[2]}"
    if match := re.fullmatch(r"convs\.(\d{1,2})\.(conv1|conv2|skip)\.\d\.(weight|bias)", name):
        layer = {"conv1": "conv0", "conv2": "conv1", "skip": "skip"}[match[2]]
        return f"b{(2 * top) >> int(match[1])}.{layer}.{match[3]}"
    if match := re.fullmatch(r"final_conv\.\d\.(weight|bias)", name):
        return f"b4.conv.{match[1]}"
    if match := re.fullmatch(r"final_linear\.([01])\.(weight|bias)", name):
        return f"b4.{'out' if match[1] == '1' else 'fc'}.{match[2]}"
    return name


def _discriminator(state: Any, origin: NetworkFile) -> Any:
    return make_discriminator(_renamed(state, discriminator_key), origin, mbstd_group_size=MBSTD_GROUP)


def _generator(state: Any, origin: NetworkFile, averages: dict[str, Any], part: str) -> Any:
    tensors = _renamed(state, lambda name, _: generator_key(name))
    for key, value in list(tensors.items()):
        if key.endswith("noise_strength"):
            tensors[key] = _shaped(value, key, 0)
        elif key.endswith("noise_const"):
            tensors[key] = _shaped(value, key, 2)
        elif key.endswith(".const"):
            tensors[key] = _shaped(value, key, 3)
        elif key.endswith(".weight") and value.ndim == 5:
            tensors[key] = _shaped(value, key, 4)
        elif key.endswith("torgb.bias"):
            tensors[key] = _shaped(value, key, 1) if value.ndim <= 1 else value.reshape(-1)
    average = averages.get(part, averages.get("G_ema"))
    if average is not None:
        tensors["mapping.w_avg"] = _shaped(as_tensor(average, "latent_avg"), "latent_avg", 1)
        return make_generator(tensors, origin)
    G = make_generator(tensors, origin)  # without an average of w it makes its own estimate
    averages[part] = G.mapping.w_avg
    return G


def _renamed(state: Any, rename: Any) -> dict[str, Tensor]:
    if not isinstance(state, Mapping):
        raise Refused("a network that is not a state dict")
    names = [str(key).removeprefix("module.") for key in state]
    blocks = sorted({int(m[1]) for name in names if (m := re.match(r"convs\.(\d{1,2})\.conv1\.", name))})
    top = 4 << len(blocks)
    tensors = {}
    for name, value in zip(names, state.values(), strict=True):
        key = rename(name, top)
        if isinstance(value, View) and key is not None:
            tensors[key] = as_tensor(value, name)
        elif isinstance(value, View):
            _check_kernel(name, as_tensor(value, name))
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
