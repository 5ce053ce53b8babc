"""Pickles of StyleGAN2 and StyleGAN2-ADA on TensorFlow (and of forks that keep their layout): G, D and G_ema.

A file is the tuple (G, D, Gs) of `dnnlib.tflib.network.Network`; each has its build function's name, the arguments that
were passed explicitly, its own variables, and components (`mapping`, `synthesis`) of the same kind. Convolutions are
[kh, kw, in, out], dense layers [in, out]; modulation biases lack the 1 that is added when they are used; upsampling
convolutions are stored mirrored.
"""

import math
import re
from functools import partial
from typing import Any

from torch import Tensor

from .assemble import make_discriminator, make_generator
from .errors import Refused, shown
from .network_file import NetworkFile, Plan
from .standins import StandIn
from .tensorflow_arguments import check_arguments, check_function, number_of
from .tensors import as_tensor

FORMAT = "StyleGAN2 on TensorFlow"
MAX_VARIABLES = 5000
MAX_COMPONENTS = 8
_BLOCK = {"Conv0_up": "conv0", "Conv1": "conv1", "Conv": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_D_BLOCK = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip"}
_D_LAST = {"FromRGB": "fromrgb", "Conv": "conv", "Dense0": "fc"}


def is_tensorflow(value: Any) -> bool:
    """Whether an unpickled value is one or more TensorFlow networks."""
    values = value if isinstance(value, tuple | list) else [value]
    return bool(values) and all(isinstance(v, StandIn) and v.kind == "Network" for v in values)


def read_tensorflow(value: Any, origin: NetworkFile) -> Plan:
    """Plan the networks of an unpickled TensorFlow file."""
    values = list(value) if isinstance(value, tuple | list) else [value]
    if len(values) not in (1, 3):
        raise Refused(f"a TensorFlow pickle of {len(values)} networks, expected (G, D, Gs)")
    names = ("G", "D", "G_ema") if len(values) == 3 else ("G_ema",)
    for network in values:
        _check(network)
    parts = {
        name: partial(_discriminator if name == "D" else _generator, network, origin)
        for name, network in zip(names, values, strict=True)
    }
    return Plan(parts, {"format": FORMAT, "name": shown(values[-1].state.get("name"))})


def _check(network: StandIn) -> None:
    for part in (network, *_components(network).values()):
        check_function(part)
        check_arguments(part)


def _generator(network: StandIn, origin: NetworkFile) -> Any:
    variables = _variables(network)
    _check_lod(variables)
    top = _top(variables, "synthesis/")
    tensors: dict[str, Tensor] = {}
    for name, value in variables.items():
        key = _generator_key(name, top)
        if key is None:
            continue
        tensor = as_tensor(value, name)
        if key.endswith(".const") or key.endswith("noise_const"):
            tensor = _without_ones(tensor, 3 if key.endswith(".const") else 2)
        elif key.endswith("weight"):
            tensor = _weight(tensor, mirrored=".conv0." in key or ".skip." in key)
        elif key.endswith("affine.bias"):
            tensor = tensor + 1
        tensors[key] = tensor
    matrix = "mapping/LabelConcat/weight" in variables
    return make_generator(
        tensors,
        origin,
        conv_clamp=number_of(network, "conv_clamp", None),
        mapping_lr_multiplier=number_of(network, "mapping_lrmul", 0.01),
        label_layout="matrix" if matrix else "embed",
    )


def _generator_key(name: str, top: int) -> str | None:
    """This project's name of a generator's variable; None for one without use, the name itself when it is unknown."""
    if name in ("lod", "synthesis/lod"):
        return None
    if name == "dlatent_avg":
        return "mapping.w_avg"
    if match := re.fullmatch(r"mapping/Dense(\d{1,5})/(weight|bias)", name):
        return f"mapping.fc{match[1]}.{match[2]}"
    if match := re.fullmatch(r"mapping/Label(?:Embed|Concat)/(weight|bias)", name):
        return f"mapping.embed.{match[1]}"
    if match := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
        index = int(match[1])
        return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{1 - index % 2}.noise_const"
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const"
    if match := re.fullmatch(
        r"synthesis/ToRGB_lod(\d{1,3})/(\w+)", name
    ):  # configs A to D: the top one makes the image
        return f"synthesis.b{top}.torgb.{_part(match[2])}" if match[1] == "0" else None
    match = re.fullmatch(r"synthesis/(\d{1,5})x\1/(\w+)/(\w+)", name)
    if match and match[2] in _BLOCK:
        return f"synthesis.b{match[1]}.{_BLOCK[match[2]]}.{_part(match[3])}"
    return name


def _discriminator(network: StandIn, origin: NetworkFile) -> Any:
    variables = _variables(network)
    _check_lod(variables)
    top = _top(variables, "")
    tensors: dict[str, Tensor] = {}
    for name, value in variables.items():
        key = _discriminator_key(name, top)
        if key is not None:
            tensor = as_tensor(value, name)
            tensors[key] = _weight(tensor) if key.endswith("weight") else tensor
    hints: dict[str, Any] = {
        "conv_clamp": number_of(network, "conv_clamp", None),
        "mbstd_group_size": _group_size(network),
    }
    classes = number_of(network, "label_size", 0)
    if classes and "mapping.embed.weight" not in tensors:
        hints |= {"c_dim": classes, "label_layout": "matrix"}
    elif classes:
        hints["mapping_lr_multiplier"] = number_of(network, "mapping_lrmul", 0.1)
    return make_discriminator(tensors, origin, **hints)


def _discriminator_key(name: str, top: int) -> str | None:
    if name == "lod":
        return None
    if match := re.fullmatch(r"Output/(weight|bias)", name):
        return f"b4.out.{match[1]}"
    if match := re.fullmatch(r"LabelEmbed/(weight|bias)", name):
        return f"mapping.embed.{match[1]}"
    if match := re.fullmatch(r"Mapping(\d{1,5})/(weight|bias)", name):
        return f"mapping.fc{match[1]}.{match[2]}"
    if match := re.fullmatch(r"FromRGB_lod(\d{1,3})/(weight|bias)", name):
        return f"b{top}.fromrgb.{match[2]}" if match[1] == "0" else None
    if match := re.fullmatch(r"(\d{1,5})x\1/(\w+)/(weight|bias)", name):
        layers = _D_LAST if match[1] == "4" else _D_BLOCK
        if match[2] in layers:
            return f"b{match[1]}.{layers[match[2]]}.{match[3]}"
    return name


def _part(name: str) -> str:
    return {"mod_weight": "affine.weight", "mod_bias": "affine.bias"}.get(name, name)


def _group_size(network: StandIn) -> int | None:
    """Minibatch-stddev group: 4 in StyleGAN2, the whole batch in StyleGAN2-ADA, unless it was given."""
    default = None if network.state.get("build_func_name") == "D_main" else 4
    size = number_of(network, "mbstd_group_size", default)
    return None if size is None or size == 0 else int(size)


def _check_lod(variables: dict[str, Any]) -> None:
    for name in ("lod", "synthesis/lod"):
        if name in variables and bool((as_tensor(variables[name], name) != 0).any()):
            raise Refused("a network saved in the middle of progressive growing (lod is not 0)")


def _weight(tensor: Tensor, *, mirrored: bool = False) -> Tensor:
    if tensor.ndim == 2:
        return tensor.t()
    if tensor.ndim != 4:
        raise Refused(f"a weight of {tensor.ndim} dimensions")
    tensor = tensor.permute(3, 2, 0, 1)
    return tensor.flip([2, 3]) if mirrored else tensor


def _without_ones(tensor: Tensor, ndim: int) -> Tensor:
    if tensor.ndim != 4 or math.prod(tensor.shape[: 4 - ndim]) != 1:
        raise Refused(f"a constant of shape {list(tensor.shape)}")
    return tensor.reshape(tensor.shape[4 - ndim :])


def _top(variables: dict[str, Any], prefix: str) -> int:
    found = [int(m[1]) for name in variables if (m := re.match(rf"{prefix}(\d{{1,5}})x\1/", name))]
    rectangles = sorted({m[1] for name in variables if (m := re.match(rf"{prefix}(\d{{1,5}}x\d{{1,5}})/", name))})
    if any(len(set(size.split("x"))) > 1 for size in rectangles):
        raise Refused(f"a non-square network (layers of {', '.join(rectangles[:3])}): only square ones are supported")
    return max(found, default=0)


def _variables(network: StandIn) -> dict[str, Any]:
    """All variables of a network and its components, `component/name`; real files nest one level."""
    variables = _own_variables(network)
    for name, component in _components(network).items():
        variables |= {f"{name}/{key}": value for key, value in _own_variables(component).items()}
        if _components(component):
            raise Refused("a TensorFlow network with components in components")
    if len(variables) > MAX_VARIABLES:
        raise Refused(f"a TensorFlow network of {len(variables)} variables")
    return variables


def _own_variables(network: StandIn) -> dict[str, Any]:
    own = network.state.get("variables")
    if not isinstance(own, list) or len(own) > MAX_VARIABLES:
        raise Refused("a TensorFlow network without variables")
    variables: dict[str, Any] = {}
    for item in own:
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], str):
            raise Refused("a TensorFlow network with damaged variables")
        variables[item[0]] = item[1]
    return variables


def _components(network: StandIn) -> dict[str, StandIn]:
    components = network.state.get("components", {})
    if not isinstance(components, dict) or len(components) > MAX_COMPONENTS:
        raise Refused("a TensorFlow network with damaged components")
    for name, component in components.items():
        if not isinstance(name, str) or not isinstance(component, StandIn) or component is network:
            raise Refused("a TensorFlow network with damaged components")
    return components
