"""Runs that are killed, signalled, damaged or diverge: nothing is lost, nothing is written twice."""

import os
import signal
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from src.errors import UserError
from src.signals import Stopped, answer, answer_as, stop
from src.tracking import read_rows
from src.training.callbacks import CheckpointCallback
from src.training.checkpoint import AtomicCheckpointIO
from src.training.snapshots import Snapshotter
from src.training.step import TrainingStep
from src.training.trainer import RunTrainer, make_trainer
from tests.scripts import begin, signalled, start
from tests.training.conftest import run, tensors

ROOT = Path(__file__).resolve().parents[2]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(options):
    folder = run(options, "snapshot.kimg=[0,0.08]", "run=damaged")
    whole = tensors(folder, "kimg-000000.08")
    last = folder / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    run(options, "snapshot.kimg=[0,0.08]", "run=damaged")
    again = tensors(folder, "kimg-000000.08")
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_divergence_names_the_last_good_state(options, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    whole = TrainingStep.run

    def breaks(self, batch, nimg):
        stats = whole(self, batch, nimg)
        return {**stats, "loss/D": torch.tensor(float("nan"))} if nimg >= 48 else stats

    monkeypatch.setattr(TrainingStep, "run", breaks)
    with pytest.raises(UserError, match=r"diverged at 0\.05 kimg: loss/D .*last good state is .*last\.ckpt") as error:
        run(options, "snapshot.kimg=[0,0.4]", "run=nan")
    checkpoint = torch.load(str(error.value).split("last good state is ")[1].split(". ")[0], weights_only=True)
    assert checkpoint["nimg"] == 40
    assert signal.getsignal(signal.SIGINT) is before, "nobody listens any more"


def test_real_divergence_is_noticed(options):
    with pytest.raises(UserError, match="is not a number; no state had been saved yet"):
        run(options, "snapshot.kimg=[0,0.4]", "run=nan", "loss.lr_g=1e20", "loss.lr_d=1e20")


SLURM = {
    "SLURM_JOB_ID": "1",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "4",  # as people ask for cores
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "localhost",
}


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 128 + signal.SIGUSR1)])
@pytest.mark.script
def test_signals_save_and_the_run_goes_on(options, tmp_path, name, code):
    """Under Slurm too, whose notice before the time limit is SIGUSR1."""
    called = tmp_path / "scontrol-was-called"
    for tool in ("scontrol", "srun"):
        (tmp_path / tool).write_text(f"#!/bin/sh\ntouch {called}\n")
        (tmp_path / tool).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    env |= {**SLURM, "SLURM_NTASKS": "1"} if name == "SIGUSR1" else {}
    log = tmp_path / "stopped" / "log.jsonl"
    process = begin("train.py", *options, "snapshot.kimg=[0,50]", "run=stopped", cwd=tmp_path, env=env)
    out, err = signalled(process, getattr(signal, name), log.exists)
    assert process.returncode == code, err
    assert f"stopped by {name}" in out and "report: " in out
    assert err == "stopped\n"
    assert not called.exists() and not list(tmp_path.glob("*.ckpt"))
    checkpoint = torch.load(tmp_path / "stopped/checkpoints/last.ckpt", weights_only=True)
    kimg = checkpoint["nimg"] / 1000
    assert kimg > 0
    assert (tmp_path / f"stopped/snapshots/kimg-{kimg:09.2f}.safetensors").is_file()
    folder = run(options, f"snapshot.kimg=[0,{kimg + 0.04}]", "run=stopped")
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["nimg"] > checkpoint["nimg"]


@pytest.mark.parametrize("variables", [SLURM | {"SLURM_NTASKS": "1"}, SLURM, {"PL_TRAINER_FAST_DEV_RUN": "1"}])
def test_nothing_is_loaded_that_the_run_did_not_choose(options, tmp_path, monkeypatch, variables):
    """Lightning would start from another run's state in the current folder, and stop as PL_TRAINER_* says."""
    other = run(options, "snapshot.kimg=[0.06]", "run=other")
    (tmp_path / "hpc_ckpt_1.ckpt").write_bytes((other / "checkpoints/last.ckpt").read_bytes())
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    folder = run(options, "snapshot.kimg=[0,0.02,0.08]", "run=new", "seed=1")
    assert sorted(path.stem for path in (folder / "snapshots").iterdir()) == [
        f"kimg-000000.{hundredths}" for hundredths in ("00", "02", "08")
    ]
    assert [row["nimg"] for row in read_rows(folder / "log.jsonl")] == [20, 40, 60, 80]


