"""Batches for training: an endless loader that starts at any position of the run.

A set that is decoded in memory moves to the training device when it takes no more than a quarter of the memory free
there; its batches are gathered and mirrored on the device, by index. Other batches are made on the host and copied.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from torch.profiler import record_function
from torch.utils.data import DataLoader, Dataset

from ..device import send
from ..group import ALONE, Group
from .dataset import PictureDataset
from .sampler import BatchPositions, PictureOrder

DEVICE_SHARE = 4  # pictures take at most 1 / DEVICE_SHARE of a device's free memory


class PictureDataModule(pl.LightningDataModule):
    """Serves `{"images": uint8 [B, 3, H, W], "labels": int64 [B]}` for ever; no labels for a set without.

    Args:
        dataset: pictures.
        batch: real images an iteration, of all processes together.
        seed: of the order and the flips.
        mirror: flip each showing left to right with probability ½.
        device: where training happens; the batches are the same whatever it is.
        group: the processes that train together; each is served its pictures of a batch.

    Attributes:
        start_nimg: position, in images, that the next loader starts at; set before `train_dataloader` is called.
    """

    def __init__(
        self,
        dataset: PictureDataset,
        batch: int,
        *,
        seed: int,
        mirror: bool,
        device: torch.device | str = "cpu",
        group: Group = ALONE,
    ) -> None:
        super().__init__()
        self.group = group
        self.dataset, self.batch, self.seed, self.mirror = dataset, batch, seed, mirror
        self.device = torch.device(device)
        self.start_nimg = 0

    def train_dataloader(self) -> DataLoader:
        """Make the loader: sets in memory are indexed a batch at a time in this process."""
        order = PictureOrder(len(self.dataset), seed=self.seed, mirror=self.mirror)
        batches = BatchPositions(self.batch, start=self.start_nimg, rank=self.group.rank, num_ranks=self.group.world)
        on_device = self.on_device()
        view = _Batches(self.dataset, order, self.device if on_device else torch.device("cpu"))
        workers = 0 if self.dataset.images is not None else 2
        pinned = self.device.type == "cuda" and not on_device  # Lightning then copies without waiting
        return DataLoader(view, sampler=batches, batch_size=None, num_workers=workers, pin_memory=pinned)  # type: ignore[arg-type]

    def on_device(self) -> bool:
        """Whether the pictures of the set are, or will be, in the memory of the training device."""
        images = self.dataset.images
        if images is None:
            return False
        if self.device.type != "cuda":
            return True
        return fits_device(images.nbytes, torch.cuda.mem_get_info(self.device)[0])


def fits_device(num_bytes: int, free_bytes: int) -> bool:
    """Whether pictures of `num_bytes` may live on a device with `free_bytes` free: they take a quarter at most."""
    return num_bytes * DEVICE_SHARE <= free_bytes


class _Batches(Dataset):
    """A map from the positions of a batch to the batch, gathered on a device."""

    def __init__(self, dataset: PictureDataset, order: PictureOrder, device: torch.device) -> None:
        self.dataset, self.order, self.device = dataset, order, device
        self.images = None if dataset.images is None else dataset.images.to(device)
        self.labels = None if dataset.labels is None else torch.tensor(dataset.labels).to(device)

    def __getitem__(self, positions: list[int]) -> dict[str, Any]:
        with record_function("data"):
            return self._batch(positions)

    def _batch(self, positions: list[int]) -> dict[str, Any]:
        indices, flips = self.order.at(positions[0], positions[-1] - positions[0] + 1)
        chosen = [p - positions[0] for p in positions]
        rows = torch.from_numpy(indices[chosen])
        index, flip = send(rows, self.device), send(torch.from_numpy(flips[chosen]), self.device)
        found = None if self.images is None else self.images[index]
        images = torch.stack([self.dataset[int(i)][0] for i in rows]) if found is None else found
        images = torch.where(flip[:, None, None, None], images.flip(3), images)
        batch: dict[str, Any] = {"images": images}
        if self.labels is not None:
            batch["labels"] = self.labels[index]
        return batch
