"""A run on several devices is the run on one: its files, its state, how it goes on, ends and fails."""

import contextlib
import json
import os
import signal
import subprocess
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from src.cli import compose_config
from src.errors import UserError
from src.group import Group
from src.metrics import MetricsSettings
from src.options import read
from src.signals import Stopped, answer, answer_as, stop
from src.tracking import read_rows
from src.training import processes
from src.training.processes import WORKER, Processes
from src.training.run import _meets
from src.training.settings import TrainerSettings
from tests.scripts import begin, signalled
from tests.training.conftest import run

CPU = ["trainer.accelerator=cpu", "batch=8", "augment=ada", "augment.augment_p=0.3", "augment.ada_kimg=0.1"]


def state(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def average(folder):
    """Tensors of the averaged generator."""
    return {name: value for name, value in state(folder)["state_dict"].items() if name.startswith("step.G_ema.")}


def children(pid):
    """Processes that a process has started."""
    return [int(n) for path in Path(f"/proc/{pid}/task").glob("*/children") for n in path.read_text().split()]


def is_worker(pid):
    with contextlib.suppress(OSError):
        return WORKER.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


@pytest.mark.script
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc")
def test_killed_as_two_continued_as_one_and_back(options, tmp_path):
    """And evaluated in shares; every file is written once."""
    more = [*options, *CPU, "metrics=embedded", "metrics.num_fakes=8", "run=both"]
    folder = tmp_path / "both"
    process = begin("train.py", *more, "trainer.devices=2", "snapshot.kimg=[0,50]")
    worker = None
    while worker is None or not (folder / "checkpoints/last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.05)
        worker = next((pid for pid in children(process.pid) if is_worker(pid)), worker)
    os.kill(worker, signal.SIGKILL)
    out, err = process.communicate(60)
    reason = "process 1 of 2 has ended (signal 9), so all stop: the same command goes on from what is saved"
    assert (process.returncode, err) == (2, f"error: {reason}\n")
    kimg = state(folder)["nimg"] / 1000
    run(more, f"snapshot.kimg=[{kimg + 0.016}]")
    process = begin("train.py", *more, "trainer.devices=2", "snapshot.kimg=[0,50]")
    started = state(folder)["nimg"]
    log = folder / "log.jsonl"
    out, err = signalled(process, signal.SIGTERM, lambda: any(row["nimg"] > started for row in read_rows(log)))
    assert (process.returncode, err) == (143, "stopped\n") and "batch 8 on 2 devices" in out
    last = state(folder)
    assert len({row["nimg"] for row in read_rows(log)}) == len(read_rows(log)), "one process writes"
    whole = run(more[:-1], "run=whole", f"snapshot.kimg=[0,{last['nimg'] / 1000}]")
    assert state(whole)["nimg"] == last["nimg"]
    torch.testing.assert_close(average(folder), average(whole), rtol=0, atol=5e-3)
    kids = [read_rows(f / "metrics.jsonl")[0] for f in (folder, whole)]
    assert kids[0]["kid"] == pytest.approx(kids[1]["kid"], abs=1e-5) and kids[0]["protocol"] == kids[1]["protocol"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["trainer.devices=3"], r"batch=8: .* groups of 4 .*: 2 cannot be divided among 3 devices"),
        (["batch_gpu=3"], r"batch_gpu=3: .* cannot be divided into such rounds"),
        (["batch_gpu=2"], r"batch_gpu=2: .* a device has 8 of them, in 2 groups"),
        (["loss.pl_batch_shrink=8", "batch_gpu=4"], r"loss\.pl_batch_shrink=8: parts of 4 pictures cannot be divided"),
        (["trainer.num_nodes=2"], r"trainer\.num_nodes=2: start the command on every machine with torchrun or srun"),
    ],
)
def test_what_cannot_be_divided_is_refused(options, tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        run(options, *CPU, *changes, "run=odd")
    assert not (tmp_path / "odd").exists()


def test_rounds_are_the_same_run(options):
    whole = run(options, *CPU, "snapshot.kimg=[0.08]", "run=whole")
    run(options, *CPU, "snapshot.kimg=[0.04]", "run=rounds")
    rounds = run(options, *CPU, "batch_gpu=4", "snapshot.kimg=[0.08]", "run=rounds")
    torch.testing.assert_close(average(rounds), average(whole), rtol=0, atol=1e-4)


def trainer(**options):
    config = compose_config("train", ["trainer.accelerator=cpu", *(f"trainer.{k}={v}" for k, v in options.items())])
    return read(TrainerSettings, config["trainer"])


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "GROUP_RANK": "1"}
SRUN = {
    **{"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NAME": "train"},
    **{"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_JOB_ID": "7"},
}