def test_lightning_passes_no_signal_on_to_the_others(tmp_path, monkeypatch):
    passed = []
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "broadcast", lambda *_, **__: passed.append(1))
    monkeypatch.setattr(RunTrainer, "world_size", 2)
    before = answer(stop)
    try:
        trainer = make_trainer(torch.device("cpu"), tmp_path, AtomicCheckpointIO(lambda: None, None), [])
        trainer._signal_connector.register_signal_handlers()
        with pytest.raises(Stopped, match="SIGTERM"):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        answer_as(before)
    assert not passed


@pytest.mark.script
def test_a_second_signal_stops_at_once(options, tmp_path):
    log = tmp_path / "stopped" / "log.jsonl"
    code = (
        "import os, runpy, signal, sys\n"
        "from src.training.callbacks import StopCallback\n"
        "def twice(self, module):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return False\n"
        "StopCallback.due = twice\n"
        f"sys.argv = ['train.py', *{[*options, 'run=stopped']!r}]\n"
        f"runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')\n"
    )
    done = start("-c", code, timeout=60)
    assert done.returncode == 130 and done.stderr == "stopped\n"
    assert "everything is saved" not in done.stdout and not log.exists()


def test_rows_stand_once_however_a_run_ended(options, monkeypatch):
    whole = TrainingStep.run

    def dies(self, batch, nimg):  # when a row of 0.04 kimg is there, and the state is of 0.02
        if nimg >= 44:
            raise RuntimeError("out of luck")
        return whole(self, batch, nimg)

    more = ["snapshot.kimg=[0,0.02,0.06]", "run=once", "metrics=embedded", "metrics.num_fakes=8", "checkpoint_kimg=1"]
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "run", dies)
        with pytest.raises(RuntimeError, match="out of luck"):
            run(options, *more)
    folder = run(options, *more)
    assert [row["nimg"] for row in read_rows(folder / "metrics.jsonl")] == [0, 20, 60]
    assert [row["nimg"] for row in read_rows(folder / "log.jsonl")] == [20, 40, 60]


def test_the_state_is_saved_before_a_signals_snapshot_is_evaluated(options, tmp_path, monkeypatch):
    order = []
    take, save = Snapshotter.take, CheckpointCallback.save
    monkeypatch.setattr(Snapshotter, "take", lambda self, *a: (order.append("snapshot"), take(self, *a))[1])
    monkeypatch.setattr(CheckpointCallback, "save", lambda self, *a: (order.append("state"), save(self, *a))[1])
    whole = TrainingStep.run

    def interrupted(self, batch, nimg):
        if nimg == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, batch, nimg)

    monkeypatch.setattr(TrainingStep, "run", interrupted)
    with pytest.raises(Stopped, match="SIGTERM") as stopped:
        run(options, "snapshot.kimg=[0,0.024,1]", "run=signal")
    assert stopped.value.exit_code == 143
    folder = tmp_path / "signal"
    assert order == ["snapshot", "state", "snapshot", "state"], "the mark of this very iteration is the signal's too"
    assert len(list((folder / "snapshots").iterdir())) == 2
    order.clear()
    with pytest.raises(Stopped):
        run(options, "snapshot.kimg=[1]", "run=other")
    assert order == ["state", "snapshot"]


def test_a_broken_state_is_not_saved_as_good(options, monkeypatch):
    whole = TrainingStep.run

    def breaks(self, batch, nimg):
        stats = whole(self, batch, nimg)
        if nimg == 76:  # after the last loss that could show it
            with torch.no_grad():
                next(self.D.parameters()).fill_(float("nan"))
        return stats

    monkeypatch.setattr(TrainingStep, "run", breaks)
    with pytest.raises(UserError, match=r"diverged at 0\.08 kimg: D\..* last good state is .*last\.ckpt"):
        run(options, "snapshot.kimg=[0.2]", "run=poisoned")


def test_a_damaged_run_file_is_one_message(options):
    folder = run(options, "snapshot.kimg=[0.02]", "run=cut")
    (folder / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        run(options, "snapshot.kimg=[0.04]", "run=cut")


@pytest.mark.parametrize(("damage", "words"), [("cut", "copied in full"), ("foreign", "not a StyleGAN2 network file")])
def test_a_damaged_run_to_start_from_is_refused(options, damage, words):
    folder = run(options, "snapshot.kimg=[0.02]", "run=first")
    path = folder / "checkpoints/last.ckpt"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        torch.save({"state_dict": {}}, path)
    with pytest.raises(UserError, match=words):
        run(options, f"pretrained.source={folder}", "run=second")
