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
from .plan import Plan
from .refused import Refused
from .standins import StandIn
from .tensors import as_tensor

FORMAT = "StyleGAN2 on TensorFlow"
MIN_VERSION = 4
MAX_DEPTH = 4
#: Arguments that change the mathematics in ways that these networks do not have, with the only value read.
FIXED = {
    "num_channels": 3,
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "use_wscale": True,
    "use_attention": False,
    "use_spectral_norm": False,
    "use_pagan": False,
    "resample_kernel": [1, 3, 3, 1],
}
_BLOCK = {"Conv0_up": "conv0", "Conv1": "conv1", "Conv": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_D_BLOCK = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip"}
_D_LAST = {"FromRGB": "fromrgb", "Conv": "conv", "Dense0": "fc"}


def is_tensorflow(value: Any) -> bool:
    """Whether an unpickled value is one or more TensorFlow networks."""
    values = value if isinstance(value, tuple | list) else [value]
    return bool(values) and all(isinstance(v, StandIn) and v.kind == "Network" for v in values)


def read_tensorflow(value: Any, source: str) -> Plan:
    """Plan the networks of an unpickled TensorFlow file.

    Raises:
        Refused: for StyleGAN1 and what else cannot be represented.
    """
    values = list(value) if isinstance(value, tuple | list) else [value]
    if len(values) not in (1, 3):
        raise Refused(f"a TensorFlow pickle of {len(values)} networks, expected (G, D, Gs)")
    names = ("G", "D", "G_ema") if len(values) == 3 else ("G_ema",)
    for network in values:
        _check(network)
    parts = {
        name: partial(_discriminator if name == "D" else _generator, network, source)
        for name, network in zip(names, values, strict=True)
    }
    return Plan(parts, {"format": FORMAT, "name": str(values[-1].state.get("name"))})


def _check(network: StandIn) -> None:
    version, function = network.state.get("version"), str(network.state.get("build_func_name"))
    if not isinstance(version, int) or version < MIN_VERSION or function in ("G_style", "D_basic"):
        raise Refused(f"a TensorFlow network of version {version} ({function}): StyleGAN1 and older are not supported")
    arguments = _arguments(network)
    for key, wanted in FIXED.items():
        given = arguments.get(key)
        if given is not None and given != wanted and list(_sequence(given)) != wanted:
            raise Refused(f"it was built with {key}={_short(given)}; only {key}={wanted} is supported")
    if (arguments.get("min_h"), arguments.get("min_w")) not in ((None, None), (4, 4)):
        size = f"{_short(arguments.get('min_h'))}x{_short(arguments.get('min_w'))}"
        raise Refused(f"a non-square network that begins at {size}: only 4x4 is supported")


def _generator(network: StandIn, source: str) -> Any:
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
        source,
        conv_clamp=_argument(network, "conv_clamp", None),
        mapping_lr_multiplier=float(_argument(network, "mapping_lrmul", 0.01)),
        label_layout="matrix" if matrix else "embed",
    )


def _generator_key(name: str, top: int) -> str | None:
    """This project's name of a generator's variable; None for one without use, the name itself when it is unknown."""
    if name in ("lod", "synthesis/lod"):
        return None
    if name == "dlatent_avg":
        return "mapping.w_avg"
    if match := re.fullmatch(r"mapping/Dense(\d+)/(weight|bias)", name):
        return f"mapping.fc{match[1]}.{match[2]}"
    if match := re.fullmatch(r"mapping/Label(?:Embed|Concat)/(weight|bias)", name):
        return f"mapping.embed.{match[1]}"
    if match := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
        index = int(match[1])
        return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{1 - index % 2}.noise_const"
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const"
    if match := re.fullmatch(r"synthesis/ToRGB_lod(\d+)/(\w+)", name):  # configs A to D: the top one makes the image
        return f"synthesis.b{top}.torgb.{_part(match[2])}" if match[1] == "0" else None
    match = re.fullmatch(r"synthesis/(\d+)x\1/(\w+)/(\w+)", name)
    if match and match[2] in _BLOCK:
        return f"synthesis.b{match[1]}.{_BLOCK[match[2]]}.{_part(match[3])}"
    return name


