"""The scripts as a user starts them: what they print, write, and exit with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from src.cli import compose_config
from src.data import save_png
from src.demo import draw_photographs
from src.errors import UserError
from src.portraits import render_portraits
from src.training import train

from .scripts import ROOT, start

pytestmark = pytest.mark.script


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """A short run of the shipped network, whose faces are found."""
    folder = tmp_path_factory.mktemp("cartoons")
    for i, picture in enumerate(render_portraits("cartoons", range(12), 64)):
        save_png(folder / f"{i}.png", picture)
    return [
        "dataset=folder",
        f"dataset.path={folder}",
        f"paths.runs={tmp_path_factory.mktemp('runs')}",
        "batch=4",
        "tracker=none",
    ]


@pytest.fixture(scope="module")
def trained(options):
    """A run of three snapshots at 64 px."""
    done = start(
        "train.py",
        *options,
        "snapshot.kimg=[0,0.1,0.2]",
        "metrics.num_fakes=16",
        "run=a",
    )
    assert done.returncode == 0, done.stderr
    return Path(options[2].split("=")[1]) / "a", done.stdout


def test_training_writes_exactly_the_marks(trained):
    folder, printed = trained
    names = sorted(p.stem for p in (folder / "snapshots").iterdir())
    assert names == ["kimg-000000.00", "kimg-000000.10", "kimg-000000.20"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["kimg"] for row in rows] == [0, 0.1, 0.2]
    assert "img/s" in printed
    assert "report:" in printed
    assert json.loads((folder / "run.json").read_text())["img_per_sec"] > 0


def test_a_sweep_scores_its_cells_once(trained, options):
    folder, _ = trained
    command = ["sweep.py", f"run={folder}", "n_latents=64", "gates=false", "tracker=none"]
    first = start(*command, "blend.res=4,8")
    assert first.returncode == 0, first.stderr
    assert "scored 6 new cells, 0 reused" in first.stdout
    cells = (folder / "sweeps/cartoon-low/cells.jsonl").read_text().splitlines()
    assert len(cells) == 6
    assert all(0 <= json.loads(line)["cari"] <= 1 for line in cells)
    assert "Landmarks by network; faces found: base 100%" in first.stdout
    again = start(*command, "blend.res=[4,8]")
    assert "scored 0 new cells, 6 reused" in again.stdout
    for name in ("ranking.json", "best.safetensors", "report.html", "cells/kimg-000000.20-res008.jpg"):
        assert (folder / "sweeps/cartoon-low" / name).is_file(), name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sweep.py", "blend.res=128"], "blend.res=128: a 64 px network can be blended at 4, 8, 16, 32\n"),
        (["sweep.py", "blend.res=8", "snapshot=7"], "snapshot=7: the run has snapshots at 0, 0.1, 0.2 kimg"),
        (["sweep.py", "blend.res=8", "alpha=2"], "alpha=2: give a number above 0 and below 1"),
        (["sweep.py", "blend.rez=8,16"], "blend.rez: did you mean blend.res? (python sweep.py --cfg job prints all)\n"),
    ],
)
def test_wrong_sweeps_say_so_in_one_line(trained, arguments, words):
    folder, _ = trained
    done = start(*arguments, *([f"run={folder}"]))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def make_broken_pictures(folder):
    """Ten kinds of files that no picture can be read from."""
    folder.mkdir()
    good = folder / "good.png"
    Image.effect_noise((64, 64), 60).save(good)
    png = good.read_bytes()
    good.unlink()
    contents = {
        "empty.png": b"",
        "cut.png": png[: len(png) // 2],
        "corrupt.png": png[:40] + bytes(20) + png[60:],
        "huge.png": png[:16] + (200_000).to_bytes(4, "big") * 2 + png[24:],
        "text.png": b"a text",
        "page.jpg": b"<html>404</html>",
        "film.gif": b"GIF89a" + bytes(20),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    Image.new("RGB", (1, 1000)).save(folder / "thin.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    return folder


def test_pictures_that_cannot_be_read_are_one_line(tmp_path):
    broken = make_broken_pictures(tmp_path / "broken")
    done = start("train.py", "dataset=folder", f"dataset.path={broken}", f"paths.runs={tmp_path}/runs")
    assert done.returncode == 2, done.stderr
    assert "0 usable pictures, at least 2 needed" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dataset=folder", "dataset.path=broken", "dataset.on_bad=error"], "10 bad pictures"),
        (["dataset=folder", "dataset.path=none"], "no such folder or file"),
        (["dataset=folder", "dataset.path=empty"], "dataset.path="),
        (["snapshot.kmg=1"], "unknown option snapshot.kmg"),
        (["total_kimg=-1"], "total_kimg=-1"),
    ],
)
def test_wrong_trainings_say_so_in_one_line(tmp_path, monkeypatch, arguments, words):
    """What a script prints after `error: `."""
    make_broken_pictures(tmp_path / "broken")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as error:
        train(compose_config("train", arguments))
    assert "\n" not in str(error.value) and not (tmp_path / "runs").exists()


@pytest.fixture
def read_only(trained, tmp_path):
    """A copy of the run in which nothing can be written."""
    folder = shutil.copytree(trained[0], tmp_path / "runs/a")
    draw_photographs(tmp_path / "photos", 1)
    places = [folder.parent, *(path for path in folder.rglob("*") if path.is_dir()), folder, tmp_path]
    for place in places:
        place.chmod(0o555)
    yield tmp_path
    for place in places:
        place.chmod(0o755)


@pytest.mark.skipif(
    sys.platform != "linux" and os.geteuid() == 0, reason="root writes everywhere, and only Linux takes that from it"
)
@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["train.py", "snapshot.kimg=[0,0.3]", "metrics.num_fakes=16", "run=a"], "/.training.lock: cannot be written"),
        (["train.py", "snapshot.kimg=[0,0.3]", "metrics=none", "run=b"], "runs/b: the run's folder cannot be made"),
        (["sweep.py", "run=runs/a", "n_latents=64", "gates=false", "tracker=none", "blend.res=8"], "runs/a/sweeps"),
        (["generate.py", "run=runs/a", "snapshot=0.2", "seeds=0-3"], "runs/a"),
        (["caricature.py", "photos=photos", "run=runs/a", "snapshot=0.2", "blend.res=8"], "runs/a/caricatures"),
        (["prepare.py", "source=photos", "out=made/set.zip", "resolution=16"], "made"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line(options, read_only, command, place):
    script, *given = command
    given = [*options[:2], *options[3:], "paths.runs=runs", *given] if script == "train.py" else given
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
    done = start("-m", "tests.capabilities", ROOT / script, *given, cwd=read_only)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert place in done.stderr and "Permission denied" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before


def test_an_empty_snapshot_folder_is_one_line(options, tmp_path):
    run = tmp_path / "empty-run"
    (run / "snapshots").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    done = start("sweep.py", f"run={run}", "blend.res=8")
    assert done.returncode == 2
    assert "holds no snapshots" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_importing_the_package_is_light():
    code = (
        "import sys; import src, src.ops, src.networks, src.weights, src.training.step; src.weights.catalog_names(); "
        "assert not {'hydra', 'omegaconf', 'wandb'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
