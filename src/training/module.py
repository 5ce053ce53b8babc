"""The LightningModule: hands batches to `TrainingStep`, counts nimg, saves and restores. Thin on purpose."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import to_float
from ..device import memory_advice, memory_in_use
from ..errors import UserError
from ..weights import ARCHITECTURE
from .step import Batch, TrainingStep


class GanModule(pl.LightningModule):
    """Manual optimisation around `TrainingStep`; the clock is `nimg`, real images shown to D so far."""

    def __init__(self, step: TrainingStep, advice: Callable[[float | None], str]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.step = step
        self.advice = advice  # what to lower where an iteration needs more memory than there is, see `memory_advice`
        self.nimg = self._at_rest = 0

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Hand over the two optimisers, so that Lightning saves and restores them."""
        return list(self.step.optimizers.values())

    def on_train_start(self) -> None:
        """Note what the networks take, which are on their device by now."""
        self._at_rest = memory_in_use(self.step.pl_mean.device)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Take one iteration on `batch["images"]` uint8 `[N, 3, H, W]`."""
        images = to_float(batch["images"])
        with memory_advice(self.step.pl_mean.device, self.advice, at_rest=self._at_rest):
            stats = self.step.run(Batch(images, self._one_hot(batch)), self.nimg)
        self.nimg += self.step.batch_size
        return stats

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock, and what it takes to build the networks (another run may start from them)."""
        checkpoint["nimg"] = self.nimg
        checkpoint[ARCHITECTURE] = self._architecture

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock and the place in the data; Lightning builds the loader after this.

        Raises:
            UserError: when the state is of networks that are built otherwise, as the pictures of a fork may ask for.
        """
        for name, config in self._architecture.items():
            saved = checkpoint[ARCHITECTURE][name]
            differing = [key for key, value in config.items() if saved.get(key) != value]
            if differing:
                changed = "; ".join(f"{key} was {saved.get(key)}, now {config[key]}" for key in differing)
                raise UserError(f"the saved state is of another {name} ({changed}): take another run=NAME")
        self.nimg = int(checkpoint["nimg"])
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is not None:
            datamodule.start_nimg = self.nimg

    @property
    def _architecture(self) -> dict[str, dict[str, Any]]:
        return {"G": self.step.G.config, "D": self.step.D.config}

    def _one_hot(self, batch: dict[str, Any]) -> Tensor | None:
        c_dim = self.step.G.c_dim
        return F.one_hot(batch["labels"], c_dim).float() if c_dim else None
