"""Damage, full disks, evaluations that never end, a folder that another process has taken: what a run does then."""

import json
import random
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import src.training.run
from src.errors import UserError
from src.metrics import MetricsSettings
from src.tracking import read_rows, tracker
from src.training import checkpoint
from src.training.checkpoint import find_checkpoint
from src.training.evaluations import Evaluations
from src.training.step import TrainingStep
from tests.training.conftest import run, tensors


def flip(path, place, bit=0):
    """Turn one bit of a file over."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def flat(value):
    """A checkpoint's tensors as bytes, the rest as text."""
    if isinstance(value, dict):
        return {key: flat(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [flat(part) for part in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value)


def test_no_bit_of_a_checkpoint_turns_unnoticed(options, tmp_path, capsys):
    folder = run(options, "snapshot.kimg=[0.08]", "run=bits") / "checkpoints"
    whole = flat(find_checkpoint(folder).take())
    draws, kept = random.Random(0), folder.rename(tmp_path / "kept")
    noticed = 0
    for _ in range(12):
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        flip(folder / "last.ckpt", draws.randrange((folder / "last.ckpt").stat().st_size), draws.randrange(8))
        found = find_checkpoint(folder)
        if found.path.name == "previous.ckpt":
            noticed += 1
            assert "last.ckpt (" in capsys.readouterr().out
        else:
            assert flat(found.take()) == whole, "a bit that decides something"
    assert noticed > 8


def test_a_damaged_checkpoint_does_not_take_the_place_of_a_good_one(options, capsys, monkeypatch):
    folder = run(options, "snapshot.kimg=[0,0.08]", "run=damaged")
    last, previous = folder / "checkpoints/last.ckpt", folder / "checkpoints/previous.ckpt"
    good = previous.read_bytes()
    flip(last, last.stat().st_size // 2)
    capsys.readouterr()
    run(options, "snapshot.kimg=[0,0.08]", "run=damaged")
    assert f"damaged: {last} (" in (said := capsys.readouterr().out) and "previous.ckpt, at 0.04 kimg, serves" in said
    assert previous.read_bytes() == good and torch.load(last, weights_only=True)["nimg"] == 80


@pytest.mark.parametrize("end", [0.04, 0.06])
def test_a_run_that_was_killed_while_it_measured_measures_first(options, monkeypatch, end):
    """The state is saved before: nothing is trained again, and no snapshot is missing, at the end of a run neither."""
    more = [
        "metrics=embedded",
        "metrics.num_fakes=8",
        f"snapshot.kimg=[0,0.04,{end}]" if end > 0.04 else "snapshot.kimg=[0,0.04]",
    ]
    whole = run(options, *more, "run=whole")
    add, trained = Evaluations.add, []
    with monkeypatch.context() as patch:
        patch.setattr(Evaluations, "add", lambda *call: killed(add, *call))
        with pytest.raises(Killed):
            run(options, *more, "run=killed")
    step = TrainingStep.run
    monkeypatch.setattr(
        TrainingStep, "run", lambda self, batch, nimg: (trained.append(nimg), step(self, batch, nimg))[1]
    )
    folder = run(options, *more, "run=killed")
    assert trained == list(range(40, round(end * 1000), 4))
    assert measured(folder) == measured(whole)
    assert all(
        torch.equal(tensors(folder, "kimg-000000.04")[k], v) for k, v in tensors(whole, "kimg-000000.04").items()
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("gone", "is missing"),
        ("cut", "is damaged"),
        ("bit", "does not hold the KID of its row"),
        ("few", "does not hold the KID of its row"),
        (None, None),
    ],
)
def test_what_is_best_is_known_without_the_files_of_the_evaluations(tmp_path, capsys, damage, words):
    """And a note says which of them is not compared with in pairs."""
    metrics = MetricsSettings(name="embedded", extractor="embedded", num_fakes=8)
    before, spread = Evaluations(tmp_path, metrics, seed=0), np.linspace(-0.01, 0.01, 8)
    for name, kid in (("low", 0.1), ("high", 0.5)):
        before.add(f"{name}.safetensors", kid + spread)
    path = tmp_path / "evaluations/low.npy"
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "bit":
        flip(path, path.stat().st_size - 2, 3)
    elif damage == "few":
        np.save(path, np.full(7, 0.1))
    after = Evaluations(tmp_path, metrics, seed=0)
    after.restore(before.kids)
    note = f"note       {path} {words}: no later snapshot is compared in pairs with this one\n"
    assert capsys.readouterr().out == ("" if damage is None else note)
    found = after.add("new.safetensors", 0.3 + spread)
    assert found["best"] is False, "the lowest is that of the rows"
    assert found["kid_change"] == pytest.approx(0.2 if damage is None else -0.2)
    assert after.add("newer.safetensors", 0.05 + spread)["best"] is True


class Killed(BaseException):
    """As good as kill -9: nobody catches it."""


def killed(add, self, snapshot, pseudo):
    if snapshot != "kimg-000000.00.safetensors":
        raise Killed
    return add(self, snapshot, pseudo)


def measured(folder):
    return [{k: v for k, v in row.items() if k != "time"} for row in read_rows(folder / "metrics.jsonl")]


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(options):
    whole = run(options, "snapshot.kimg=[0,0.08]", "run=whole")
    size = (whole / "checkpoints/last.ckpt").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    try:
        with pytest.raises(UserError, match=r"last\.ckpt: cannot be written"):
            run(options, "snapshot.kimg=[0,0.08]", "run=full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    folder = run(options, "snapshot.kimg=[0,0.08]", "run=full")
    assert all(
        torch.equal(tensors(folder, "kimg-000000.08")[k], v) for k, v in tensors(whole, "kimg-000000.08").items()
    )
    assert not list(folder.rglob("*.partial"))


def test_a_row_that_does_not_fit_is_one_line():
    with pytest.raises(UserError, match=r"^/dev/full: cannot be written \(No space left on device\): make room, and"):
        tracker._append(Path("/dev/full"), {"kimg": 1.0})


@pytest.mark.parametrize(("during", "rows"), [("a step", [20, 40]), ("a checkpoint", [20, 40, 60])])
def test_a_run_whose_folder_was_taken_over_writes_nothing_more(options, monkeypatch, tmp_path, during, rows):
    folder = tmp_path / "frozen"
    step, on_host = TrainingStep.run, checkpoint._on_host

    def take_over():  # as another process does that sees no sign of life
        (folder / ".training.lock").rename(folder / "old")
        (folder / ".training.lock").touch()

    def taken_in_step(self, batch, nimg):
        if nimg == 40:
            take_over()
        return step(self, batch, nimg)

    def taken_in_checkpoint(made):
        if made["nimg"] == 60:
            take_over()
        return on_host(made)

    if during == "a step":
        monkeypatch.setattr(TrainingStep, "run", taken_in_step)
    else:
        monkeypatch.setattr(checkpoint, "_on_host", taken_in_checkpoint)
    with pytest.raises(UserError, match="another process has taken over"):
        run(options, "snapshot.kimg=[0,0.06,0.08]", "run=frozen", "log_kimg=0.02")
    assert (folder / ".training.lock").exists()
    assert [row["nimg"] for row in read_rows(folder / "log.jsonl")] == rows
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["nimg"] == 40
    assert json.loads((folder / "run.json").read_text())["checkpointed"]


def test_a_folder_that_is_taken_over_before_training_begins_is_left_alone(options, monkeypatch, tmp_path):
    lock = tmp_path / "lost/.training.lock"
    monkeypatch.setattr(src.training.run, "print_header", lambda *_: (lock.rename(tmp_path / "old"), lock.touch()))
    with pytest.raises(UserError, match="another process has taken over"):
        run(options, "snapshot.kimg=[0.02]", "run=lost")
    assert not (tmp_path / "lost/log.jsonl").exists() and not list((tmp_path / "lost").rglob("*.ckpt"))
