"""Runs, their snapshots and the networks that they were fine-tuned from are found, or what is missing is named."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from src.errors import UserError
from src.runs import check_family, find_base, find_run, find_snapshots
from src.weights import save_network

from ..sweep.conftest import make_network, write_run


@pytest.fixture(scope="module")
def base():
    return make_network(0)


@pytest.fixture(scope="module")
def written(base, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "first", base, {0: 0.0, 1: 0.3, 2: 0.5})


@pytest.fixture
def run_dir(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "runs" / "first"))


def test_a_damaged_snapshot_can_be_left_out(run_dir):
    path = run_dir / "snapshots" / "kimg-000001.00.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    for chosen in ("all", [1, 2], "kimg-000001.00"):
        with pytest.raises(UserError, match=r"^kimg-000001\.00\.safetensors cannot be used: .*delete it, .*snapshot="):
            find_snapshots(run_dir, chosen)
    assert [snapshot.kimg for snapshot in find_snapshots(run_dir, [0, 2])] == [0, 2]
    path.unlink()
    assert [snapshot.kimg for snapshot in find_snapshots(run_dir)] == [0, 2]
    save_network(path, G_ema=make_network(0), meta={})
    with pytest.raises(UserError, match=r"kimg-000001\.00\.safetensors: its header does not say its kimg"):
        find_snapshots(run_dir)


def test_a_damaged_base_can_be_named_anew(run_dir):
    path = run_dir / "snapshots" / "kimg-000000.00.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"not a readable safetensors file.*; or name the original network with base="):
        find_base(run_dir, "auto")


def test_missing_runs_snapshots_and_bases_are_named(run_dir, tmp_path):
    with pytest.raises(UserError, match=r"neither a run in .* nor the folder of one"):
        find_run(tmp_path / "nowhere", Path())
    with pytest.raises(UserError, match="no run with snapshots in"):
        find_run("latest", tmp_path / "none")
    at_start = run_dir / "snapshots" / "kimg-000000.00.safetensors"
    kept = at_start.rename(run_dir / "base.safetensors")
    assert find_base(run_dir, "auto").path == kept
    kept.unlink()
    with pytest.raises(UserError, match=r"base\.safetensors is missing: name .* with base=FILE"):
        find_base(run_dir, "auto")
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    config["pretrained"]["source"] = None
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="trained from scratch"):
        find_base(run_dir, "auto")
    other = save_network(tmp_path / "other.safetensors", G_ema=make_network(1, resolution=16))
    with pytest.raises(UserError, match=r"was not fine-tuned from .*other.safetensors: its resolution is 32"):
        check_family(find_snapshots(run_dir), find_base(run_dir, str(other)))
    for path in (run_dir / "snapshots").glob("*"):
        path.unlink()
    with pytest.raises(UserError, match="holds no snapshots"):
        find_snapshots(run_dir)


def test_latest_is_the_run_written_to_last(run_dir):
    other = shutil.copytree(run_dir, run_dir.with_name("second"))
    os.utime(run_dir / "run.json", (1, 1))
    assert find_run("latest", run_dir.parent) == other


def test_latest_counts_the_snapshots_where_a_run_has_nothing_else(run_dir):
    bare = run_dir.with_name("bare")
    shutil.copytree(run_dir / "snapshots", bare / "snapshots")
    assert find_run("latest", run_dir.parent) in (run_dir, bare)
    for path in [*run_dir.rglob("*"), run_dir]:
        os.utime(path, (1, 1))
    assert find_run("latest", run_dir.parent) == bare
    os.utime(run_dir / "snapshots" / "kimg-000002.00.safetensors")
    for path in (bare / "snapshots").iterdir():
        os.utime(path, (2, 2))
    assert find_run("latest", run_dir.parent) == run_dir
    for path in (bare / "snapshots").iterdir():  # what links to nowhere was never written
        path.unlink()
        path.symlink_to("nowhere")
    assert find_run("latest", run_dir.parent) == run_dir


def test_runs_and_bases_in_the_home_folder(run_dir, base, monkeypatch):
    monkeypatch.setenv("HOME", str(run_dir.parent.parent))
    save_network(run_dir.parent.parent / "base.safetensors", G_ema=base)
    assert find_run("~/runs/first", Path("none")) == run_dir
    assert find_run("first", Path("~/runs")) == find_run("latest", Path("~/runs")) == run_dir
    assert find_base(run_dir, "~/base.safetensors").path == run_dir.parent.parent / "base.safetensors"
