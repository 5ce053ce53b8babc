"""`train.py -m`: a run for each value; one that fails does not stop the others, a signal does."""

import signal
import time

import pytest

from .scripts import begin, start

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


def test_a_signal_stops_all_jobs(tmp_path):
    process = begin("train.py", *QUICK, f"paths.runs={tmp_path}", "total_kimg=50", "log_kimg=0.01", "seed=0,1", "-m")
    deadline = time.time() + 60
    while not list(tmp_path.glob("*/log.jsonl")) and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
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
