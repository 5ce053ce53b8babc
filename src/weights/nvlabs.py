"""Pickles of stylegan2-ada-pytorch and of the stylegan3 repository that hold StyleGAN2 networks; and their state dicts.

A pickle is a dictionary with G, D, G_ema, augment_pipe, training_set_kwargs. Each module is a call of a function that
would execute the source text stored in the file; here only the module's attributes are taken: parameters, buffers
(frozen layers of the discriminator are buffers), sub-modules, and the plain numbers beside them. Names and layouts are
the ones of this project's networks.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..networks import Conv2dLayer, FullyConnectedLayer, SkipLayer, SynthesisLayer, ToRGBLayer
from .assemble import make_discriminator, make_generator
from .errors import Refused, shown
from .network_file import NetworkFile, Plan
from .standins import StandIn
from .tensors import View, as_tensor

FORMAT = "stylegan2-ada-pytorch"
STATE_DICT_FORMAT = "stylegan2-ada-pytorch state dict"
MAX_DEPTH = 8
_UNSUPPORTED = "are not StyleGAN2's and cannot be represented"
_SHARED = {"c_dim", "img_resolution", "img_channels"}
_WIDTHS = {"channel_base", "channel_max", "num_fp16_res", "conv_clamp", "architecture"}
_MAPPING = {"num_layers", "embed_features", "layer_features", "lr_multiplier", "w_avg_beta"}
#: Keyword arguments that the tensors tell as well, or that are read; by the group that they stand in.
KWARGS: dict[str, dict[str, set[str]]] = {
    "G": {
        "": {*_SHARED, "z_dim", "w_dim", "mapping_kwargs", "synthesis_kwargs"},
        "mapping_kwargs": _MAPPING,
        "synthesis_kwargs": _WIDTHS,
    },
    "D": {
        "": {*_SHARED, *_WIDTHS, "cmap_dim", "block_kwargs", "mapping_kwargs", "epilogue_kwargs"},
        "block_kwargs": {"freeze_layers", "fp16_channels_last"},
        "mapping_kwargs": _MAPPING,
        "epilogue_kwargs": {"mbstd_group_size", "mbstd_num_channels"},
    },
}
#: Keyword arguments that may be there with the only value that is supported.
NEUTRAL = {"activation": "lrelu", "resample_filter": [1, 3, 3, 1], "use_noise": True, "fp16_channels_last": False}


def is_nvlabs(value: Any) -> bool:
    """Whether an unpickled value is such a pickle."""
    return isinstance(value, Mapping) and isinstance(value.get("G_ema"), StandIn)


def is_state_dict(value: Any) -> bool:
    """Whether a value is a dictionary of state dicts with this repository's names."""
    G_ema = value.get("G_ema") if isinstance(value, Mapping) else None
    return isinstance(G_ema, Mapping) and "synthesis.b4.const" in G_ema


def read_nvlabs(value: Mapping[str, Any], origin: NetworkFile) -> Plan:
    """Plan the networks of an unpickled file."""
    parts: dict[str, Any] = {}
    for name in ("G", "G_ema", "D"):
        module = value.get(name)
        if module is None:
            continue
        if not isinstance(module, StandIn):
            raise Refused(f"its {name} is not a network")
        if module.kind != ("Discriminator" if name == "D" else "Generator"):
            raise Refused(f"its {name} is a {module.kind!r}: its layers {_UNSUPPORTED}")
        parts[name] = partial(_discriminator if name == "D" else _generator, module, origin)
    meta: dict[str, Any] = {"format": FORMAT}
    pipe = value.get("augment_pipe")
    buffers = pipe.state.get("_buffers") if isinstance(pipe, StandIn) else None
    p = buffers.get("p") if isinstance(buffers, dict) else None
    if isinstance(p, View) and p.shape == ():  # for information: how far augmentation had gone
        meta["augment_p"] = float(as_tensor(p, "augment_pipe.p"))
    return Plan(parts, meta)


