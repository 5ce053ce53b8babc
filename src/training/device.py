"""What a run computes on and how (group `trainer`): device, number format, ops, allocator; graphs, TF32, compile."""

import os
from dataclasses import dataclass

import torch

from ..cuda_graphs import CudaRecorder
from ..device import set_float32
from ..networks import Precision, choose_precision, regularizer_precision
from ..ops import backend_info, choose_allocator, set_policy
from ..options import OptionError
from .compiled import CompiledNetworks
from .graphs import PhaseGraphs
from .settings import TrainerSettings
from .step import TrainingStep


@dataclass(frozen=True)
class Compute:
    """What a run computes on, a checked choice."""

    device: torch.device  # where the networks train
    precision: Precision  # of the main phases
    regularizer_precision: Precision  # of path length and R1
    ops: str  # which op implementations serve, and why
    keeps_memory: bool  # whether the allocator keeps freed memory

    def summary(self, threads: int) -> str:
        """One line for the run header; `threads` are those of this process."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "processor"
        scope = f" from {self.precision.lowest} px up" if self.precision.lowest else ""
        own = self.regularizer_precision != self.precision
        regular = f", regularisers {self.regularizer_precision.name}" if own else ""
        kept = ", freed memory is kept" if self.keeps_memory else ""
        return f"{name}, {self.precision.name}{scope}{regular}, {threads} threads{kept}"


def before_cuda(trainer: TrainerSettings) -> None:
    """Set what CUDA's libraries read from the environment once, when they are first used."""
    if trainer.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without which PyTorch refuses products


def device_of(trainer: TrainerSettings) -> torch.device:
    """The device that `trainer.accelerator` means here."""
    there = torch.cuda.is_available()
    if trainer.accelerator == "gpu" and not there:
        reason = "this machine has no CUDA device; leave trainer.accelerator=auto"
        raise OptionError("trainer.accelerator", "gpu", reason)
    return torch.device("cuda" if there and trainer.accelerator != "cpu" else "cpu")


def open_compute(trainer: TrainerSettings, resolution: int) -> Compute:
    """Choose what `trainer` says, for pictures of a resolution; compiles the ops where they have not been yet."""
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


@dataclass(frozen=True)
class Acceleration:
    """How the phases run, a checked choice."""

    device: torch.device  # where the run trains
    graphs: bool = False  # the phases are captured in CUDA graphs
    tf32: bool = False  # float32 products and convolutions keep 10 bits of mantissa
    compile: bool = False  # the networks of the main phases go through torch.compile
    deterministic: bool = False  # only operations that give the same bits every time

    def summary(self) -> str:
        """A few words for the run header."""
        chosen = {"CUDA graphs": self.graphs, "TF32": self.tf32, "torch.compile": self.compile}
        chosen["the same bits every time"] = self.deterministic
        return ", ".join(name for name, on in chosen.items() if on) or "op by op"


def choose_acceleration(trainer: TrainerSettings, device: torch.device) -> Acceleration:
    """What the options mean on a device; `graphs: auto` is on for CUDA, unless compiled or deterministic."""
    cuda = device.type == "cuda"
    for name in ("graphs", "tf32", "deterministic"):
        if getattr(trainer, name) is True and not cuda:
            reason = f"has no effect: this run trains on a {device.type}, not on CUDA"
            raise OptionError(f"trainer.{name}", True, reason)
    plain = not (trainer.compile or trainer.deterministic)
    return Acceleration(
        device,
        graphs=cuda and plain if trainer.graphs == "auto" else bool(trainer.graphs),
        tf32=trainer.tf32,
        compile=trainer.compile,
        deterministic=trainer.deterministic,
    )


def accelerate(step: TrainingStep, choice: Acceleration) -> None:
    """Put a choice into effect."""
    set_float32(tf32=choice.tf32)
    torch.use_deterministic_algorithms(choice.deterministic)
    if choice.device.type == "cuda":
        # shapes never change: let it try its convolutions once, and take the fastest
        torch.backends.cudnn.benchmark = not choice.deterministic
    if choice.graphs:
        step.graphs = PhaseGraphs(CudaRecorder(choice.device, otherwise="set trainer.graphs=false"))
    if choice.compile:
        step.compiled = CompiledNetworks(step.G, step.D)
