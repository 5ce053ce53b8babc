"""What float32 means on a CUDA device: one policy for every script.

Everything that makes pictures or numbers (evaluation, sweep, projection, generate, caricature) computes in IEEE
float32, as a processor does, so that numbers of different machines compare. Phases of training may take TF32, the
format of tensor cores that keeps 10 bits of mantissa.

Only the older pair of switches is used: PyTorch refuses to read it once the newer `fp32_precision` has been set, and
Lightning and other libraries read it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
