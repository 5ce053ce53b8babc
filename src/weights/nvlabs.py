"""Pickles of stylegan2-ada-pytorch and of the stylegan3 repository that hold StyleGAN2 networks; and their state dicts.

A pickle is a dictionary with G, D, G_ema, augment_pipe, training_set_kwargs. Each module is a call of a function that
would execute the source text stored in the file; here only the module's attributes are taken: parameters, buffers
(frozen layers of the discriminator are buffers), sub-modules, and the plain numbers beside them. Names and layouts are
the ones of this project's networks.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from .assemble import make_discriminator, make_generator
from .plan import Plan
from .refused import Refused
from .standins import StandIn
from .tensors import View, as_tensor

FORMAT = "stylegan2-ada-pytorch"
STATE_DICT_FORMAT = "stylegan2-ada-pytorch state dict"
MAX_DEPTH = 8
_UNSUPPORTED = "are not StyleGAN2's and cannot be represented"


def is_nvlabs(value: Any) -> bool:
    """Whether an unpickled value is such a pickle."""
    return isinstance(value, Mapping) and isinstance(value.get("G_ema"), StandIn)


def is_state_dict(value: Any) -> bool:
    """Whether a value is a dictionary of state dicts with this repository's names."""
    G_ema = value.get("G_ema") if isinstance(value, Mapping) else None
    return isinstance(G_ema, Mapping) and "synthesis.b4.const" in G_ema


def read_nvlabs(value: Mapping[str, Any], source: str) -> Plan:
    """Plan the networks of an unpickled file.

    Raises:
        Refused: for other classes than the two of StyleGAN2.
    """
    parts: dict[str, Any] = {}
    for name in ("G", "G_ema", "D"):
        module = value.get(name)
        if module is None:
            continue
        if not isinstance(module, StandIn):
            raise Refused(f"its {name} is not a network")
        if module.kind != ("Discriminator" if name == "D" else "Generator"):
            raise Refused(f"its {name} is a {module.kind[:40]!r}: its layers {_UNSUPPORTED}")
        parts[name] = partial(_discriminator if name == "D" else _generator, module, source)
    meta: dict[str, Any] = {"format": FORMAT}
    pipe = value.get("augment_pipe")
    if isinstance(pipe, StandIn) and isinstance(buffers := pipe.state.get("_buffers"), dict) and "p" in buffers:
        p = as_tensor(buffers["p"], "augment_pipe.p")
        if p.numel() == 1:
            meta["augment_p"] = float(p)
    return Plan(parts, meta)


def read_state_dicts(value: Mapping[str, Any], source: str) -> Plan:
    """Plan the networks of a file of state dicts, as `convert TARGET.pt --format ada` writes it.

    What shapes do not tell stands beside the tensors: `G_kwargs` and `D_kwargs`, keyword arguments of the two classes.

    Raises:
        Refused: when keyword arguments or tensors are not of such networks.
    """
    parts: dict[str, Any] = {}
    for name in ("G", "G_ema", "D"):
        if value.get(name) is None:
            continue
        if not isinstance(value[name], Mapping):
            raise Refused(f"its {name} is not a state dict")
        given = _kwargs(value, "D_kwargs" if name == "D" else "G_kwargs")
        parts[name] = partial(_from_state_dict, value[name], given, name, source)
    return Plan(parts, {"format": STATE_DICT_FORMAT})


def _from_state_dict(state: Mapping[str, Any], given: Mapping[str, Any], name: str, source: str) -> Any:
    tensors = {str(key): as_tensor(item, str(key)) for key, item in state.items()}
    mapping, synthesis = (_kwargs(given, key) for key in ("mapping_kwargs", "synthesis_kwargs"))
    lr = _number(mapping.get("lr_multiplier", 0.01), "lr_multiplier")
    if name == "D":
        group = _kwargs(given, "epilogue_kwargs").get("mbstd_group_size", 4)
        hints: dict[str, Any] = {"mbstd_group_size": None if group is None else int(_number(group, "mbstd_group_size"))}
        if "mapping.fc0.weight" in tensors:
            hints["mapping_lr_multiplier"] = lr
        return make_discriminator(tensors, source, conv_clamp=_clamp(given.get("conv_clamp")), **hints)
    clamp = _clamp(synthesis.get("conv_clamp"))
    return make_generator(tensors, source, conv_clamp=clamp, mapping_lr_multiplier=lr)


def _generator(module: StandIn, source: str) -> Any:
    tensors = module_tensors(module)
    if "synthesis.b4.const" not in tensors:
        raise Refused(f"a StyleGAN3 or other generator: its layers {_UNSUPPORTED}")
    for path, part in _modules(module):
        linear = path.rpartition(".")[2] in ("affine", "embed", "skip")
        _check_activation(path, part, "linear" if linear else "lrelu")
    layer = _child(module, "synthesis", "b4", "conv1")
    return make_generator(
        tensors,
        source,
        conv_clamp=_clamp(layer.state.get("conv_clamp")),
        mapping_lr_multiplier=_lr_multiplier(module),
    )


def _discriminator(module: StandIn, source: str) -> Any:
    tensors = module_tensors(module)
    for path, part in _modules(module):
        linear = path.rpartition(".")[2] in ("out", "embed", "skip")
        _check_activation(path, part, "linear" if linear else "lrelu")
    last = _child(module, "b4")
    hints: dict[str, Any] = {}
    if (stddev := _submodules(last).get("mbstd")) is not None:
        group = stddev.state.get("group_size")
        hints["mbstd_group_size"] = None if group is None else int(_number(group, "mbstd.group_size"))
    if "mapping.fc0.weight" in tensors:
        hints["mapping_lr_multiplier"] = _lr_multiplier(module)
    clamp = _clamp(_child(last, "conv").state.get("conv_clamp"))
    return make_discriminator(tensors, source, conv_clamp=clamp, **hints)


def module_tensors(module: StandIn) -> dict[str, Tensor]:
    """Parameters and persistent buffers of a pickled module by their dotted names.

    Raises:
        Refused: when the module is not one.
    """
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


def _check_activation(path: str, part: StandIn, expected: str) -> None:
    given = part.state.get("activation", expected)
    if given != expected and part.kind in ("FullyConnectedLayer", "Conv2dLayer", "SynthesisLayer"):
        shown = given[:20] if isinstance(given, str) else type(given).__name__
        raise Refused(f"layer {path[:60]} has the activation {shown!r}; only {expected!r} is supported there")


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


def _number(value: Any, name: str) -> float:
    if isinstance(value, View) or not hasattr(value, "__float__"):
        raise Refused(f"its {name} is not a number")
    return float(value)


def _contains(names: Any, name: Any) -> bool:
    return isinstance(names, set | list | tuple) and name in names
