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

import numpy as np
from torch import Tensor

from .assemble import make_discriminator, make_generator
from .plan import NetworkFile, Plan
from .refused import Refused, shown
from .standins import StandIn
from .tensors import Array, as_tensor

FORMAT = "StyleGAN2 on TensorFlow"
MIN_VERSION = 4
MAX_COMPONENTS = 8
FUNCTIONS = {
    "G_main", "G_mapping", "G_synthesis", "G_synthesis_stylegan2", "G_synthesis_stylegan_revised",
    "D_main", "D_stylegan", "D_stylegan2",
}  # fmt: skip
#: Arguments that change the mathematics in ways that these networks do not have, with the only value read.
FIXED: dict[str, Any] = {
    "num_channels": 3,
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "use_wscale": True,
    "use_attention": False,
    "use_spectral_norm": False,
    "use_pagan": False,
    "adaptive_dropout": 0,
    "score_max": 1,
    "resample_kernel": [1, 3, 3, 1],
    "mapping_func": "G_mapping",
    "fmap_const": None,
}
#: Arguments that the tensors tell as well, that are read below, or that matter in training alone.
KNOWN = {
    "architecture", "augment_strength", "components", "conditioning", "conv_clamp", "dlatent_avg_beta",
    "dlatent_broadcast", "dlatent_size", "dtype", "fmap_base", "fmap_decay", "fmap_max", "fmap_min",
    "force_clean_graph", "freeze_layers", "fused_modconv", "is_template_graph", "is_training", "is_validation",
    "label_fmaps", "label_size", "latent_size", "mapping_fmaps", "mapping_layers", "mapping_lrmul",
    "mbstd_group_size", "mbstd_num_features", "min_h", "min_w", "num_fp16_res", "pagan_fade", "pagan_num",
    "randomize_noise", "res_log2", "resolution", "return_dlatents", "score_size", "structure", "style_mixing_prob",
    "synthesis_func", "truncation_cutoff", "truncation_cutoff_val", "truncation_psi", "truncation_psi_val",
    "use_noise", "w_avg_beta",
}  # fmt: skip
MAX_VARIABLES = 5000
_BLOCK = {"Conv0_up": "conv0", "Conv1": "conv1", "Conv": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_D_BLOCK = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip"}
_D_LAST = {"FromRGB": "fromrgb", "Conv": "conv", "Dense0": "fc"}


def is_tensorflow(value: Any) -> bool:
    """Whether an unpickled value is one or more TensorFlow networks."""
    values = value if isinstance(value, tuple | list) else [value]
    return bool(values) and all(isinstance(v, StandIn) and v.kind == "Network" for v in values)


def read_tensorflow(value: Any, origin: NetworkFile) -> Plan:
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
        name: partial(_discriminator if name == "D" else _generator, network, origin)
        for name, network in zip(names, values, strict=True)
    }
    return Plan(parts, {"format": FORMAT, "name": shown(values[-1].state.get("name"))})


def _check(network: StandIn) -> None:
    for part in (network, *_components(network).values()):
        _check_function(part)
        _check_arguments(part)


def _check_function(network: StandIn) -> None:
    version, function = network.state.get("version"), network.state.get("build_func_name")
    if type(version) is not int or version < MIN_VERSION or not isinstance(function, str) or function not in FUNCTIONS:
        by = f"version {shown(version)}, built by {shown(function)}"
        raise Refused(f"a TensorFlow network of {by}: StyleGAN1 and others than StyleGAN2 are not supported")


def _check_arguments(network: StandIn) -> None:
    arguments = _arguments(network)
    for key, given in arguments.items():
        value = _plain(given)
        if key in FIXED and not _equal(value, FIXED[key]):
            raise Refused(f"it was built with {key}={_shown(value)}; only {key}={FIXED[key]} is supported")
        if key not in FIXED and key not in KNOWN:
            raise Refused(f"it was built with {shown(key)}={_shown(value)}, which this version does not know")
    for key in ("min_h", "min_w"):
        if _plain(arguments.get(key, 4)) != 4:
            sides = "x".join(_shown(_plain(arguments.get(side, 4))) for side in ("min_h", "min_w"))
            raise Refused(f"a non-square network, or one that begins at {sides}: only 4x4 is supported")


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
        conv_clamp=_number(network, "conv_clamp", None),
        mapping_lr_multiplier=_number(network, "mapping_lrmul", 0.01),
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
        "conv_clamp": _number(network, "conv_clamp", None),
        "mbstd_group_size": _group_size(network),
    }
    classes = _number(network, "label_size", 0)
    if classes and "mapping.embed.weight" not in tensors:
        hints |= {"c_dim": classes, "label_layout": "matrix"}
    elif classes:
        hints["mapping_lr_multiplier"] = _number(network, "mapping_lrmul", 0.1)
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
    size = _number(network, "mbstd_group_size", default)
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


def _arguments(network: StandIn) -> dict[str, Any]:
    arguments = network.state.get("static_kwargs", {})
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        raise Refused("a TensorFlow network with damaged arguments")
    return arguments


def _number(network: StandIn, name: str, default: float | None) -> float | None:
    """A number among the arguments; None where that was given.

    Raises:
        Refused: for anything else.
    """
    value = _plain(_arguments(network).get(name, default))
    if value is not None and type(value) not in (int, float):
        raise Refused(f"it was built with {name}={_shown(value)}, which is no number")
    return value


def _plain(value: Any) -> Any:
    """Numpy's numbers and arrays as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Array):
        array = value.numpy()
        return array.tolist() if array.size <= 16 else value
    return list(value) if isinstance(value, tuple) else value


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(_equal, value, wanted))
    if type(value) not in (bool, int, float, str, type(None)):
        return False
    return bool(value == wanted)


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) <= 8:
        return f"[{', '.join(shown(v) for v in value)}]"
    return shown(value)
