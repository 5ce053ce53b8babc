"""What the names in other programs' network files may build: arrays, tensors, plain containers, inert stand-ins.

The tables at the end are the whole list. A stand-in keeps the state that the file gives it and has no behaviour.
Arrays and tensors are views of the file: their sizes are checked against the bytes that are really there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import Refused, shown
from .pickle_machine import Global, is_key, scalar_set
from .tensors import DTYPES, NUMPY_KINDS, Array, ArrayType, Storage, View, checked_shape


@dataclass(eq=False)
class StandIn:
    """An object of a foreign class: its class's name and its state, nothing else."""

    kind: str
    state: dict[str, Any] = field(default_factory=dict)


def construct(name: Global, args: tuple[Any, ...]) -> Any:
    """Make what a name and its arguments stand for."""
    module = name.module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
    maker = _MAKERS.get(f"{module}.{name.name}")
    if maker is None:
        raise Refused(f"it wants to build {name.shown}, which no network file needs; nothing was executed")
    try:
        return maker(*args)
    except TypeError as error:
        raise Refused(f"unexpected arguments for {name.shown}") from error


def set_state(target: Any, state: Any) -> None:
    """Give a value the state that the file has for it."""
    if isinstance(target, dict | View):  # attributes of an OrderedDict or Parameter: not part of the data
        return
    if isinstance(target, StandIn) and isinstance(state, dict):
        target.state = state
    elif isinstance(target, ArrayType) and isinstance(state, tuple) and len(state) >= 5:
        _, order, subtype, names, fields = state[:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in (subtype, names, fields)):
            raise Refused("an array of structured values")
        target.order = order
    elif isinstance(target, Array) and isinstance(state, tuple) and len(state) == 5:
        _, target.shape, dtype, target.fortran, target.data = state
        if not isinstance(dtype, ArrayType):
            raise Refused("an array without a type")
        target.dtype = dtype
    else:
        raise Refused("a state for something that has none")


# What may be built


def _stand_in(kind: str) -> Callable[..., StandIn]:
    def make() -> StandIn:
        return StandIn(kind)

    return make


def _persistent_object(meta: Any) -> StandIn:
    if not isinstance(meta, dict) or not isinstance(meta.get("state"), dict):
        raise Refused("a module without a state")
    return StandIn(shown(meta.get("class_name")), meta["state"])


def _dictionary(pairs: Any = ()) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not is_key(pair[0]):
            raise Refused("a dictionary of something else than names and values")
        made[pair[0]] = pair[1]
    return made


def _array_type(code: Any, *flags: Any) -> ArrayType:
    if code not in NUMPY_KINDS:
        raise Refused("an array of something else than numbers")
    return ArrayType(code)


def _number(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, ArrayType):
        raise Refused("a number without a type")
    return Array((), dtype, data).numpy()[()]


def _bare_array(kind: Any, shape: Any, code: Any) -> Array:
    return Array()


def _array_from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    if not isinstance(dtype, ArrayType):
        raise Refused("an array without a type")
    return Array(shape, dtype, data, fortran=order == "F")


def _encoded(text: Any, encoding: Any) -> Any:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("a text in another encoding")
    return memoryview(bytearray(text, "latin-1"))


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> View:
    if not isinstance(storage, Storage):
        raise Refused("a tensor without data")
    return View(storage, offset, checked_shape(shape), stride)


def _typed_tensor(
    storage: Any, offset: Any, shape: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any
) -> View:
    found = DTYPES.get(dtype.name) if isinstance(dtype, Global) and dtype.module == "torch" else None
    if found is None:
        raise Refused("a tensor of unknown type")
    view = _tensor(storage, offset, shape, stride)
    view.dtype = found
    return view


def _parameter(data: Any, *rest: Any) -> View:
    if not isinstance(data, View):
        raise Refused("a parameter without data")
    return data


_MAKERS: dict[str, Callable[..., Any]] = {
    # plain containers
    "builtins.set": lambda values=(): scalar_set(values),
    "builtins.frozenset": lambda values=(): scalar_set(values),
    "collections.OrderedDict": _dictionary,
    "torch.Size": lambda values=(): checked_shape(values),
    "torch.device": lambda *parts: StandIn("device"),
    "argparse.Namespace": _stand_in("Namespace"),
    # values that people keep beside their networks: they are read over
    "collections.defaultdict": lambda *parts: {},
    **{
        f"pathlib.{kind}": lambda *parts: StandIn("path")
        for kind in ("Path", "PosixPath", "WindowsPath", "PurePosixPath")
    },
    **{f"datetime.{kind}": lambda *parts: StandIn("date") for kind in ("datetime", "date", "timedelta")},
    "builtins.complex": lambda *parts: StandIn("complex"),
    "builtins.range": lambda *parts: StandIn("range"),
    "dnnlib.util.EasyDict": _dictionary,
    "dnnlib.EasyDict": _dictionary,
    "_codecs.encode": _encoded,
    # networks of TensorFlow and of NVIDIA's PyTorch repositories
    "dnnlib.tflib.network.Network": _stand_in("Network"),
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    # numpy
    "numpy.dtype": _array_type,
    "numpy.core.multiarray._reconstruct": _bare_array,
    "numpy.core.multiarray.scalar": _number,
    "numpy.core.numeric._frombuffer": _array_from_buffer,
    # torch
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
