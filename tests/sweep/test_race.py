"""Racing: blends that cannot be the best any more get no further codes, and the answer stays."""

import shutil
from functools import partial

import pytest
import yaml

from src.metrics import race
from src.sweep import course
from src.sweep.course import course_of
from src.sweep.run import open_configured_sweeps, prepare, run_sweep, score_all, score_snapshot
from src.tracking import read_rows

from .conftest import config_of, write_run

CODES = {"n_latents": 128, "gates": False}


@pytest.fixture(scope="module", autouse=True)
def every_difference_counts():
    """Else two blends that hardly differ are soon known to be as good as each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "race", partial(race, delta=1e-9))
        yield


@pytest.fixture(scope="module")
def close_run(trained_run, base, tmp_path_factory):
    """Two snapshots that hardly differ."""
    dataset = yaml.safe_load((trained_run / "config.yaml").read_text())["dataset"]
    return write_run(tmp_path_factory.mktemp("close") / "first", base, {0: 0.0, 1: 0.3, 2: 0.3005}, dataset)


@pytest.fixture(scope="module")
def raced(close_run, tmp_path_factory):
    run_dir = shutil.copytree(close_run, tmp_path_factory.mktemp("raced") / "first")
    return run_dir, run_sweep(run_dir, (4, 8, 16), **CODES)[1]


def rows_of(run_dir):
    return {row["label"]: row for row in read_rows(run_dir / "sweeps" / "cartoon-low" / "cells.jsonl")}


def test_a_race_recommends_what_the_whole_grid_does_from_fewer_pictures(raced, tmp_path, capsys):
    run_dir, ranking = raced
    mine = rows_of(run_dir)
    assert {row["codes"] for row in mine.values()} == {64, 128}
    assert all(row["codes"] == 64 for row in mine.values() if row["kimg"] == 0)
    share = sum(row["codes"] for row in mine.values()) / (128 * len(mine))
    stayed = sum(row["codes"] == 128 for row in mine.values())
    assert ranking["race"] == {"looks": [64, 128], "codes": 128, "stayed": stayed, "rendered": share}
    assert any(f"{share:.0%} of the grid's pictures" in remark for remark in ranking["remarks"])
    whole_dir = shutil.copytree(run_dir, tmp_path / "first")
    _, whole = run_sweep(whole_dir, (4, 8, 16), race=False, **CODES)
    assert f"scored {9 - stayed} new cells, {stayed} reused" in capsys.readouterr().out
    assert whole["recommended"]["label"] == ranking["recommended"]["label"] and whole["race"] is None
    theirs = rows_of(whole_dir)
    for label, row in mine.items():
        names = ("s", "r", "cari", "gates", "found")
        if row["codes"] == 128:
            assert [row[name] for name in names] == [theirs[label][name] for name in names]
        assert abs(row["cari"] - theirs[label]["cari"]) < 0.05 and theirs[label]["codes"] == 128


def test_a_raced_sweep_that_is_run_again_scores_nothing(raced, tmp_path, capsys):
    run_dir = shutil.copytree(raced[0], tmp_path / "first")
    assert run_sweep(run_dir, (4, 8, 16), **CODES)[1] == raced[1]
    assert "scored 0 new cells, 9 reused" in capsys.readouterr().out


def test_a_race_that_was_interrupted_goes_on(raced, close_run, tmp_path):
    run_dir = shutil.copytree(close_run, tmp_path / "first")
    one = open_configured_sweeps(config_of(run_dir, (4, 8, 16), **CODES))[0]
    prepare(one)
    first = course_of(one)
    assert [(s.kimg, sizes) for s, sizes in first.jobs()] == [(k, [4, 8, 16]) for k in (0, 1, 2)]
    for snapshot, sizes in first.jobs():
        assert score_snapshot(one, snapshot, sizes, first.codes) == 3
    second = course_of(one)
    assert second.codes == 128 and len(second.pending) == raced[1]["race"]["stayed"]
    for snapshot, sizes in first.jobs():  # as a process does that comes later than another
        assert score_snapshot(one, snapshot, sizes, first.codes) == 0, "what is to race on is not known to it"
    (snapshot, sizes), *_ = second.jobs()
    score_snapshot(one, snapshot, sizes[:1], second.codes)
    assert run_sweep(run_dir, (4, 8, 16), **CODES)[1] == raced[1]


def test_what_a_blend_put_out_comes_back_when_that_blend_fails_a_gate(raced, tmp_path, monkeypatch):
    run_dir = shutil.copytree(raced[0], tmp_path / "first")
    one = open_configured_sweeps(config_of(run_dir, (4, 8, 16), **CODES))[0]
    stayed = {row["label"] for row in one.rows() if row["codes"] == 128}
    usual = course.may_be_recommended
    monkeypatch.setattr(
        course,
        "may_be_recommended",
        lambda row, gates: usual(row, gates=gates) and not (row["codes"] == 128 and row["label"] in stayed),
    )
    again = course_of(one)
    assert again.codes == 128 and again.pending
    assert not {f"{s.name}/{r}" for s, r in again.racers} & stayed
    score_all(one)
    assert course_of(one).pending == []
