"""A CUDA device pretended on a processor: the numbers are real, the places are not.

A tensor's storage carries a tag that says on which device it would lie. Python sees the tags (`x.device`, `x.is_cuda`,
`x.to("cuda")`, `device="cuda"`), and every operation, those of backward passes too, is looked at before it runs:

* operands of two devices are an error, as on a GPU (a 0-dimensional number of the host may meet tensors of the device);
* what makes the host wait for the device is noted with the function that did it: values read back, copies to the host
  or from memory that is not pinned, shapes that depend on data;
* inside a captured region waits are errors, and so are tensors made on the host and numbers of the host: a CUDA graph
  would repeat the values that they had.

Tensors that autograd makes by itself may meet anything; a tensor never seen before is one of the host. Streams and
kernels are not modelled.
"""

import collections
import contextlib
import traceback
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU, CUDA, ANY = torch.device("cpu"), torch.device("cuda", 0), None
aten = torch.ops.aten
READS_BACK = {aten._local_scalar_dense.default, aten.equal.default}
SHAPES_OF_DATA = {
    *(aten.nonzero.default, aten.masked_select.default, aten.repeat_interleave.Tensor, aten.bincount.default),
    *(aten.unique_dim.default, aten._unique2.default),
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
FROM_HOST = {torch.tensor, torch.as_tensor, torch.from_numpy}
FACTORIES = FROM_HOST | {
    *(torch.zeros, torch.ones, torch.empty, torch.full, torch.empty_strided, torch.eye, torch.arange, torch.linspace),
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal),
}


class WrongPlace(RuntimeError):
    """Two devices in one operation, or in a captured region something that a graph cannot repeat."""


def device_of(value):
    """`"cuda"`, `"cuda:0"` and `"cpu"` as one of the two devices."""
    return CUDA if torch.device(value).type == "cuda" else CPU


_Generator = torch.Generator


