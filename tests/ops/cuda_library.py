"""The CUDA sources compiled for the CPU (cuda_emulation) and called by ctypes, with guards around every buffer."""

import ctypes
import subprocess
from pathlib import Path

import torch

SOURCES = Path(__file__).parents[2] / "src" / "ops" / "csrc"
EMULATION = Path(__file__).parent / "cuda_emulation"
GUARD = 64  # bytes on either side: a multiple of 16


TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
ULP = {torch.float32: 2e-6, torch.float64: 1e-13, torch.float16: 1e-3, torch.bfloat16: 8e-3}
WHOLE_GRID = 0x7FFFFFFF
ORDERS = {"forward": (0, WHOLE_GRID), "reverse": (1, WHOLE_GRID), "3blocks": (0, 3), "2reverse": (1, 2)}


def build_emulated(library, sources=None):
    """Compile .cu files, by default all, with g++ and the stand-ins; undefined behaviour (misaligned vectors) traps.

    Symbols are bound when the library is loaded (the binder would run on a thread's small stack), and large frames
    touch each page, none beyond a guard.
    """
    command = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,now"]
    command += ["-fstack-clash-protection", "-U_FORTIFY_SOURCE"]  # whose longjmp refuses to change stacks
    command += ["-Wno-unknown-pragmas", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    command += [f"-I{EMULATION}", "-x", "c++", *map(str, sources or sorted(SOURCES.glob("*.cu")))]
    command += [str(EMULATION / "emulator.cpp"), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def load_emulated(library):
    """The compiled library, ready to be called."""
    loaded = ctypes.CDLL(str(library))
    loaded.ops_error.restype = ctypes.c_char_p
    return loaded


class Buffer:
    """Elements between two guards of 0xff (NaN in every type), which no kernel may write and no result may show."""

    def __init__(self, tensor, offset=0):
        flat = tensor.detach().reshape(-1)
        self.front, self.size = GUARD + offset * flat.element_size(), flat.numel() * flat.element_size()
        self.memory = torch.full([self.front + self.size + GUARD + 16], 0xFF, dtype=torch.uint8)
        self.memory = self.memory[-self.memory.data_ptr() % 16 :]
        self.shape, self.dtype = tensor.shape, tensor.dtype
        self.bytes()[:] = flat.contiguous().view(torch.uint8)
        self.pointer = self.memory.data_ptr() + self.front

    def bytes(self):
        return self.memory[self.front : self.front + self.size]

    def read(self):
        """The values as float64, after a look at the guards."""
        assert (self.memory[: self.front] == 0xFF).all(), "written before the buffer"
        assert (self.memory[self.front + self.size :] == 0xFF).all(), "written behind the buffer"
        return self.bytes().clone().view(self.dtype).reshape(self.shape).double()


def unwritten(shape, dtype, offset=0):
    """An output buffer that is NaN until a kernel writes it."""
    return Buffer(torch.full(shape, float("nan"), dtype=torch.float64).to(dtype), offset)


def stored(x, channels_last):
    """[N, C, H, W] in the order of memory that the library takes."""
    return (x.permute(0, 2, 3, 1) if channels_last else x).contiguous()


def restored(x, channels_last):
    return x.permute(0, 3, 1, 2) if channels_last else x


def small_type(dtype):
    return torch.float64 if dtype == torch.float64 else torch.float32


def call(library, name, arguments):
    code = getattr(library, name)(ctypes.byref(arguments))
    assert code == 0, library.ops_error(code).decode()


def equal(got, expected, dtype, terms=1.0):
    torch.testing.assert_close(got, expected, rtol=ULP[dtype], atol=ULP[dtype] * terms)
