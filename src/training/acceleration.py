"""How the phases run, for speed: CUDA graphs, TF32, torch.compile (options of the group `trainer`)."""

from dataclasses import dataclass

import torch

from ..device import set_float32
from ..options import OptionError
from .compiled import CompiledNetworks
from .graphs import CudaRecorder, PhaseGraphs
from .settings import TrainerSettings
from .step import TrainingStep


@dataclass(frozen=True)
class Acceleration:
    """A checked choice.

    Attributes:
        device: where the run trains.
        graphs: the phases are captured in CUDA graphs.
        tf32: float32 products and convolutions keep 10 bits of mantissa.
        compile: the networks of the main phases go through torch.compile.
    """

    device: torch.device
    graphs: bool = False
    tf32: bool = False
    compile: bool = False

    def summary(self) -> str:
        """A few words for the run header."""
        chosen = {"CUDA graphs": self.graphs, "TF32": self.tf32, "torch.compile": self.compile}
        return ", ".join(name for name, on in chosen.items() if on) or "op by op"


def choose_acceleration(trainer: TrainerSettings, device: torch.device) -> Acceleration:
    """What the options mean on a device.

    Args:
        trainer: the group of options.
        device: where the run trains.

    Returns:
        The choice; `graphs: auto` is on for CUDA, unless the networks are compiled.

    Raises:
        OptionError: for an option that has no effect there.
    """
    cuda = device.type == "cuda"
    for name in ("graphs", "tf32"):
        if getattr(trainer, name) is True and not cuda:
            reason = f"has no effect: this run trains on a {device.type}, not on CUDA"
            raise OptionError(f"trainer.{name}", True, reason)
    graphs = cuda and not trainer.compile if trainer.graphs == "auto" else bool(trainer.graphs)
    return Acceleration(device, graphs=graphs, tf32=trainer.tf32, compile=trainer.compile)


def accelerate(step: TrainingStep, choice: Acceleration) -> None:
    """Put a choice into effect.

    Args:
        step: the training step, on any device yet.
        choice: of `choose_acceleration`.
    """
    set_float32(tf32=choice.tf32)
    if choice.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # shapes never change: let it try its convolutions once
    if choice.graphs:
        step.graphs = PhaseGraphs(CudaRecorder(choice.device))
    if choice.compile:
        step.compiled = CompiledNetworks(step.G, step.D)
