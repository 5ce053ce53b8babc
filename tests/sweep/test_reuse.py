"""A cell is made once: swept again, with more, with less, after a failure, by another version."""

import shutil

import pytest

from src.errors import UserError
from src.sweep import plan
from src.sweep.table import CellTable
from src.tracking import read_rows
from src.weights import load_network, save_network

from .conftest import ENOUGH, make_network, sweep


def test_running_again_scores_nothing_and_changes_nothing(swept, capsys):
    run_dir, ranking = swept
    folder = run_dir / "sweeps" / "cartoon-low"
    before = {p.name: p.read_bytes() for p in folder.glob("*") if p.is_file()}
    features = {p: p.stat().st_mtime_ns for p in folder.glob("features/*.npz")}
    assert sweep(run_dir, **ENOUGH) == ranking
    assert "scored 0 new cells, 6 reused" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in folder.glob("*") if p.is_file()} == before
    assert {p: p.stat().st_mtime_ns for p in folder.glob("features/*.npz")} == features


def test_a_grown_grid_makes_only_what_is_new_and_the_old_one_is_not_forgotten(swept, tmp_path, capsys):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    folder = run_dir / "sweeps" / "cartoon-low"
    sweep(run_dir, (4, 16), snapshot=[1, 2], **ENOUGH)
    assert "scored 2 new cells, 2 reused" in capsys.readouterr().out
    assert {row["label"].split("/")[1] for row in read_rows(folder / "cells.jsonl")} == {"4", "16"}
    again = sweep(run_dir, **ENOUGH)
    assert "scored 0 new cells, 6 reused" in capsys.readouterr().out
    assert again == swept[1]
    sweep(run_dir, (8,), snapshot=[1], seed=1, **ENOUGH)
    assert "scored 1 new cells, 0 reused" in capsys.readouterr().out


def test_a_retrained_snapshot_or_a_lost_file_is_made_again(swept, tmp_path, capsys):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    next((run_dir / "sweeps" / "cartoon-low" / "features").glob("kimg-000001.00-res008-*")).unlink()
    (run_dir / "sweeps" / "cartoon-low" / "cells" / "kimg-000001.00-res016.jpg").unlink()
    path = run_dir / "snapshots" / "kimg-000002.00.safetensors"
    networks = load_network(path)
    save_network(path, G_ema=networks.G_ema, meta={"kimg": 2.0, "note": "another file"})
    sweep(run_dir, **ENOUGH)
    assert "scored 3 new cells, 3 reused" in capsys.readouterr().out
    assert (run_dir / "sweeps" / "cartoon-low" / "cells" / "kimg-000001.00-res016.jpg").is_file()
    next((run_dir / "sweeps" / "cartoon-low" / "features").glob("kimg-000001.00-res016-*.jpg")).unlink()
    sweep(run_dir, **ENOUGH)
    assert "scored 1 new cells, 5 reused" in capsys.readouterr().out


def test_cells_of_another_version_of_the_score_are_made_again(swept, tmp_path, monkeypatch, capsys):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    monkeypatch.setattr(plan, "SCORE_VERSION", plan.SCORE_VERSION + 1)
    sweep(run_dir, (8,), snapshot=[1], **ENOUGH)
    printed = capsys.readouterr().out
    assert "scored 1 new cells, 0 reused" in printed
    assert "6 cells of another protocol (codes, score or base) are kept" in printed


def test_finished_cells_survive_a_failing_snapshot(run_dir, capsys):
    broken = run_dir / "snapshots" / "kimg-000002.00.safetensors"
    save_network(broken, G_ema=make_network(99), meta={"kimg": 2.0})
    with pytest.raises(UserError, match=r"was not fine-tuned from.*nothing in common"):
        sweep(run_dir)
    folder = run_dir / "sweeps" / "cartoon-low"
    assert len(read_rows(folder / "features" / "cells.jsonl")) == 4 and not (folder / "ranking.json").exists()
    sweep(run_dir, snapshot=[0, 1])
    assert "scored 0 new cells, 4 reused" in capsys.readouterr().out


def test_a_torn_row_does_not_take_the_next_one_with_it(tmp_path):
    table = CellTable(tmp_path)
    table.kept_path.parent.mkdir()
    table.kept_path.write_text('{"key": "torn", "resol')
    table.append({"key": "whole"})
    assert [row["key"] for row in read_rows(table.kept_path)] == ["whole"]
