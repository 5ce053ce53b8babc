"""Lightning's trainer as a run uses it: one process on one device, that takes nothing from its surroundings.

Left alone, Lightning reads its arguments from `PL_TRAINER_*`, takes the place that Slurm, torchrun or MPI give the
process for a rank, and under Slurm answers SIGUSR1 by a checkpoint in the current folder and by requeueing the job; any
later run that starts in that folder begins with this checkpoint. A run has its own checkpoints, and these alone.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from .checkpoint import AtomicCheckpointIO


class RunTrainer(pl.Trainer):
    """Lightning's, under a name of its own: the variables are called after the class."""


def make_trainer(
    device: torch.device, folder: Path, checkpoints: AtomicCheckpointIO, callbacks: Sequence[pl.Callback]
) -> RunTrainer:
    """Make the trainer of a run; it ends when a callback says so.

    Args:
        device: to train on.
        folder: of the run; nobody else's checkpoints lie there.
        checkpoints: writes and reads those of the run.
        callbacks: in the order in which they are called.
    """
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # its own header; ours says what matters
    return RunTrainer(
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
        plugins=[LightningEnvironment(), checkpoints],
        default_root_dir=folder,
    )