class Replaced(subprocess.Popen):
    """Another program in the place of a further process."""

    def __init__(self, _, *, program, ended=False, **options):
        super().__init__(program, **options)
        self.has_own_group = os.getpgid(self.pid) == self.pid
        if ended:
            self.wait()


def with_others(monkeypatch, meeting_sec, **other):
    """Processes whose second is another program."""
    ours = SimpleNamespace(
        Popen=partial(Replaced, **other), PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
    )
    monkeypatch.setattr(processes, "subprocess", ours)
    monkeypatch.setattr(processes, "MEETING", timedelta(seconds=meeting_sec))
    return Processes(trainer(devices=2))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"program": ["sh", "-c", "exit 3"], "ended": True}, r"process 1 of 2 has ended \(exit code 3\), so all stop"),
        ({"program": ["sleep", "60"]}, "process 1 of 2 has not come within 0:00:01"),
    ],
)
def test_who_does_not_come_is_one_line(monkeypatch, other, words):
    with pytest.raises(UserError, match=words), with_others(monkeypatch, 1, **other) as started:
        started.start({})


def test_a_signal_is_answered_while_the_others_still_come(monkeypatch):
    started = with_others(monkeypatch, 60, program=["sleep", "60"])
    press = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: os.kill(os.getpid(), signal.SIGINT))
    monkeypatch.setattr(processes, "time", press)
    before = answer(stop)
    try:
        with pytest.raises(Stopped, match="SIGINT"), started:
            started.start({})
    finally:
        answer_as(before)
    (worker,) = started._workers
    assert worker.has_own_group, "a terminal's Ctrl-C does not reach it"
    assert worker.returncode == -signal.SIGKILL


def test_who_trains_may_wait_longer_than_for_the_others_to_come(monkeypatch):
    given = {}
    monkeypatch.setattr(processes.dist, "init_process_group", lambda *_, **options: given.update(options))
    monkeypatch.setattr(processes.Processes, "_meet", lambda self: None)
    Processes(trainer(devices=2))._join(None)
    assert given["timeout"] >= timedelta(hours=12), "a sweep on a processor"


def test_processes_that_choose_other_metrics_do_not_train_together(tmp_path):
    """As `metrics=auto` may where the weights lie on one machine alone."""
    facts = {"pictures": "f", "network": None}
    theirs = {**facts, "choice of metrics": ["inception", 500], "folder": str(tmp_path), "nimg": -1}
    asked = MetricsSettings(name="embedded", extractor="embedded", num_fakes=500)
    second = SimpleNamespace(
        dataset=SimpleNamespace(fingerprint="f"),
        start=SimpleNamespace(facts={}),
        settings=SimpleNamespace(metrics=asked),
        processes=SimpleNamespace(group=Group(1, 2), told=lambda _: json.dumps(theirs)),
        folder=Path(),
        nimg=-1,
    )
    with pytest.raises(UserError, match="process 1 has another choice of metrics than the first: share the files"):
        _meets(second)


def test_threads_are_those_that_each_process_will_have(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert [Processes(trainer(devices=devices)).threads for devices in (1, 2, 4)] == [8, 4, 2]
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert Processes(trainer(devices=4)).threads == 8, "whoever has started them has divided"


@pytest.mark.parametrize("variables", [TORCHRUN, SRUN])
def test_who_a_process_is_where_others_have_started_it(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = Processes(trainer(devices=2, num_nodes=2))
    assert (told.group.rank, told.group.world) == (3, 4)
    assert told.environment.local_rank() == 1 and told.environment.creates_processes_externally
    assert Processes(trainer(devices=1)).environment is None, "a run on one device is alone whoever has started it"
    with pytest.raises(UserError, match=r"trainer\.devices=8: (torchrun|srun) has started 4 processes"):
        Processes(trainer(devices=8))