class Generator(_Generator):
    """A processor's generator that says on which device it is."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls, "cpu")
        made.place = device_of(device)
        return made

    @property
    def device(self):
        return self.place


class _Tags:
    """Devices by storage; of the whole process, as caches outlive a pretended device."""

    def __init__(self):
        self._known, self.pinned = {}, set()

    def __getitem__(self, tensor):
        known = self._known.get(tensor.untyped_storage()._cdata)
        return CPU if known is None else known[1]

    def __setitem__(self, tensor, device):
        storage = tensor.untyped_storage()
        self._known[storage._cdata] = (StorageWeakRef(storage), device)  # the reference keeps the address from reuse

    def __contains__(self, tensor):
        return tensor.untyped_storage()._cdata in self._known

    def of(self, tensor):
        """The device that Python is told."""
        return self[tensor] or CPU


_tags = _Tags()


class PretendedCuda(contextlib.ExitStack):
    """A pretended device while the block runs.

    Attributes:
        waits: how often the host waited, by (what, function of the product that did it).
    """

    def __init__(self):
        super().__init__()
        self.waits = collections.Counter()
        self.capturing, self.moving_to = False, None

    def __enter__(self):
        super().__enter__()
        for name, stand_in in _CUDA_MODULE.items():
            self.enter_context(mock.patch.object(torch.cuda, name, stand_in))
        self.enter_context(mock.patch.object(torch, "Generator", Generator))
        self.enter_context(_Functions(self))
        self.enter_context(_Operations(self))
        return self

    def wait(self, what):
        """Note a wait, or refuse it in a captured region."""
        where = _function_of_the_product()
        self.waits[what, where] += 1
        if self.capturing:
            raise WrongPlace(f"{what} in a captured region, in {where}")

    def waiting(self):
        """The functions of the product that waited."""
        return {where for _, where in self.waits}

    @contextlib.contextmanager
    def captured(self):
        """A region that a CUDA graph would capture."""
        before, self.capturing = self.capturing, True
        try:
            yield
        finally:
            self.capturing = before

    def move(self, tensor, device, dtype=None, *, non_blocking=False):
        """A copy on another device."""
        pinned = tensor.untyped_storage()._cdata in _tags.pinned
        if not (non_blocking and pinned):
            self.wait("copy to the host" if device == CPU else "copy from pageable memory")
        before, self.moving_to = self.moving_to, device
        try:
            moved = tensor.to(dtype or tensor.dtype, copy=True)
        finally:
            self.moving_to = before
        _tags[moved] = device
        return moved


def _function_of_the_product():
    """`training/callbacks.py:_look`, the innermost."""
    frames = [frame for frame in traceback.extract_stack() if "/src/" in frame.filename]
    return f"{frames[-1].filename.split('/src/')[-1]}:{frames[-1].name}" if frames else "a test"


class _Functions(TorchFunctionMode):
    """What Python sees: places of tensors, moves, factories."""

    def __init__(self, owner):
        super().__init__()
        self.owner = owner

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        attribute = getattr(getattr(func, "__self__", None), "__name__", "")
        if attribute in ("device", "is_cuda", "is_cpu") and func.__name__ == "__get__":
            place = _tags.of(args[0])
            return place if attribute == "device" else place.type == attribute.removeprefix("is_")
        special = {Tensor.cuda: self._cuda, Tensor.cpu: self._cpu, Tensor.to: self._to, Tensor.pin_memory: self._pin}
        if func in special:
            return special[func](*args, **kwargs)
        if func in (Tensor.numpy, Tensor.__array__, Tensor.tolist) and _tags.of(args[0]) == CUDA:
            if func is not Tensor.tolist:
                raise WrongPlace("a tensor of the device is no NumPy array: copy it to the host first")
            self.owner.wait("tolist")
        if func in FACTORIES or kwargs.get("device") is not None:
            return self._made(func, args, kwargs)
        return func(*args, **kwargs)

    def _made(self, func, args, kwargs):
        target = device_of(kwargs.get("device") or CPU)
        if kwargs.get("device") is not None:
            kwargs["device"] = CPU
        generator = kwargs.get("generator")
        if generator is not None and generator.device != target:
            raise WrongPlace(f"{func.__name__} on {target} with a generator of {generator.device}")
        if func in FACTORIES and target == CPU and self.owner.capturing:
            raise WrongPlace(f"{func.__name__} on the host in a captured region, in {_function_of_the_product()}")
        if func in FROM_HOST and target == CUDA:
            self.owner.wait(f"{func.__name__} on the device: a copy from pageable memory")
        made = func(*args, **kwargs)
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                _tags[tensor] = target
        return made

    def _cuda(self, x, *_, **kwargs):
        return self._to(x, CUDA, **kwargs)

    def _cpu(self, x, *_, **__):
        return self._to(x, CPU)

    def _pin(self, x):
        pinned = x.clone()
        _tags[pinned] = CPU
        _tags.pinned.add(pinned.untyped_storage()._cdata)
        return pinned

    def _to(self, x, *args, device=None, dtype=None, non_blocking=False, copy=False, **kwargs):
        flags = [a for a in args if isinstance(a, bool)]
        for a in args:
            if isinstance(a, torch.dtype):
                dtype = a
            elif isinstance(a, Tensor):
                device, dtype = _tags.of(a), a.dtype
            elif a is not None and not isinstance(a, bool):
                device = a
        non_blocking, copy = (*flags, *(non_blocking, copy)[len(flags) :])[:2]
        if device is None or device_of(device) == _tags.of(x):
            return x.to(dtype or x.dtype, copy=copy, **kwargs)
        return self.owner.move(x, device_of(device), dtype, non_blocking=non_blocking)


class _Operations(TorchDispatchMode):
    """What would reach the device, backward passes included."""

    def __init__(self, owner):
        super().__init__()
        self.owner = owner

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, owner = kwargs or {}, self.owner
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        places = [_tags[t] for t in given]
        if CUDA in places and owner.moving_to is None:
            self._look_at(func, args, given, places)
        result = func(*args, **kwargs)
        place = owner.moving_to or (CUDA if CUDA in places else CPU if CPU in places else ANY)
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and (tensor not in _tags or _tags[tensor] is ANY):
                _tags[tensor] = place
        return result

    def _look_at(self, func, args, given, places):
        owner = self.owner
        if func in READS_BACK or func in SHAPES_OF_DATA:
            owner.wait("item" if func is aten._local_scalar_dense.default else func.overloadpacket.__name__)
        if func in INDEXING and any(t is not None and t.dtype in (torch.bool, torch.uint8) for t in args[1]):
            owner.wait("boolean indexing")
        if func is aten.copy_.default:
            if CPU in places[:2]:
                owner.wait("copy_ between the devices")
            return
        host = [t for t, place in zip(given, places, strict=True) if place == CPU]
        if not host:
            return
        if func in INDEXING and places[0] == CUDA:
            owner.wait("indices of the host")
        elif any(t.dim() > 0 for t in host):
            raise WrongPlace(f"{func}: tensors of both devices, in {_function_of_the_product()}")
        elif owner.capturing:
            raise WrongPlace(f"{func}: a number of the host in a captured region, in {_function_of_the_product()}")


class Recorder:
    """Stands in for `CudaRecorder`: every run is a captured region."""

    def __init__(self, pretended):
        self.pretended, self.captures = pretended, 0

    def eager(self, work):
        """Run work before its capture."""
        return work()

    def capture(self, work, generator):
        """Run work as captured; the first replay, which follows at once, does nothing."""
        self.captures += 1
        with self.pretended.captured():
            result, fresh = work(), True

        def replay():
            nonlocal fresh
            if not fresh:
                with self.pretended.captured():
                    result.copy_(work())
            fresh = False

        return replay, result


class _Stream:
    cuda_stream = 0

    def __init__(self, *_, **__): ...
    def wait_stream(self, *_): ...
    def synchronize(self): ...


_CUDA_MODULE = {
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "get_device_capability": lambda *_: (9, 0),
    "get_device_name": lambda *_: "a pretended device",
    "mem_get_info": lambda *_: (2**36, 2**36),
    "max_memory_allocated": lambda *_: 0,
    "synchronize": lambda *_: None,
    "manual_seed_all": lambda *_: None,
    "current_stream": lambda *_: _Stream(),
    "Stream": _Stream,
    "stream": contextlib.nullcontext,
    "device": contextlib.nullcontext,
    "is_current_stream_capturing": lambda: False,
    "graph_pool_handle": lambda: None,
}
