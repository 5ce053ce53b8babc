"""Lightning's trainer as a run uses it: this process on its device, and nothing taken from the surroundings.

Left alone, Lightning reads its arguments from `PL_TRAINER_*`, takes the place that Slurm, torchrun or MPI give the
process for a rank, and under Slurm answers SIGUSR1 by a checkpoint in the current folder and by requeueing the job; any
later run that starts in that folder begins with this checkpoint. A run has its own checkpoints, and these alone.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from .checkpoint import AtomicCheckpointIO


class RunTrainer(pl.Trainer):
    """Lightning's, under a name of its own: the variables are called after the class."""


class UnwrappedStrategy(DDPStrategy):
    """Processes that have come together already, each with the module itself on its device."""

    @property
    def root_device(self) -> torch.device:
        """This process's."""
        assert self.parallel_devices is not None
        return self.parallel_devices[0]

    def configure_ddp(self) -> None:
        """Leave the module as it is."""

    def _configure_launcher(self) -> None:
        """Start nothing."""


def make_trainer(
    device: torch.device,
    folder: Path,
    checkpoints: AtomicCheckpointIO,
    callbacks: Sequence[pl.Callback],
    environment: ClusterEnvironment | None = None,
) -> RunTrainer:
    """Make the trainer of a run; it calls the callbacks in their order, and ends when one says so.

    Nobody else's checkpoints lie in `folder`. `environment` is None for a process that trains alone.
    """
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # its own header; ours says what matters
    together: dict[str, Any] = {}
    if environment is not None:
        own = torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else device
        together = {"strategy": UnwrappedStrategy(parallel_devices=[own], cluster_environment=environment)}
    trainer = RunTrainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_steps=-1,
        max_epochs=-1,
        precision="32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        plugins=[checkpoints, *([LightningEnvironment()] if environment is None else [])],
        default_root_dir=folder,
        use_distributed_sampler=False,
        **together,
    )
    # its word on SIGTERM, which each iteration would wait for the device to pass on, and which a process that hears the
    # signal would pass on at once, whatever the others do; `SignalCallback` has its own
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    trainer._signal_connector._sigterm_notifier_fn = lambda *_: None  # type: ignore[method-assign]
    return trainer
