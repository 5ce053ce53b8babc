"""`train.py -m`: a run for each value; one that fails does not stop the others."""

import pytest

from .scripts import start

pytestmark = pytest.mark.script

QUICK = ["pretrained=demo", "dataset=demo", "dataset.num_images=8", "batch=4", "metrics=none", "tracker=none"]


def test_a_failed_job_does_not_stop_the_others(tmp_path):
    done = start("train.py", *QUICK, f"paths.runs={tmp_path}", "total_kimg=0.008", "loss.lr_g=0.001,-1,0.002", "-m")
    assert done.returncode == 2
    assert done.stderr == "error: loss.lr_g=-1: give a number from 0 up (job 2; the others go on)\n"
    runs = sorted(path for path in tmp_path.iterdir() if path.is_dir())
    assert len(runs) == 2
    for run in runs:
        assert (run / "report.html").is_file()
        assert sorted(p.stem for p in (run / "snapshots").iterdir()) == ["kimg-000000.00", "kimg-000000.01"]


def test_mistakes_are_one_line_with_it_too(tmp_path):
    for wrong, words in (("+x=1", "unknown option +x=1"), ("sed=1,2", "unknown option sed")):
        done = start("train.py", *QUICK, f"paths.runs={tmp_path}", wrong, "-m")
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {words}") and done.stderr.count("\n") == 1
    done = start("train.py", *QUICK, f"paths.runs={tmp_path}", "seed=1,2")
    assert done.returncode == 2 and "a run for each: add -m" in done.stderr
    assert not list(tmp_path.iterdir())