def read_state_dicts(value: Mapping[str, Any], origin: NetworkFile) -> Plan:
    """Plan the networks of a file of state dicts, as `convert TARGET.pt --format ada` writes it.

    What shapes do not tell stands beside the tensors: `G_kwargs` and `D_kwargs`, keyword arguments of the two classes.
    """
    parts: dict[str, Any] = {}
    for name in ("G", "G_ema", "D"):
        if value.get(name) is None:
            continue
        if not isinstance(value[name], Mapping):
            raise Refused(f"its {name} is not a state dict")
        given = _kwargs(value, "D_kwargs" if name == "D" else "G_kwargs")
        parts[name] = partial(_from_state_dict, value[name], given, name, origin)
    return Plan(parts, {"format": STATE_DICT_FORMAT})


def _from_state_dict(state: Mapping[str, Any], given: Mapping[str, Any], name: str, origin: NetworkFile) -> Any:
    tensors = {
        shown(key) if not isinstance(key, str) else key: as_tensor(item, str(key)) for key, item in state.items()
    }
    for group, known in KWARGS["D" if name == "D" else "G"].items():
        values = given if group == "" else _kwargs(given, group)
        for key, value in values.items():
            if key not in known and not (key in NEUTRAL and value == NEUTRAL[key]):
                raise Refused(
                    f"its keyword argument {shown(key)}={shown(value)} is not known, or cannot be represented"
                )
    mapping, synthesis = (_kwargs(given, key) for key in ("mapping_kwargs", "synthesis_kwargs"))
    lr = _number(mapping.get("lr_multiplier", 0.01), "lr_multiplier")
    if name == "D":
        hints: dict[str, Any] = {
            "mbstd_group_size": _group(_kwargs(given, "epilogue_kwargs").get("mbstd_group_size", 4))
        }
        if "mapping.fc0.weight" in tensors:
            hints["mapping_lr_multiplier"] = lr
        return make_discriminator(tensors, origin, conv_clamp=_clamp(given.get("conv_clamp")), **hints)
    clamp = _clamp(synthesis.get("conv_clamp"))
    return make_generator(tensors, origin, conv_clamp=clamp, mapping_lr_multiplier=lr)


def _generator(module: StandIn, origin: NetworkFile) -> Any:
    tensors = module_tensors(module)
    if "synthesis.b4.const" not in tensors:
        raise Refused(f"a StyleGAN3 or other generator: its layers {_UNSUPPORTED}")
    layer = _child(module, "synthesis", "b4", "conv1")
    G = make_generator(
        tensors,
        origin,
        conv_clamp=_clamp(layer.state.get("conv_clamp")),
        mapping_lr_multiplier=_lr_multiplier(module),
    )
    _check_layers(module, G)
    return G


def _discriminator(module: StandIn, origin: NetworkFile) -> Any:
    tensors = module_tensors(module)
    last = _child(module, "b4")
    hints: dict[str, Any] = {}
    if (stddev := _submodules(last).get("mbstd")) is not None:
        hints["mbstd_group_size"] = _group(stddev.state.get("group_size"))
    if "mapping.fc0.weight" in tensors:
        hints["mapping_lr_multiplier"] = _lr_multiplier(module)
    clamp = _clamp(_child(last, "conv").state.get("conv_clamp"))
    D = make_discriminator(tensors, origin, conv_clamp=clamp, **hints)
    _check_layers(module, D)
    return D


def _check_layers(module: StandIn, network: nn.Module) -> None:
    """Compare the plain attributes that act in the original's forward passes with what this project's layers do."""
    theirs = dict(_modules(module))
    for path, layer in network.named_modules():
        part = theirs.get(path)
        if part is None:
            continue
        for key, wanted in _acting(path, layer).items():
            given = part.state.get(key, wanted)
            same = given == wanted if isinstance(wanted, str | bool | None) else _close(given, wanted)
            if not same:
                raise Refused(f"layer {shown(path)} has {key}={shown(given)}; only {shown(wanted)} is supported there")


