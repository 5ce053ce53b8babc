"""Keeping freed memory: what glibc does with big tensors costs a processor time (experiments/speed).

By default every tensor above some MB is mapped afresh and unmapped when it is freed, and its pages are cleared by the
kernel one fault at a time. Told to keep them, the allocator hands the same pages out again; the process then never
shrinks.
"""

import ctypes
import os
import platform

import torch

from ..errors import UserError

ALLOCATORS = ("auto", "keep", "system")
ALLOCATOR_VARIABLE = "CARICATURE_ALLOCATOR"
MIN_RESOLUTION = 256  # smaller pictures' tensors are not mapped one by one
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h
_TOP_PAD_BYTES = 256 * 2**20


def choose_allocator(name: str, device: torch.device | str, resolution: int) -> bool:
    """Keep freed memory from now on, if the choice says so, and return whether it is kept.

    Args:
        name: `"keep"`, `"system"`, or `"auto"`: keep on a processor from 256 px up.
        device: where the networks run.
        resolution: of their pictures, px a side.

    Raises:
        ValueError: for another name, or `"keep"` with an allocator that cannot be told so.
    """
    if name not in ALLOCATORS:
        raise ValueError(f"the allocator is one of {', '.join(ALLOCATORS)}, not {name!r}")
    wanted = name == "keep" or (name == "auto" and torch.device(device).type == "cpu" and resolution >= MIN_RESOLUTION)
    kept = wanted and _keep()
    if name == "keep" and not kept:
        raise ValueError("this system's allocator has no such setting (it is glibc's)")
    return kept


def keep_for(device: torch.device | str, resolution: int) -> bool:
    """`choose_allocator` by `$CARICATURE_ALLOCATOR`, `auto` when it is not set."""
    name = os.environ.get(ALLOCATOR_VARIABLE) or "auto"
    try:
        return choose_allocator(name, device, resolution)
    except ValueError as error:
        raise UserError(f"{ALLOCATOR_VARIABLE}={name}: {error}") from error


def _keep() -> bool:
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, _TOP_PAD_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
