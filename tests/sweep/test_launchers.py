"""Several processes at one sweep: the same cells, each once, whoever makes them and whoever dies."""

import os
import shutil
import subprocess
import sys

import pytest

from src import lock, slots
from src.sweep import run
from src.sweep.plan import open_sweep
from src.sweep.run import score_all, score_snapshot
from src.tracking import read_rows
from src.weights import load_network

from ..scripts import ROOT, start
from .conftest import DATASET, settings_of, write_run


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

    def beside(sweep, snapshot, resolutions):
        """While this process is at it another comes, and finds it taken."""
        if sweep is not other:
            assert score_snapshot(other, snapshot, resolutions) == 0
        return score(sweep, snapshot, resolutions)

    monkeypatch.setattr(run, "_score", beside)
    with lock.exclusive(run._lock_path(sweep, first)):  # as a process has it that dies
        assert score_snapshot(sweep, first, [8, 16]) == 0 and labels(sweep) == []
    score_all(sweep)
    assert labels(sweep) == sorted(f"{s.name}/{r}" for s in sweep.snapshots for r in (8, 16))
    score_all(other)
    assert len(labels(sweep)) == 6, "each once"


@pytest.mark.parametrize("damage", ["row", "features", "picture"])
def test_a_damaged_cell_is_said_and_made_again(run_dir, capsys, damage):
    sweep = opened(run_dir)
    score_all(sweep)
    keys = [row["key"] for row in sweep.rows()]
    key = keys[3]
    path = {"row": sweep.table.kept_path, "features": sweep.table.features_path(key)}.get(damage)
    before = {p.name: p.read_bytes() for p in (sweep.folder / "features").glob("*.npz")}
    if path is None:
        path = sweep.table.picture_path(key)
        path.write_bytes(path.read_bytes()[:-20])
    else:
        data = bytearray(path.read_bytes())
        place = data.index(b'"found"', data.index(key.encode())) + 10 if damage == "row" else len(data) // 2
        data[place] ^= 1
        path.write_bytes(data)
    capsys.readouterr()
    sweep = opened(run_dir)
    assert f"damaged or unfinished, and made again: {key}\n" in capsys.readouterr().out
    assert [row["key"] for row in sweep.rows()] == [k for k in keys if k != key]
    score_all(sweep)
    assert [row["key"] for row in sweep.rows()] == keys
    assert {p.name: p.read_bytes() for p in (sweep.folder / "features").glob("*.npz")} == before


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
