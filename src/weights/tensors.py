"""Arrays and tensors of foreign files, in the making: views of bytes that are there, checked before they are used."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import Refused, shown
from .pickle_machine import Global

MAX_DIMS = 8
NUMPY_KINDS = {
    f"{kind}{size}" for kind, sizes in (("f", "248"), ("i", "1248"), ("u", "1248"), ("b", "1")) for size in sizes
}
STORAGE_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in STORAGE_DTYPES.values()}


@dataclass(eq=False)
class ArrayType:
    """A numpy dtype in the making."""

    code: str
    order: str = "<"

    def numpy(self) -> np.dtype:
        """The dtype in numpy's terms."""
        return np.dtype(f"{self.order}{self.code}")


@dataclass(eq=False)
class Array:
    """A numpy array in the making: shape, type and a view of its bytes in the file."""

    shape: tuple[int, ...] = (0,)
    dtype: ArrayType | None = None
    data: Any = b""
    fortran: bool = False

    def numpy(self) -> np.ndarray:
        """The array; it shares the file's memory."""
        shape = checked_shape(self.shape)
        if self.dtype is None:
            raise Refused("an array without a type")
        dtype = self.dtype.numpy()
        data = self.data
        if not isinstance(data, str | bytes | memoryview) or len(data) != math.prod(shape) * dtype.itemsize:
            raise Refused(f"an array of shape {list(shape)} whose bytes do not fit it")
        data = data.encode("latin-1") if isinstance(data, str) else data
        array = np.frombuffer(data, dtype).reshape(shape, order="F" if self.fortran else "C")
        return array.astype(dtype.newbyteorder("="), copy=False)


@dataclass(eq=False)
class Storage:
    """Memory of torch tensors: element type, length, and (once known) a view of its bytes."""

    dtype: torch.dtype
    numel: int
    data: memoryview | None = None


@dataclass(eq=False)
class View:
    """A torch tensor in the making: a strided view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype | None = None

    def tensor(self) -> Tensor:
        """The tensor; it shares the file's memory."""
        storage, shape = self.storage, checked_shape(self.shape)
        stride, offset, dtype = self.stride, self.offset, self.dtype or self.storage.dtype
        if (
            not isinstance(stride, tuple)
            or len(stride) != len(shape)
            or not all(is_count(n) for n in (offset, *stride))
        ):
            raise Refused("a tensor with impossible offset or strides")
        numel = math.prod(shape)
        if numel == 0:
            return torch.empty(shape, dtype=dtype)
        if storage.data is None:
            raise Refused("a tensor whose data is missing: was the file copied in full?")
        flat = _flat(storage.data, dtype)
        last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
        if last >= len(flat) or numel > len(flat):
            raise Refused(f"a tensor of shape {list(shape)} that reaches outside of its data")
        return torch.as_strided(flat, shape, stride, offset)


def as_tensor(value: Any, name: str) -> Tensor:
    """Make a tensor of a stand-in or a number, in the file's precision and (where it can be) memory; errors say `name`.

    Raises:
        Refused: when it is no tensor of real numbers.
    """
    tensor = _tensor_of(value, name)
    if not tensor.is_floating_point():
        raise Refused(f"{shown(name)} is a tensor of {str(tensor.dtype).removeprefix('torch.')}, not of real numbers")
    return tensor


def _tensor_of(value: Any, name: str) -> Tensor:
    if isinstance(value, View):
        return value.tensor()
    if isinstance(value, Array):
        array = value.numpy()
        if not array.flags.writeable:
            array = array.copy()
        return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int | float | np.number):
        return torch.tensor(float(value))
    raise Refused(f"{shown(name)} is not a tensor")


def checked_shape(shape: Any) -> tuple[int, ...]:
    """A shape of at most eight dimensions and reasonable size."""
    if not isinstance(shape, tuple | list) or len(shape) > MAX_DIMS or not all(is_count(n) for n in shape):
        raise Refused("a tensor with an impossible shape")
    if math.prod(shape) > 2**40:
        raise Refused(f"a tensor of absurd size {list(shape)}")
    return tuple(shape)


def storage_of(kind: Any, numel: Any) -> Storage:
    """A storage of the type that a file names."""
    if not isinstance(kind, Global) or kind.module not in ("torch", "torch.cuda", "torch.storage"):
        raise Refused("a tensor of unknown type")
    if kind.name not in STORAGE_DTYPES or not is_count(numel):
        raise Refused(f"a tensor of unknown type {kind.shown}")
    return Storage(STORAGE_DTYPES[kind.name], numel)


def _flat(data: memoryview, dtype: torch.dtype) -> Tensor:
    length = len(data) // dtype.itemsize
    return torch.frombuffer(data, dtype=dtype, count=length) if length else torch.empty([0], dtype=dtype)


def is_count(value: Any) -> bool:
    """Whether a value is a whole number that a size may be."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40
