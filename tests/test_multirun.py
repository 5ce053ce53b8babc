"""`train.py -m`: a run for each value; one that fails does not stop the others, a signal does."""

import json
import shutil
import signal

import pytest

from src.tracking import read_rows

from .scripts import begin, signalled, start
from .training.conftest import run_options

pytestmark = pytest.mark.script

#: train.py, with what its jobs hand to Hydra's sweeper in the last line.
WITH_RESULTS = """
import json, runpy
from hydra.core.plugins import Plugins
Plugins.instance()  # which loads them
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
sweep = BasicSweeper.sweep
def told(self, arguments):
    print(json.dumps([job.return_value for batch in sweep(self, arguments) for job in batch]))
BasicSweeper.sweep = told
runpy.run_path("train.py", run_name="__main__")
"""

QUICK = ["pretrained=demo", "dataset=demo", "dataset.num_images=8", "batch=4", "metrics=none", "tracker=none"]


def test_a_failed_job_does_not_stop_the_others_and_each_hands_its_lowest_kid_to_the_sweeper(tmp_path):
    quick = [*(option for option in QUICK if option != "metrics=none"), "metrics=embedded", "metrics.num_fakes=32"]
    more = ["total_kimg=0.008", "loss.lr_g=0.01,-1,0.02", "-m"]
    done = start("-c", WITH_RESULTS, *quick, f"paths.runs={tmp_path}", *more)
    assert done.returncode == 2
    first, none, last = json.loads(done.stdout.splitlines()[-1])
    measured = {min(row["kid"] for row in read_rows(path)) for path in tmp_path.glob("*/metrics.jsonl")}
    assert none is None and {first, last} == measured
    assert done.stderr == "error: loss.lr_g=-1: give a number from 0 up (job 2; the others go on)\n"
    runs = sorted(path for path in tmp_path.iterdir() if path.is_dir())
    assert len(runs) == 2
    for run in runs:
        assert (run / "report.html").is_file()
        assert sorted(p.stem for p in (run / "snapshots").iterdir()) == ["kimg-000000.00", "kimg-000000.01"]


def test_a_signal_stops_all_jobs(tmp_path):
    process = begin("train.py", *QUICK, f"paths.runs={tmp_path}", "total_kimg=50", "log_kimg=0.01", "seed=0,1", "-m")
    out, err = signalled(process, signal.SIGTERM, lambda: list(tmp_path.glob("*/log.jsonl")))
    assert process.returncode == 143 and err == "stopped\n"
    assert out.count("stopped by SIGTERM") == out.count("run        ") == 1
    (run,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert (run / "checkpoints/last.ckpt").is_file()


def test_mistakes_are_one_line_with_it_too(tmp_path):
    for wrong, words in (("+x=1", "unknown option +x=1"), ("sed=1,2", "unknown option sed")):
        done = start("train.py", *QUICK, f"paths.runs={tmp_path}", wrong, "-m")
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {words}") and done.stderr.count("\n") == 1
    done = start("train.py", *QUICK, f"paths.runs={tmp_path}", "seed=1,2")
    assert done.returncode == 2 and "a run for each: add -m" in done.stderr
    assert not list(tmp_path.iterdir())


def test_own_experiments_flags_anywhere_texts_and_references(tiny_network, picture_folder, tmp_path):
    """`-m` between the overrides, a folder of experiments, folders that are swept, a name that refers to them."""
    for name in ("A", "B,c"):
        shutil.copytree(picture_folder, tmp_path / name)
    (tmp_path / "my own" / "experiment").mkdir(parents=True)
    (tmp_path / "my own" / "experiment" / "mine.yaml").write_text("# @package _global_\nsnapshot:\n  kimg: [0.004]\n")
    options = run_options(tiny_network, picture_folder, tmp_path)
    own = [option for option in options if not option.startswith("dataset.path")]
    more = ["-m", "dataset.path=A,'B,c'", "run=of ${dataset.path}", "--config-dir", "my own", "experiment=mine"]
    done = start("train.py", *own, *more, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.parents[1].name for path in tmp_path.glob("*/snapshots/*")) == ["of A", "of B,c"]
    shown = start(
        "train.py", "--cfg", "job", f"hydra.searchpath=['{tmp_path}/my own']", "experiment=mine", "-p", "snapshot"
    )
    assert shown.returncode == 0 and "- 0.004" in shown.stdout and shown.stderr == ""