def _discriminator(network: StandIn, source: str) -> Any:
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
        "conv_clamp": _argument(network, "conv_clamp", None),
        "mbstd_group_size": _group_size(network),
    }
    classes = _argument(network, "label_size", 0)
    if classes and "mapping.embed.weight" not in tensors:
        hints |= {"c_dim": classes, "label_layout": "matrix"}
    elif classes:
        hints["mapping_lr_multiplier"] = float(_argument(network, "mapping_lrmul", 0.1))
    return make_discriminator(tensors, source, **hints)


def _discriminator_key(name: str, top: int) -> str | None:
    if name == "lod":
        return None
    if match := re.fullmatch(r"Output/(weight|bias)", name):
        return f"b4.out.{match[1]}"
    if match := re.fullmatch(r"LabelEmbed/(weight|bias)", name):
        return f"mapping.embed.{match[1]}"
    if match := re.fullmatch(r"Mapping(\d+)/(weight|bias)", name):
        return f"mapping.fc{match[1]}.{match[2]}"
    if match := re.fullmatch(r"FromRGB_lod(\d+)/(weight|bias)", name):
        return f"b{top}.fromrgb.{match[2]}" if match[1] == "0" else None
    if match := re.fullmatch(r"(\d+)x\1/(\w+)/(weight|bias)", name):
        layers = _D_LAST if match[1] == "4" else _D_BLOCK
        if match[2] in layers:
            return f"b{match[1]}.{layers[match[2]]}.{match[3]}"
    return name


def _part(name: str) -> str:
    return {"mod_weight": "affine.weight", "mod_bias": "affine.bias"}.get(name, name)


def _group_size(network: StandIn) -> int | None:
    """Minibatch-stddev group: 4 in StyleGAN2, the whole batch in StyleGAN2-ADA, unless it was given."""
    default = None if network.state.get("build_func_name") == "D_main" else 4
    size = _argument(network, "mbstd_group_size", default)
    if size is not None and (not isinstance(size, int) or size < 0):
        raise Refused(f"mbstd_group_size={_short(size)}")
    return size or None


def _check_lod(variables: dict[str, Any]) -> None:
    for name in ("lod", "synthesis/lod"):
        if name in variables and float(as_tensor(variables[name], name)) != 0:
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
    rectangles = sorted({m[1] for name in variables if (m := re.match(rf"{prefix}(\d+x\d+)/", name))})
    if any(len(set(size.split("x"))) > 1 for size in rectangles):
        raise Refused(f"a non-square network (layers of {', '.join(rectangles[:3])}): only square ones are supported")
    return max(found, default=0)


def _variables(network: StandIn, depth: int = 0) -> dict[str, Any]:
    """All variables of a network and its components, `component/name`."""
    state = network.state
    own, components = state.get("variables"), state.get("components", {})
    if not isinstance(own, list) or not isinstance(components, dict) or depth > MAX_DEPTH:
        raise Refused("a TensorFlow network without variables")
    variables: dict[str, Any] = {}
    for item in own:
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], str):
            raise Refused("a TensorFlow network with damaged variables")
        variables[item[0]] = item[1]
    for name, component in components.items():
        if not isinstance(component, StandIn):
            raise Refused("a TensorFlow network with damaged components")
        variables |= {f"{name}/{key}": value for key, value in _variables(component, depth + 1).items()}
    return variables


def _arguments(network: StandIn) -> dict[str, Any]:
    arguments = network.state.get("static_kwargs", {})
    if not isinstance(arguments, dict):
        raise Refused("a TensorFlow network without arguments")
    return arguments


def _argument(network: StandIn, name: str, default: Any) -> Any:
    value = _arguments(network).get(name, default)
    return value if isinstance(value, int | float) or value is None else default


def _sequence(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value):
        return str(list(value))[:40]
    return ascii(value)[:40] if isinstance(value, int | float | str) or value is None else type(value).__name__
