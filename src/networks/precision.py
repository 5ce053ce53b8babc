"""In which number format the blocks of a network compute: float32, or bfloat16 / float16 from a resolution up.

Weights, styles, demodulation, noise, ToRGB's sum, the discriminator's 4x4 epilogue and every loss stay float32; what is
lowered are the feature maps and the convolutions on them. float16 has no exponents to spare: there the convolutions'
outputs are bounded (StyleGAN2-ADA, arXiv 2006.06676, App. D: clamped at 256) and weights and styles are scaled down
beforehand, which demodulation undoes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

NAMES = ("auto", "fp32", "bf16", "fp16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FP16_CLAMP = 256.0
CUDA_RESOLUTIONS = 4  # the highest ones: nearly all of the arithmetic (StyleGAN2-ADA, `num_fp16_res`)


@dataclass(frozen=True)
class Precision:
    """A number format and the lowest block resolution that computes in it.

    Attributes:
        name: `"fp32"`, `"bf16"` or `"fp16"`.
        lowest: blocks from this resolution up use the format, those below float32.
    """

    name: str = "fp32"
    lowest: int = 0

    def at(self, resolution: int) -> torch.dtype:
        """Type of the feature maps of a block."""
        return DTYPES[self.name] if resolution >= self.lowest else torch.float32


FP32 = Precision()


class _Computes(Protocol):
    precision: Precision


@contextmanager
def computing_in(precision: Precision, *networks: _Computes) -> Iterator[None]:
    """Let networks (`SynthesisNetwork`, `Discriminator`) compute in a precision while the block runs."""
    before = [network.precision for network in networks]
    for network in networks:
        network.precision = precision
    try:
        yield
    finally:
        for network, earlier in zip(networks, before, strict=True):
            network.precision = earlier


def choose_precision(name: str, device: torch.device | str, resolution: int) -> Precision:
    """What a precision means on a device.

    On a processor, `auto` is float32 and bfloat16 covers all blocks. On a CUDA device `auto` is bfloat16 (float16 on
    cards without it), and the low formats cover the four highest resolutions.

    Args:
        name: one of `NAMES`.
        device: where the network runs.
        resolution: of its images.

    Returns:
        The precision.

    Raises:
        ValueError: for another name, or float16 on a processor.
    """
    device = torch.device(device)
    if name not in NAMES:
        raise ValueError(f"precision is one of {', '.join(NAMES)}, not {name!r}")
    if device.type != "cuda":
        if name == "fp16":
            raise ValueError("fp16 needs a CUDA device: a processor computes faster and wider in bf16")
        return Precision("bf16") if name == "bf16" else FP32
    if name == "auto":
        name = "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return FP32 if name == "fp32" else Precision(name, resolution >> (CUDA_RESOLUTIONS - 1))
