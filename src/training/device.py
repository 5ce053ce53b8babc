"""What a run computes on and how: device, number format, op implementations, allocator (the group `trainer`)."""

from dataclasses import dataclass

import torch

from ..networks import Precision, choose_precision, regularizer_precision
from ..ops import backend_info, choose_allocator, set_policy
from ..options import OptionError
from .settings import TrainerSettings


@dataclass(frozen=True)
class Compute:
    """A checked choice.

    Attributes:
        device: where the networks train.
        precision: of the main phases.
        regularizer_precision: of path length and R1.
        ops: which op implementations serve, and why.
        keeps_memory: whether the allocator keeps freed memory.
    """

    device: torch.device
    precision: Precision
    regularizer_precision: Precision
    ops: str
    keeps_memory: bool

    def summary(self) -> str:
        """One line for the run header."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "processor"
        scope = f" from {self.precision.lowest} px up" if self.precision.lowest else ""
        own = self.regularizer_precision != self.precision
        regular = f", regularisers {self.regularizer_precision.name}" if own else ""
        kept = ", freed memory is kept" if self.keeps_memory else ""
        return f"{name}, {self.precision.name}{scope}{regular}, {torch.get_num_threads()} threads{kept}"


def device_of(trainer: TrainerSettings) -> torch.device:
    """The device that `trainer.accelerator` means here.

    Raises:
        OptionError: when it is not there.
    """
    there = torch.cuda.is_available()
    if trainer.accelerator == "gpu" and not there:
        reason = "this machine has no CUDA device; leave trainer.accelerator=auto"
        raise OptionError("trainer.accelerator", "gpu", reason)
    return torch.device("cuda" if there and trainer.accelerator != "cpu" else "cpu")


def open_compute(trainer: TrainerSettings, resolution: int) -> Compute:
    """Choose what `trainer` says, for pictures of a resolution; compiles the ops where they have not been yet.

    Raises:
        OptionError: naming the option that cannot be on this machine.
    """
    device = device_of(trainer)
    try:
        precision = choose_precision(trainer.precision, device, resolution)
    except ValueError as error:
        raise OptionError("trainer.precision", trainer.precision, str(error)) from error
    try:
        keeps = choose_allocator(trainer.allocator, device, resolution)
    except ValueError as error:
        raise OptionError("trainer.allocator", trainer.allocator, str(error)) from error
    set_policy(trainer.ops)
    regular = regularizer_precision(precision, device)
    return Compute(device, precision, regular, backend_info(device)["reason"], keeps)
