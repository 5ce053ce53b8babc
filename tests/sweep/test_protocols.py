"""Sweeps of one name under several settings: each has its own pictures, and none takes another's away."""

import json
import shutil

import pytest

from src.errors import UserError
from src.sweep import run
from src.tracking import read_rows

from .conftest import ENOUGH, FAST, settings_of, sweep as swept_with


def sweep(run_dir, resolutions=(8, 16), **options):
    return swept_with(run_dir, resolutions, **{**ENOUGH, **options})


def shown(folder):
    """What people look at, by name; the run's place, which the page's commands name, by a word."""
    files = [p for p in [*folder.glob("*"), *folder.glob("cells/*")] if p.is_file()]
    run_dir = str(folder.parents[1]).encode()
    return {str(p.relative_to(folder)): p.read_bytes().replace(run_dir, b"RUN") for p in files}


def differing(one, other):
    """Names of what is not the same in both."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def scored(capsys):
    return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("scored"))


@pytest.fixture
def copied(swept, tmp_path):
    """A run with a finished sweep, and the sweep's folder."""
    run_dir = shutil.copytree(swept[0], tmp_path / "runs" / "first")
    folder = run_dir / "sweeps" / "cartoon-low"
    page = folder / "report.html"
    page.write_text(page.read_text().replace(str(swept[0]), str(run_dir)))  # its commands name the run
    return run_dir, folder


def test_all_pictures_are_those_of_the_present_settings_and_going_back_scores_nothing(copied, capsys):
    run_dir, folder = copied
    before = shown(folder)
    assert len([name for name in before if name.startswith("cells/")]) == 1 + 3 + 6
    options = {"psi": 0.5}
    sweep(run_dir, **options)
    assert scored(capsys) == "scored 6 new cells, 0 reused"
    other = shown(folder)
    assert all(other[name] != before[name] for name in before)
    sweep(run_dir)
    assert scored(capsys) == "scored 0 new cells, 6 reused"
    assert not differing(shown(folder), before)
    sweep(run_dir, **options)
    assert scored(capsys) == "scored 0 new cells, 6 reused"
    assert not differing(shown(folder), other)


def test_pictures_of_cells_outside_the_grid_do_not_stay_beside_those_of_other_settings(copied, capsys):
    run_dir, folder = copied
    before = shown(folder)
    mine = folder / "cells" / "mine.jpg"
    mine.write_bytes(b"of the user")
    sweep(run_dir, (8,), snapshot=[2], seed=1)
    assert {p.name for p in (folder / "cells").iterdir()} == {
        *("base.jpg", "kimg-000002.00.jpg", "kimg-000002.00-res008.jpg", "mine.jpg")
    }
    mine.unlink()
    sweep(run_dir)
    assert not differing(shown(folder), before)


def interrupt(monkeypatch, run_dir, step):
    """Press Ctrl-C at a step of a sweep under other settings."""

    def press(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"src.sweep.{step}", press)
        with pytest.raises(KeyboardInterrupt):
            sweep(run_dir, seed=7, n_latents=32)


@pytest.mark.parametrize("step", ["run.score_snapshot", "finish._write_best"])
def test_ctrl_c_leaves_the_last_sweep_whole(copied, step, monkeypatch, capsys):
    run_dir, folder = copied
    before = shown(folder)
    interrupt(monkeypatch, run_dir, step)
    assert not differing(shown(folder), before)
    capsys.readouterr()
    sweep(run_dir)
    assert scored(capsys) == "scored 0 new cells, 6 reused"
    assert not differing(shown(folder), before)


def test_ctrl_c_while_results_are_written_costs_no_cell(copied, monkeypatch, capsys):
    run_dir, folder = copied
    before = shown(folder)
    interrupt(monkeypatch, run_dir, "finish.write_text")
    assert differing(shown(folder), before), "pictures are of the new settings already"
    capsys.readouterr()
    sweep(run_dir)
    assert scored(capsys) == "scored 0 new cells, 6 reused"
    assert not differing(shown(folder), before)


def test_a_failed_ranking_leaves_the_last_one_whole(copied, monkeypatch, capsys):
    run_dir, folder = copied
    before = shown(folder)
    with monkeypatch.context() as patch:
        patch.setattr("src.sweep.finish.rank", _cannot_tell)
        with pytest.raises(UserError, match="cannot be told"):
            sweep(run_dir, seed=7)
    assert not differing(shown(folder), before)
    capsys.readouterr()
    sweep(run_dir, seed=7)  # what was scored before the ranking failed is not scored again
    assert scored(capsys) == "scored 0 new cells, 6 reused"
    ranking = json.loads((folder / "ranking.json").read_text())
    assert {row["protocol"]["seed"] for row in read_rows(folder / "cells.jsonl")} == {7} == {ranking["seed"]}


def _cannot_tell(*arguments, **options):
    raise UserError("its rendering cannot be told from the base's")


def test_two_sweeps_at_once_end_with_one_whole_sweep(run_dir, swept, capsys):
    """The other one starts and ends while this one is under way."""
    one = run.open_sweep(run_dir, settings_of((8, 16), **FAST | ENOUGH))
    reused = run.prepare(one)
    sweep(run_dir)
    run.score_all(one)
    run.conclude(one, reused)
    assert not differing(*(shown(place / "sweeps" / "cartoon-low") for place in (run_dir, swept[0])))


def test_a_folder_that_cannot_be_written_to_is_said_before_anything_is_rendered(run_dir):
    (run_dir / "sweeps" / "cartoon-low").mkdir(parents=True)
    (run_dir / "sweeps" / "cartoon-low" / "features").write_text("a file")
    with pytest.raises(UserError, match=r"features/cells\.jsonl: cannot be written"):
        sweep(run_dir)


def test_an_edited_recogniser_measures_anew(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "persons_of_a_sweep.py"
    file.write_text("def tell(image, landmarks):\n    return image.mean(axis=(0, 1))\n")
    options = {**FAST, "snapshot": [1], "recogniser": "persons_of_a_sweep:tell"}
    first = swept_with(run_dir, (8,), **options)
    assert any("is told by persons_of_a_sweep:tell" in remark for remark in first["remarks"])
    assert swept_with(run_dir, (8,), **options) == first
    file.write_text(file.read_text() + "# edited\n")
    swept_with(run_dir, (8,), **options)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("scored")]
    assert [line.split()[1] for line in lines] == ["1", "0", "1"]
