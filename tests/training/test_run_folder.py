"""Whose a run's folder is: one process at a time, one training, the same run wherever its network lies."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import torch

import src.training.opened_run
import src.training.run
from src.cli import compose_config
from src.data import open_dataset
from src.errors import UserError
from src.files import MACHINE, remove_partials
from src.tracking import read_rows
from src.training.run_folder import find_run_folder
from src.training.step import TrainingStep
from tests.scripts import begin, start
from tests.training.conftest import run

ROOT = Path(__file__).resolve().parents[2]


def edit(folder, **facts):
    """Change `run.json`; what is None goes."""
    path = folder / "run.json"
    facts = {**json.loads(path.read_text()), **facts}
    path.write_text(json.dumps({key: value for key, value in facts.items() if value is not None}))


def from_file(options, path):
    return [*(o for o in options if not o.startswith("pretrained.source")), f"pretrained.source={path}"]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_without_its_checkpoints_is_not_begun_again(options, recorded):
    folder = run(options, "snapshot.kimg=[0,0.02,0.04]", "run=gone")
    shutil.rmtree(folder / "checkpoints")
    if not recorded:
        edit(folder, checkpointed=None)
    before = contents(folder)
    with pytest.raises(UserError, match=r"checkpoints are gone: take another run=NAME, or remove the folder$"):
        run(options, "snapshot.kimg=[0,0.03,0.08]", "run=gone")
    assert contents(folder) == before


def test_a_crash_before_the_first_checkpoint_begins_again_and_says_so(options, monkeypatch, capsys):
    whole = TrainingStep.run

    def dies(self, batch, nimg):
        if nimg >= 28:
            raise RuntimeError("out of luck")
        return whole(self, batch, nimg)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "run", dies)
        with pytest.raises(RuntimeError, match="out of luck"):
            run(options, "snapshot.kimg=[0,0.06]", "run=early")
    assert "starts again" not in capsys.readouterr().out
    folder = run(options, "snapshot.kimg=[0,0.06]", "run=early")
    assert "starts again at 0 kimg: no checkpoint had been saved" in capsys.readouterr().out
    assert [row["nimg"] for row in read_rows(folder / "log.jsonl")] == [20, 40, 60]
    run(options, "snapshot.kimg=[0,0.08]", "run=early")
    assert "starts again" not in capsys.readouterr().out


def test_without_locks_of_the_file_system_a_run_is_made_and_goes_on(options, monkeypatch, capsys):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = run(options, "snapshot.kimg=[0.02]", "run=there")
    said = f"{folder}: the file system has no locks; work there with one process at a time"
    assert said in capsys.readouterr().out
    assert run(options, "snapshot.kimg=[0.02,0.04]", "run=there") == folder
    assert [row["nimg"] for row in read_rows(folder / "log.jsonl")] == [20, 40]
    assert len(list((folder / "snapshots").iterdir())) == 2 and not list(folder.rglob("*.lock"))


@pytest.mark.parametrize("name", ["run=mine", "run=null"])
def test_a_moved_network_is_the_same_run(options, tiny_network, tmp_path, capsys, name):
    moved = tmp_path / "elsewhere" / "net.safetensors"
    moved.parent.mkdir()
    shutil.copy(tiny_network, moved)
    folder = run(options, "snapshot.kimg=[0.02]", name)
    capsys.readouterr()
    more = ["pretrained.name=other"] if name == "run=mine" else []
    assert run(from_file(options, moved), "snapshot.kimg=[0.04]", name, *more) == folder
    assert "(continues last.ckpt)" in capsys.readouterr().out


def test_a_resumed_run_reads_its_checkpoint_once(options, monkeypatch):
    run(options, "snapshot.kimg=[0.02]", "run=once")
    read, load = [], torch.load

    def counted(path, *arguments, **others):
        read.append(path)
        return load(path, *arguments, **others)

    monkeypatch.setattr(torch, "load", counted)
    folder = run(options, "snapshot.kimg=[0.04]", "run=once")
    assert read == [folder / "checkpoints" / "last.ckpt"]
    assert [row["nimg"] for row in read_rows(folder / "log.jsonl")][-1] == 40


def test_a_folder_whose_identity_counts_otherwise_is_refused(options, tiny_network):
    folder = run(options, "snapshot.kimg=[0.02]", "run=other")
    known = json.loads((folder / "run.json").read_text())["identity"]
    edit(folder, identity={**known, "pretrained.source": str(tiny_network)})
    with pytest.raises(UserError, match=r"made by another configuration: pretrained\.source was .*, now None"):
        run(options, "snapshot.kimg=[0.04]", "run=other")


def test_automatic_names_count_what_a_network_is_and_not_where_it_lies(picture_folder, tmp_path):
    dataset = open_dataset(picture_folder)
    dataset.fingerprint = "f" * 64

    def name(*options, parent="a" * 64):
        config = compose_config("train", [f"paths.runs={tmp_path}", *options])
        return find_run_folder(config, dataset, parent).path.name

    assert name("pretrained=none", "model=tiny", parent=None).startswith("demo-none-")
    one = name("pretrained=file", "pretrained.source=x.pkl")
    assert one == name("pretrained=file", "pretrained.source=./x.pkl") and one.startswith("demo-file-")
    assert one != name("pretrained=file", "pretrained.source=x.pkl", parent="b" * 64)
    assert one != name("pretrained=file", "pretrained.source=x.pkl", "batch=16")


@pytest.mark.script
def test_one_process_at_a_time_and_killed_ones_leave_nothing(options, tmp_path):
    command = ["train.py", *options, "snapshot.kimg=[0,50]", "run=busy"]
    folder = tmp_path / "busy"
    process = begin(*command)
    try:
        deadline = time.time() + 60
        while not (folder / "checkpoints/last.ckpt").exists() and time.time() < deadline:
            time.sleep(0.05)
        config = (folder / "config.yaml").read_bytes()
        second = start(*command, "total_kimg=60")
        assert second.returncode == 2, second.stderr
        assert second.stderr == (
            f"error: run {folder} is being trained by another process: wait for it, or give another run=NAME\n"
        )
        assert (folder / "config.yaml").read_bytes() == config
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    for place in ("checkpoints/.last.ckpt", "snapshots/.kimg-000001.00.safetensors", "samples/.kimg-000001.00.jpg"):
        (folder / f"{place}.{MACHINE}-{process.pid}.partial").write_bytes(b"x" * 100)
    (folder / "checkpoints/mine.partial").write_text("mine")
    run(options, "snapshot.kimg=[0,0.02]", "run=busy")
    assert sorted(path.name for path in folder.rglob("*.partial")) == ["mine.partial"]
    assert not (folder / ".training.lock").exists()


def test_a_folder_is_free_again_after_a_refusal(options, monkeypatch):
    def breaks(*_):
        raise UserError("not today")

    with monkeypatch.context() as patch:
        patch.setattr(src.training.opened_run, "find_checkpoint", breaks)
        with pytest.raises(UserError, match="not today"):
            run(options, "snapshot.kimg=[0.02]", "run=free")
    assert (run(options, "snapshot.kimg=[0.02]", "run=free") / "checkpoints/last.ckpt").is_file()


def test_only_partials_of_ours_are_removed(tmp_path):
    ours, dead = f"{MACHINE}-{os.getpid()}", subprocess.Popen(["true"])
    dead.wait()
    others = [f".a.ckpt.{MACHINE}-1.partial.txt", ".a.partial", f"a.{MACHINE}-1.partial"]
    writing = [f".a.ckpt.{ours}.partial", ".a.ckpt.0123abcd-1.partial"]
    for name in (*others, *writing, f".a.ckpt.{MACHINE}-{dead.pid}.partial"):
        (tmp_path / name).touch()
    remove_partials(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*others, *writing]), "what a process may be writing"
    remove_partials(tmp_path, alone=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(others)
    remove_partials(tmp_path / "none")


@pytest.mark.parametrize("text", ['{"identity": []}', '{"identity": "x"}', "{}"])
def test_a_run_file_without_identity_is_one_message(options, text):
    folder = run(options, "snapshot.kimg=[0.02]", "run=cut")
    (folder / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json is damaged \(no identity\)"):
        run(options, "snapshot.kimg=[0.04]", "run=cut")


def test_nothing_to_train_opens_no_log(options, monkeypatch, capsys):
    opened = []
    open_tracker = src.training.run.open_tracker
    monkeypatch.setattr(src.training.run, "open_tracker", lambda *a, **k: (opened.append(a), open_tracker(*a, **k))[1])
    for _ in range(3):
        run(options, "snapshot.kimg=[0.02]", "run=idle")
    assert len(opened) == 1
    assert capsys.readouterr().out.count("already at 0.02 kimg") == 2


@pytest.mark.parametrize("again", [False, True])
def test_a_run_that_was_killed_before_it_was_known_begins(options, tmp_path, monkeypatch, again):
    """Before the first run.json, and while a run that begins again replaces it."""

    class Killed(BaseException):
        pass

    def dies(source, target):
        if Path(target).name == "run.json":
            raise Killed
        return rename(source, target)

    rename = os.replace
    if again:
        run(options, "snapshot.kimg=[0]", "total_kimg=0", "run=early")
        (tmp_path / "early/checkpoints/last.ckpt").unlink(missing_ok=True)
        edit(tmp_path / "early", checkpointed=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dies)
        with pytest.raises(Killed):
            run(options, "snapshot.kimg=[0,0.02]", "run=early")
    (tmp_path / f"early/.run.json.{MACHINE}-1.partial").touch()
    folder = run(options, "snapshot.kimg=[0,0.02]", "run=early")
    assert (folder / "checkpoints/last.ckpt").is_file() and not list(folder.rglob("*.partial"))


def test_a_file_is_no_run_folder(options, tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(UserError, match="exists and is not a run folder"):
        run(options, "run=notes")
