"""In which number format the blocks of a network compute: float32, TF32, or bfloat16 / float16 from a resolution up.

Weights, styles, demodulation, noise, ToRGB's sum, the discriminator's 4x4 epilogue and every loss stay float32; what is
lowered are the feature maps and the convolutions on them. float16 has no exponents to spare: there the convolutions'
outputs are bounded (StyleGAN2-ADA, arXiv 2006.06676, App. D: clamped at 256) and weights and styles are scaled down
beforehand, which demodulation undoes.

A gradient of a gradient is less forgiving: bfloat16 changes path length's by 10 to 50 %, TF32 (float32 whose products
keep 10 bits) by a third of that or less. So the regularisers have a format of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch

from ..device import float32_in

NAMES = ("auto", "fp32", "bf16", "fp16")
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FP16_CLAMP = 256.0
FP16_RESOLUTIONS = 4  # the highest ones: nearly all of the arithmetic (StyleGAN2-ADA, `num_fp16_res`)


@dataclass(frozen=True)
class Precision:
    """A number format and the lowest block resolution that computes in it."""

    name: str = "fp32"  # `"fp32"`, `"tf32"` (float32 with TF32 products on a CUDA device), `"bf16"` or `"fp16"`
    lowest: int = 0  # blocks from this resolution up use the format, those below float32

    def at(self, resolution: int) -> torch.dtype:
        """Type of the feature maps of a block."""
        return DTYPES[self.name] if resolution >= self.lowest else torch.float32


FP32, TF32 = Precision(), Precision("tf32")


class _Computes(Protocol):
    precision: Precision


@contextmanager
def computing_in(precision: Precision, *networks: _Computes) -> Iterator[None]:
    """Let networks (`SynthesisNetwork`, `Discriminator`) compute in a precision while the block runs."""
    before = [network.precision for network in networks]
    for network in networks:
        network.precision = precision
    try:
        with float32_in(tf32=True) if precision.name == "tf32" else nullcontext():
            yield
    finally:
        for network, earlier in zip(networks, before, strict=True):
            network.precision = earlier


def choose_precision(name: str, device: torch.device | str, resolution: int) -> Precision:
    """What a precision (one of `NAMES`) means on the device where a network of a resolution (px) runs.

    On a processor `auto` is float32, on a CUDA device bfloat16 (float16 on cards without it). bfloat16 covers all
    blocks; float16, whose range is short, the four highest resolutions.

    Raises:
        ValueError: for another name, or float16 on a processor.
    """
    device = torch.device(device)
    if name not in NAMES:
        raise ValueError(f"precision is one of {', '.join(NAMES)}, not {name!r}")
    if device.type != "cuda":
        if name == "fp16":
            raise ValueError(
                "fp16 needs a CUDA device: here choose fp32, or bf16 if the processor has instructions for it"
            )
        return Precision("bf16") if name == "bf16" else FP32
    if name == "auto":
        name = "bf16" if _has_bf16_and_tf32(device) else "fp16"
    return Precision("fp16", resolution >> (FP16_RESOLUTIONS - 1)) if name == "fp16" else Precision(name)


def slow_format(precision: Precision, device: torch.device | str) -> str | None:
    """A sentence where a processor lacks the instructions of a format, so that float32 is many times faster."""
    if precision.name != "bf16" or torch.device(device).type != "cpu" or _processor_has_bf16():
        return None
    return "bf16 is emulated here, without instructions of the processor for it: fp32 is many times faster"


def regularizer_precision(main: Precision, device: torch.device | str) -> Precision:
    """In which precision path length and R1 compute: one that keeps the gradient of a gradient.

    Args:
        main: of the main phases.
        device: where the networks train.

    Returns:
        float32 on a processor, where they are a small share of the time, and for a float32 run; TF32 on a CUDA device
        that has it, otherwise `main`: float16, as in StyleGAN2-ADA.
    """
    device = torch.device(device)
    if device.type != "cuda" or main == FP32:
        return FP32
    return TF32 if _has_bf16_and_tf32(device) else main


def _processor_has_bf16() -> bool:
    """Whether PyTorch gives convolutions in bfloat16 to oneDNN, or takes its own loops for them."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _has_bf16_and_tf32(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0)