def _acting(path: str, layer: nn.Module) -> dict[str, Any]:
    """The attributes that the original's module at a place must have to compute what ours does."""
    if isinstance(layer, FullyConnectedLayer):  # ours has the activation's gain in its own
        gain = math.sqrt(2) if layer.activation == "lrelu" else 1.0
        folded = {"weight_gain": layer.weight_gain / gain, "bias_gain": layer.bias_gain / gain}
        return {"activation": layer.activation, **folded}
    if isinstance(layer, Conv2dLayer):
        gains = {"weight_gain": layer.weight_gain, "act_gain": layer.act_gain}
        down = 2 if path.endswith(".skip") else layer.down  # ours is given a picture that is thinned already
        return {"activation": layer.activation, "conv_clamp": layer.conv_clamp, "down": down, **gains}
    if isinstance(layer, SynthesisLayer):
        noisy = {} if not layer.noise_strength else {"use_noise": True}
        return {
            "activation": "lrelu",
            "act_gain": math.sqrt(2),
            "conv_clamp": layer.conv_clamp,
            "up": layer.up,
            **noisy,
        }
    if isinstance(layer, ToRGBLayer):
        return {"conv_clamp": layer.conv_clamp, "weight_gain": layer.weight_gain}
    if isinstance(layer, SkipLayer):
        gains = {"weight_gain": layer.weight_gain, "act_gain": 1.0}
        return {"activation": "linear", "conv_clamp": None, "up": 2, **gains}
    return {}


def _close(given: Any, wanted: float) -> bool:
    return isinstance(given, int | float | np.number) and math.isclose(float(given), wanted, rel_tol=1e-5)


def module_tensors(module: StandIn) -> dict[str, Tensor]:
    """Parameters and persistent buffers of a pickled module by their dotted names."""
    tensors = {}
    for path, part in _modules(module):
        passing = part.state.get("_non_persistent_buffers_set", set())
        for group in ("_parameters", "_buffers"):
            values = part.state.get(group, {})
            if not isinstance(values, Mapping):
                raise Refused("a damaged module")
            for name, value in values.items():
                if isinstance(value, View) and not (group == "_buffers" and _contains(passing, name)):
                    tensors[f"{path}.{name}" if path else str(name)] = as_tensor(value, str(name))
    return tensors


def _modules(module: StandIn, path: str = "", depth: int = 0) -> list[tuple[str, StandIn]]:
    if depth > MAX_DEPTH:
        raise Refused("modules nested without end")
    found = [(path, module)]
    for name, child in _submodules(module).items():
        found += _modules(child, f"{path}.{name}" if path else name, depth + 1)
        if len(found) > 10_000:
            raise Refused("modules without end")
    return found


def _submodules(module: StandIn) -> dict[str, StandIn]:
    children = module.state.get("_modules", {})
    if not isinstance(children, Mapping):
        raise Refused("a damaged module")
    return {str(name): child for name, child in children.items() if isinstance(child, StandIn)}


def _child(module: StandIn, *names: str) -> StandIn:
    for name in names:
        children = _submodules(module)
        if name not in children:
            raise Refused(f"a module without {name}: not a StyleGAN2 network")
        module = children[name]
    return module


def _lr_multiplier(module: StandIn) -> float:
    """The mapping's learning-rate multiplier: it is its layers' bias gain."""
    layers = _submodules(_child(module, "mapping"))
    if "fc0" not in layers:
        return 0.01
    return _number(layers["fc0"].state.get("bias_gain", 0.01), "bias_gain")


def _kwargs(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, Mapping):
        raise Refused(f"its {name} are damaged")
    return value


def _clamp(value: Any) -> float | None:
    return None if value is None else _number(value, "conv_clamp")


def _group(value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise Refused(f"its minibatch stddev has groups of {shown(value)}")
    return value


def _number(value: Any, name: str) -> float:
    if not isinstance(value, int | float | np.number):
        raise Refused(f"its {name} is not a number")
    return float(value)


def _contains(names: Any, name: Any) -> bool:
    return isinstance(names, set | list | tuple) and name in names
