"""Batches for training: an endless loader that starts at any position of the run."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from .dataset import PictureDataset
from .sampler import BatchPositions, PictureOrder


class PictureDataModule(pl.LightningDataModule):
    """Serves `{"images": uint8 [B, 3, H, W], "labels": int64 [B]}` for ever.

    Args:
        dataset: pictures.
        batch: real images an iteration.
        seed: of the order and the flips.
        mirror: flip each showing left to right with probability ½.

    Attributes:
        start_nimg: position that the next loader starts at; set before `train_dataloader` is called.
    """

    def __init__(self, dataset: PictureDataset, batch: int, *, seed: int, mirror: bool) -> None:
        super().__init__()
        self.dataset, self.batch, self.seed, self.mirror = dataset, batch, seed, mirror
        self.start_nimg = 0

    def train_dataloader(self) -> DataLoader:
        """Make the loader: in-memory sets are indexed a batch at a time in this process."""
        order = PictureOrder(len(self.dataset), seed=self.seed, mirror=self.mirror)
        batches = BatchPositions(self.batch, start=self.start_nimg)
        view = _Batches(self.dataset, order)
        workers = 0 if self.dataset.images is not None else 2
        return DataLoader(view, sampler=batches, batch_size=None, num_workers=workers)  # type: ignore[arg-type]


class _Batches(Dataset):
    """A map from the positions of a batch to the batch."""

    def __init__(self, dataset: PictureDataset, order: PictureOrder) -> None:
        self.dataset, self.order = dataset, order

    def __getitem__(self, positions: list[int]) -> dict[str, Any]:
        indices, flips = self.order.at(positions[0], positions[-1] - positions[0] + 1)
        chosen = [p - positions[0] for p in positions]
        index, flip = torch.from_numpy(indices[chosen]), torch.from_numpy(flips[chosen])
        if self.dataset.images is not None:
            images = self.dataset.images[index]
        else:
            images = torch.stack([self.dataset[int(i)][0] for i in index])
        images = torch.where(flip[:, None, None, None], images.flip(3), images)
        labels = self.dataset.labels
        batch: dict[str, Any] = {"images": images}
        if labels is not None:
            batch["labels"] = torch.tensor([labels[int(i)] for i in index])
        return batch
