"""Training batches: the same whether in memory or on demand, and after a resume the ones that would have followed."""

import io
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from src.data import PictureDataModule, PictureDataset, open_dataset
from src.data.datamodule import fits_device
from src.data.sampler import PictureOrder

NUM_IMAGES, BATCH, SEED = 10, 4, 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set.zip"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as file:
        for i in range(NUM_IMAGES):
            out = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(out, "PNG")
            file.writestr(f"{i}.png", out.getvalue())
        file.writestr("dataset.json", json.dumps({"labels": [[f"{i}.png", i % 3] for i in range(NUM_IMAGES)]}))
    return path


def _batches(dataset: PictureDataset, count: int, start: int = 0, mirror: bool = True) -> list[dict[str, Any]]:
    data = PictureDataModule(dataset, BATCH, seed=SEED, mirror=mirror)
    data.start_nimg = start
    return list(itertools.islice(data.train_dataloader(), count))


def _assert_equal(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_batches_follow_the_order_with_flips_and_labels(archive: Path) -> None:
    dataset = open_dataset(archive)
    indices, flips = PictureOrder(NUM_IMAGES, seed=SEED, mirror=True).at(0, 6 * BATCH)
    assert 0 < flips.sum() < len(flips)
    for number, batch in enumerate(_batches(dataset, 6)):
        assert batch["images"].shape == (BATCH, 3, 16, 16) and batch["images"].dtype == torch.uint8
        assert batch["labels"].dtype == torch.int64
        for row in range(BATCH):
            position = number * BATCH + row
            image, label = dataset[int(indices[position])]
            assert torch.equal(batch["images"][row], image.flip(2) if flips[position] else image)
            assert batch["labels"][row] == label


def test_without_mirror_nothing_is_flipped(archive: Path) -> None:
    known = {image.numpy().tobytes() for image, _ in open_dataset(archive)}
    for batch in _batches(open_dataset(archive), 5, mirror=False):
        assert all(image.numpy().tobytes() in known for image in batch["images"])


def test_batches_are_copies(archive: Path) -> None:
    dataset = open_dataset(archive)
    before = dataset.images.clone()
    for batch in _batches(dataset, 2, mirror=False):
        batch["images"].zero_()
    assert torch.equal(dataset.images, before)


def test_sets_without_labels_have_none(archive: Path) -> None:
    dataset = open_dataset(archive)
    dataset.labels = None
    assert set(_batches(dataset, 1)[0]) == {"images"}


@pytest.mark.parametrize("start", [4, 8, 12, 40])
def test_any_start_continues_the_whole(start: int, archive: Path) -> None:
    dataset = open_dataset(archive)
    _assert_equal(_batches(dataset, 3, start), _batches(dataset, 13)[start // BATCH : start // BATCH + 3])


def test_on_demand_with_workers_equals_in_memory(archive: Path) -> None:
    memory, demand = open_dataset(archive), open_dataset(archive, memory_limit_mb=0)
    assert PictureDataModule(memory, BATCH, seed=0, mirror=False).train_dataloader().num_workers == 0
    assert PictureDataModule(demand, BATCH, seed=0, mirror=False).train_dataloader().num_workers > 0
    _assert_equal(_batches(demand, 6, 8), _batches(memory, 6, 8))


class _Clock(pl.LightningModule):
    """Counts images and remembers them; restores its clock before the loader is made."""

    def __init__(self, stop_nimg: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.nimg, self.stop_nimg, self.seen = 0, stop_nimg, []

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        self.seen.append(batch["images"].clone())
        self.nimg += len(batch["images"])
        optimiser = self.optimizers()
        optimiser.step()
        if self.nimg >= self.stop_nimg:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["nimg"] = self.nimg

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.nimg = checkpoint["nimg"]
        self.trainer.datamodule.start_nimg = self.nimg


@pytest.mark.filterwarnings("ignore")  # Lightning's advice about this toy
def test_a_resumed_lightning_run_sees_the_pictures_that_would_have_followed(archive: Path, tmp_path: Path) -> None:
    dataset = open_dataset(archive)

    def run(stop_nimg: int, checkpoint: Path | None = None) -> tuple[_Clock, pl.Trainer]:
        module = _Clock(stop_nimg)
        data = PictureDataModule(dataset, BATCH, seed=SEED, mirror=True)
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=-1,
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        return module, trainer

    whole, _ = run(48)
    first, trainer = run(20)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    second, _ = run(48, tmp_path / "last.ckpt")
    assert (first.nimg, second.nimg, len(second.seen)) == (20, 48, 7)
    assert torch.equal(torch.cat(first.seen + second.seen), torch.cat(whole.seen))


def test_batches_are_the_same_on_every_device(archive: Path) -> None:
    in_memory, on_demand = open_dataset(archive), open_dataset(archive, memory_limit_mb=0)
    assert in_memory.images is not None and on_demand.images is None
    expected = _batches(on_demand, 8)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for device in devices:
        data = PictureDataModule(in_memory, BATCH, seed=SEED, mirror=True, device=device)
        assert data.on_device()
        batches = list(itertools.islice(data.train_dataloader(), 8))
        assert all(value.device.type == device for batch in batches for value in batch.values())
        _assert_equal([{key: value.cpu() for key, value in batch.items()} for batch in batches], expected)
    assert not PictureDataModule(on_demand, BATCH, seed=SEED, mirror=True).on_device()


def test_pictures_take_a_quarter_of_a_devices_free_memory_at_most() -> None:
    assert fits_device(25, 100)
    assert not fits_device(26, 100)
