"""`python sweep.py` through Hydra: one job a snapshot, resumable, one line and exit code 2 for mistakes."""

import json

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser

from src.cli import CONF
from src.errors import UserError
from src.networks import Generator
from src.sweeper import grouped
from src.tracking import read_rows
from src.weights import load_network, save_network

from ..scripts import start
from .conftest import DATASET, write_run

pytestmark = pytest.mark.script

FAST = ["n_latents=16", "gates=false", "tracker=none"]


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    """Of the shipped network, whose faces are found in other processes too."""
    base = load_network("demo").G_ema
    cartoons = {**DATASET, "resolution": base.resolution}
    return write_run(tmp_path_factory.mktemp("runs") / "first", base, {0: 0.0, 1: 0.02, 2: 0.04}, cartoons)


def stranger():
    """A network of the same shape that was never trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        config = load_network("demo").G_ema.config
        return Generator(**{**config, "channels": {int(r): n for r, n in config["channels"].items()}})


def script(*arguments):
    return start("sweep.py", *arguments)


def overrides(*texts):
    return [grouped(override) for override in OverridesParser.create().parse_overrides(list(texts))]


def test_swept_lists_become_one_list_and_other_sweeps_are_refused():
    assert overrides("blend.res=8,16,32", "snapshot=1,2", "seed=3") == [
        "blend.res=[8,16,32]",
        "snapshot=[1,2]",
        "seed=3",
    ]
    assert overrides("blend.res=[8,16]", "blend.res=range(8,17,8)") == ["blend.res=[8,16]", "blend.res=[8,16]"]
    for text in ("seed=1,2", "blend.direction=cartoon_low,cartoon_high", "blend.res=interval(4,8)"):
        with pytest.raises(UserError, match=r"one value at a time; only blend\.res and snapshot take several"):
            overrides(text)


def test_a_job_a_snapshot_then_the_ranking_then_nothing_new(run_dir):
    first = script(f"run={run_dir}", "blend.res=4,8,16", *FAST)
    assert first.returncode == 0, first.stderr
    assert "scored 9 new cells, 0 reused" in first.stdout
    jobs = [line.split(" in ")[0] for line in first.stdout.splitlines() if " pictures in " in line]
    assert jobs == [f"kimg-00000{k}.00  3 cells, 64 pictures" for k in (0, 1, 2)]
    folder = run_dir / "sweeps" / "cartoon-low"
    rows = read_rows(folder / "cells.jsonl")
    assert len(rows) == 9 and all(row["cari"] is not None for row in rows)
    sentence = json.loads((folder / "ranking.json").read_text())["sentence"]
    assert sentence in first.stdout and "report.html" in first.stdout
    again = script(f"run={run_dir}", "blend.res=[4,8,16]", *FAST)
    assert again.returncode == 0 and "scored 0 new cells, 9 reused" in again.stdout
    assert read_rows(folder / "cells.jsonl") == rows
    assert not (CONF.parent / "multirun").exists() and not (CONF.parent / ".hydra").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blend.res=128"], "blend.res=128: a 64 px network can be blended at 4, 8, 16, 32\n"),
        (["blend.size=8"], "unknown option blend.size"),
        (["paths=x"], "paths=x: is a group of options"),
        (["hydra.mode=RUN", "seed=1,2"], "seed=1,2: one value at a time"),
        (["--cfg", "job", "blend.rez=8"], "unknown option blend.rez"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(trained_run, arguments, message):
    result = script(f"run={trained_run}", *arguments, *FAST)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ") and message in result.stderr


def test_the_configuration_of_lists_is_shown():
    done = script("blend.res=8,16", "--cfg", "job", "snapshot=1,2", "--package", "blend")
    assert done.returncode == 0 and done.stdout.startswith("# @package blend\nres:\n- 8\n- 16\n"), done.stderr


def test_in_one_process_lists_are_written_alike(run_dir):
    command = ["hydra.mode=RUN", f"run={run_dir}", "name='it is'", *FAST]
    done = script(*command, "blend.res=8,16", "snapshot=1,2")
    assert done.returncode == 0 and "scored 4 new cells, 0 reused" in done.stdout, done.stderr
    again = script(*command, "blend.res=[8,16]", "snapshot=[1,2]")
    assert again.returncode == 0 and "scored 0 new cells, 4 reused" in again.stdout, again.stderr


def test_a_failing_job_is_said_once_and_the_others_finish(run_dir):
    save_network(run_dir / "snapshots" / "kimg-000001.00.safetensors", G_ema=stranger(), meta={"kimg": 1.0})
    result = script(f"run={run_dir}", "blend.res=8,16", *FAST)
    assert result.returncode == 2
    assert result.stderr.count("nothing in common") == 1 and "scored 4 new cells" in result.stdout
    assert "Traceback" not in result.stderr
    rows = read_rows(run_dir / "sweeps" / "cartoon-low" / "features" / "cells.jsonl")
    assert {row["kimg"] for row in rows} == {0.0, 2.0} and len(rows) == 4


def test_a_run_is_found_by_any_name_and_in_the_home_folder(run_dir, monkeypatch):
    monkeypatch.setenv("HOME", str(run_dir.parent.parent))
    odd = run_dir.rename(run_dir.with_name("it's ${x}"))
    done = script(f"run={odd.name}", "paths.runs=~/runs", "snapshot=1,2", "blend.res=8", "name=2024.10", *FAST)
    assert done.returncode == 0, done.stderr
    assert {row["kimg"] for row in read_rows(odd / "sweeps" / "2024.10" / "cells.jsonl")} == {1.0, 2.0}
    again = script(f"run=~/runs/{odd.name}", "snapshot=1,2", "blend.res=8", "name=2024.10", *FAST)
    assert again.returncode == 0 and "scored 0 new cells, 2 reused" in again.stdout, again.stderr
