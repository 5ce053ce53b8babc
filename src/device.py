"""The device that a script computes on, and what float32 means there: one policy for every script.

Everything that makes pictures or numbers (evaluation, sweep, projection, generate, caricature) computes in IEEE
float32, as a processor does, so that numbers of different machines compare. Phases of training may take TF32, the
format of tensor cores that keeps 10 bits of mantissa.

Only the older pair of switches is used: PyTorch refuses to read it once the newer `fp32_precision` has been set, and
Lightning and other libraries read it.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from .errors import UserError, lacking_memory

PIECE_BYTES = 2**28  # of what comes from a device at a time
GB = 2**30
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": GB}  # of PyTorch's messages


def torch_device(name: str) -> torch.device:
    """The device of the option `device`: `"auto"` (CUDA where there is a device), `"cpu"`, `"cuda"` or `"cuda:1"`.

    A UserError when it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"device={name}: choose auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device={name}: choose auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device={name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def peak_memory(device: torch.device) -> int | None:
    """Bytes that this process has had at once: allocated on a CUDA device, else resident; None where nobody counts.

    Linux's `ru_maxrss` is not asked: it begins with the peak of the process that started this one.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "linux":
        found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
        return None if found is None else 1024 * int(found[1])
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def memory_in_use(device: torch.device) -> int:
    """Bytes of this process's tensors on a CUDA device; 0 on a processor, where nobody counts."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


@contextmanager
def memory_advice(device: torch.device, advice: Callable[[float | None], str], *, at_rest: int) -> Iterator[None]:
    """Where memory runs out while the block runs, say in a UserError how much there is and what to lower.

    Args:
        device: that the block computes on.
        advice: what to lower; given the share that there is, at the most, of what the block needs beyond `at_rest`,
            None where nobody has counted.
        at_rest: bytes that stay in use whatever is lowered, see `memory_in_use`.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        whose = lacking_memory(error)
        if whose is None:
            raise
        if whose == "machine" or device.type != "cuda":
            raise UserError(f"the machine has too little memory: {advice(None)}") from error
        needed = memory_in_use(device) + _asked(error)  # the traceback keeps what the block has made
        free, total = torch.cuda.mem_get_info(device)
        others = max(total - free - torch.cuda.memory_reserved(device), 0)
        have = f"{total / GB:.1f} GB, {others / GB:.1f} GB of it in other hands"
        share = (total - others - at_rest) / (needed - at_rest) if needed > at_rest else None
        raise UserError(
            f"{torch.cuda.get_device_name(device)} has too little memory ({have}; {needed / GB:.1f} GB or more are "
            f"needed): {advice(share)}"
        ) from error


def _asked(error: BaseException) -> int:
    """Bytes that an allocation has asked for in vain, by PyTorch's message."""
    found = re.search(r"Tried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)", str(error))
    return int(float(found[1]) * UNITS[found[2]]) if found else 0


def send(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor of the host to a device; the host goes on at once."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def on_host(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Tensors on the host: its own as they are; copies of a CUDA device's, which come joined, with a wait for many."""
    found = [tensor.detach() for tensor in tensors]
    joined: dict[torch.dtype, list[int]] = {}
    for i, tensor in enumerate(found):
        if tensor.is_cuda:
            joined.setdefault(tensor.dtype, []).append(i)
    for places in joined.values():
        while places:
            piece, size = [places.pop(0)], 0
            while places and (size := size + found[piece[-1]].nbytes) < PIECE_BYTES:
                piece.append(places.pop(0))
            flat = torch.cat([found[i].reshape(-1) for i in piece]).cpu()
            for i, part in zip(piece, flat.split([found[i].numel() for i in piece]), strict=True):
                found[i] = part.view(found[i].shape).clone()  # not the whole piece in its storage
    return found


def set_float32(*, tf32: bool = False) -> None:
    """Let matrix products and convolutions of float32 tensors on CUDA devices compute in IEEE float32, or in TF32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


def float32_format() -> str:
    """What is in force, for the protocol beside a number: `"ieee"`, or `"tf32"` where any of the two switches is on."""
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32 else "ieee"


@contextmanager
def float32_in(*, tf32: bool) -> Iterator[None]:
    """`set_float32` while the block runs."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    set_float32(tf32=tf32)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
