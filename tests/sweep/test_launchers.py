"""Several processes at one sweep: the same cells, each once, whoever makes them and whoever dies."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from src import lock, slots
from src.errors import UserError
from src.files import MACHINE
from src.sweep import run
from src.sweep.plan import open_sweep
from src.sweep.run import score_all, score_snapshot
from src.sweeper import SnapshotSweeper, score_job
from src.tracking import read_rows
from src.weights import load_network

from ..scripts import ROOT, start
from .conftest import DATASET, config_of, settings_of, write_run


def opened(run_dir):
    sweep = open_sweep(run_dir, settings_of((8, 16), n_latents=16, gates=False))
    run.prepare(sweep)
    return sweep


def labels(sweep):
    return sorted(row["label"] for row in read_rows(sweep.table.kept_path))


def test_what_another_process_scores_is_left_to_it_and_waited_for(run_dir, capsys, monkeypatch):
    monkeypatch.setattr(lock, "POLL_SEC", 0.02)
    sweep = opened(run_dir)
    first, *_ = sweep.snapshots
    score, other = run._score, opened(run_dir)

    def beside(sweep, snapshot, resolutions, codes, claim):
        """While this process is at it another comes, and finds it taken."""
        if sweep is not other:
            assert score_snapshot(other, snapshot, resolutions, codes) == 0
        return score(sweep, snapshot, resolutions, codes, claim)

    monkeypatch.setattr(run, "_score", beside)
    with lock.exclusive(run._lock_path(sweep, first)):  # as a process has it that dies
        assert score_snapshot(sweep, first, [8, 16], 16) == 0 and labels(sweep) == []
    score_all(sweep)
    assert labels(sweep) == sorted(f"{s.name}/{r}" for s in sweep.snapshots for r in (8, 16))
    score_all(other)
    assert len(labels(sweep)) == 6, "each once"


def test_whose_snapshot_was_taken_over_writes_nothing(run_dir, monkeypatch):
    sweep = opened(run_dir)
    first, *_ = sweep.snapshots
    path, render = run._lock_path(sweep, first), run.render_snapshot

    def frozen(*arguments):
        yield from render(*arguments)
        path.rename(run_dir / "old")  # as another process does that sees no sign of life
        path.touch()

    monkeypatch.setattr(run, "render_snapshot", frozen)
    before = {p: p.stat().st_mtime_ns for p in sweep.folder.rglob("*") if p.is_file()}
    with pytest.raises(UserError, match="another process has taken over"):
        score_snapshot(sweep, first, [8, 16], 16)
    after = {p: p.stat().st_mtime_ns for p in sweep.folder.rglob("*") if p.is_file()}
    assert after.pop(path) and after == before


def test_what_killed_sweeps_left_goes(run_dir):
    sweep, dead = opened(run_dir), subprocess.Popen(["true"])
    score_all(sweep)
    dead.wait()
    (sweep.folder / "cells").mkdir()
    before = sorted(sweep.folder.rglob("*"))
    run._lock_path(sweep, sweep.snapshots[-1]).touch()
    for place in (".", "features", "cells"):
        (sweep.folder / place / f".a.npz.{MACHINE}-{dead.pid}.partial").touch()
    score_all(opened(run_dir))
    assert sorted(sweep.folder.rglob("*")) == before


def test_damaged_cells_are_said_and_made_again(run_dir, capsys):
    sweep = opened(run_dir)
    score_all(sweep)
    keys = [row["key"] for row in sweep.rows()]
    table, folder = sweep.table, sweep.folder / "features"
    before = {p.name: p.read_bytes() for p in folder.glob("*.npz")}
    in_row, in_features, in_picture = keys[1], keys[3], keys[4]
    for path, place in (
        (table.kept_path, table.kept_path.read_bytes().index(b'"found"', _place_of(table.kept_path, in_row)) + 11),
        (table.features_path(in_features), len(table.features_path(in_features).read_bytes()) // 2),
    ):
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)
    cut = (table.picture_path(in_picture), *folder.glob("kimg-000002.00-????????????.npz"), *folder.glob("base-*.npz"))
    assert len(cut) == 3
    for path in cut:
        path.write_bytes(path.read_bytes()[:-20])
    capsys.readouterr()
    sweep = opened(run_dir)
    assert f"damaged or unfinished, and made again: {in_row} and 2 more\n" in capsys.readouterr().out
    assert [row["key"] for row in sweep.rows()] == [k for k in keys if k not in (in_row, in_features, in_picture)]
    score_all(sweep)
    assert [row["key"] for row in sweep.rows()] == keys
    assert {p.name: p.read_bytes() for p in folder.glob("*.npz")} == before


def _place_of(path, key):
    return path.read_bytes().index(key.encode())


def test_processes_of_a_launcher_have_a_gpu_each(tmp_path, monkeypatch):
    monkeypatch.setenv("CARICATURE_CACHE", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    taken = []
    for _ in range(2):
        with slots.places(7, num_gpus=2) as at_once:
            assert at_once == 2
            slots.take_place()
        taken.append(os.environ["CUDA_VISIBLE_DEVICES"])
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    slots._taken.close()
    assert taken == ["3", "5"]


def test_without_gpus_the_threads_are_divided(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS")
    for jobs, at_once, threads in ((2, 2, "4"), (3, 3, "2"), (100, 8, "1")):
        with slots.places(jobs, num_gpus=0) as most:
            assert (most, os.environ["OMP_NUM_THREADS"]) == (at_once, threads)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with slots.places(2, num_gpus=0):
        assert os.environ["OMP_NUM_THREADS"] == "3", "as set"


def test_a_worker_that_would_measure_otherwise_makes_nothing(run_dir):
    """A worker with a GPU by itself takes more codes than its sweep on a machine without."""
    sweep = opened(run_dir)
    config = OmegaConf.create(config_of(run_dir, (8, 16), n_latents=32))
    said = score_job(config, codes=16, protocol=sweep.protocol)
    assert "a worker on cpu has n_latents 32, the sweep 16" in said
    assert labels(sweep) == []


def test_lost_workers_are_said_in_the_launchers_words_and_not_for_ever(run_dir, capsys, monkeypatch):
    sweep = opened(run_dir)
    words = "A worker was terminated, perhaps by the system.\n\nThe exit codes of the workers are {SIGKILL(-9)}\nLog"
    sweeper = SnapshotSweeper()
    sweeper.setup(hydra_context=None, task_function=None, config=None)
    asked = []

    def launch(task, jobs, **how):
        asked.append(jobs)
        raise RuntimeError(words)

    monkeypatch.setattr("src.sweeper.launch", launch)
    line = "A worker was terminated, perhaps by the system. The exit codes of the workers are {SIGKILL(-9)}"
    with pytest.raises(UserError, match=f"before they finish a cell: {re.escape(line)} .*hydra.launcher.n_jobs"):
        sweeper._score(sweep, 0, ["alpha=0.4"])
    assert capsys.readouterr().out.count(f"note       a worker was lost, its cells are made again: {line}\n") == 2
    assert asked[0] == asked[2] and asked[0][1][1:] == [
        "n_latents=16",
        "alpha=0.4",
        "snapshot=[kimg-000001.00]",
        "blend.res=[8,16]",
    ]


@pytest.mark.script
def test_a_launcher_changes_nothing_in_the_ranking(tmp_path):
    """In an interpreter of its own: joblib's processes import what their parent's main module is."""
    base = load_network("demo").G_ema
    write_run(tmp_path / "a", base, {0: 0.0, 1: 0.02}, {**DATASET, "resolution": base.resolution})
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    options = ["blend.res=8,16", "n_latents=16", "gates=false", "name=s", "tracker=none"]
    plain = start("sweep.py", f"run={tmp_path / 'a'}", *options)
    assert plain.returncode == 0, plain.stderr
    command = [sys.executable, ROOT / "sweep.py", f"run={tmp_path / 'b'}", *options, "hydra/launcher=joblib"]
    command = [*command, "hydra.launcher.n_jobs=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    for file in ("ranking.json", "cells.jsonl"):
        assert (tmp_path / "a/sweeps/s" / file).read_bytes() == (tmp_path / "b/sweeps/s" / file).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"], "nothing in the current folder"
