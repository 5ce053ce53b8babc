"""A sweep of W&B's own: `wandb sweep conf/wandb/finetune.yaml`, and an agent that starts train.py as that says."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from src.tracking import lowest_kid, read_rows
from src.tracking.wandb_record import known_run

from ..scripts import ROOT, start
from .conftest import at_length
from .wandb_server import WandbServer

pytestmark = [pytest.mark.script, at_length]
QUICK = ["tracker=wandb", "trainer.progress=false", "dataset.num_images=16", "batch=4", "total_kimg=0.016"]
QUICK += ["snapshot.kimg=[0,0.016]", "metrics.num_fakes=32"]


@pytest.mark.timeout(600)
def test_an_agent_trains_what_the_sweep_asks_for_in_runs_of_its_own(tmp_path, monkeypatch):
    sweep = yaml.safe_load((ROOT / "conf/wandb/finetune.yaml").read_text())
    sweep["command"][-1:-1] = [*QUICK, f"paths.runs={tmp_path / 'runs'}"]  # dataset= and the like are added there
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    ends = {
        name: [*values.get("values", []), *map(values.get, ("min", "max"))]
        for name, values in sweep["parameters"].items()
    }
    ends = {name: [value for value in values if value is not None] for name, values in ends.items()}
    with WandbServer() as server:
        server.set_for_client(monkeypatch, tmp_path / "home")
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("WANDB_DIR", str(tmp_path))
        monkeypatch.setenv("WANDB_PROJECT", "search")
        done = start("-m", "wandb", "sweep", tmp_path / "sweep.yaml")
        assert "wandb agent us/search/sweep1" in done.stdout + done.stderr
        server.trials = [{name: values[end] for name, values in ends.items()} for end in (0, -1)]
        trials = dict(zip(("trial1", "trial0"), server.trials[:], strict=True))
        done = start("-m", "wandb", "agent", "us/search/sweep1", timeout=500)
        assert done.returncode == 0, done.stderr
        assert server.runs.keys() == trials.keys(), done.stdout + done.stderr
        folders = {known_run(path)["id"]: path.parent for path in tmp_path.glob("runs/*/run.json")}
        for id, run in server.runs.items():
            assert (run["sweep"], run["project"]) == ("sweep1", "search")
            config = yaml.safe_load((folders[id] / "config.yaml").read_text())
            asked = {name: config["loss"][name.removeprefix("loss.")] for name in trials[id] if name != "augment"}
            assert {**asked, "augment": config["augment"]["name"]} == trials[id]
            measured = [row["metrics/kid"] for row in server.rows(id, "metrics/kid")]
            assert measured == [row["kid"] for row in read_rows(folders[id] / "metrics.jsonl")]
            assert min(measured) == lowest_kid(folders[id])
