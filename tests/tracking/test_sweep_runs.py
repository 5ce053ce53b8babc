"""A sweep in W&B: a run a resolution, its cells over kimg, and a summary run, all in the training's group."""

import json
import os

import pytest

from src.tracking import show_sweep, wandb_record
from src.tracking.artifacts import group_of

from .conftest import jsonl
from .wandb_server import WandbServer


@pytest.fixture
def server(run, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    record = wandb_record.WandbRecord(run / "run.json", wandb_record.TRAINING)
    record.opened("online", "log", f"us/caricature/{record.id}")
    sweep = run / "sweeps/s"
    ranking = json.loads((sweep / "ranking.json").read_text())
    scores = {name: 0.5 for name in ("cari", "s", "r", "c")}
    ranking |= {"recommended": ranking["recommended"] | scores, "below_best": 0.01}
    (sweep / "ranking.json").write_text(json.dumps(ranking))
    (sweep / "best.safetensors").write_bytes(b"network")
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_NAME", "theirs")
        yield server


def shown(server, run):
    """Scores over kimg, by the names of the runs."""
    status = show_sweep(run / "sweeps/s", mode="auto", project=None, config={"alpha": 0.5})
    assert "online" in status
    lines = {
        r["displayName"]: [(row["kimg"], row["score/cari"]) for row in server.rows(id, "score/cari")]
        for id, r in server.runs.items()
    }
    return {name: line for name, line in lines.items() if line}


def test_each_resolution_is_a_line_over_kimg_and_goes_on(run, server):
    path = run / "sweeps/s/cells.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    jsonl(path, [row for row in rows if row["kimg"] == 1])
    assert shown(server, run) == {f"my-run-s-{r:03d}px": [(1.0, 0.6 + r / 100)] for r in (8, 16)}
    jsonl(path, rows)  # a later snapshot
    lines = shown(server, run)
    assert lines == {f"my-run-s-{r:03d}px": [(1.0, 0.6 + r / 100), (2.0, 0.6 + r / 100)] for r in (8, 16)}
    assert len(server.runs) == 3
    kinds = {(r["jobType"], *r["tags"]): r["groupName"] for r in server.runs.values()}
    assert kinds == dict.fromkeys(
        [("sweep", "sweep", "8px"), ("sweep", "sweep", "16px"), ("sweep-summary", "sweep", "summary")], group_of(run)
    )
    (summary,) = (id for id, r in server.runs.items() if r["jobType"] == "sweep-summary")
    assert server.runs[summary]["displayName"] == "theirs"
    ours = json.loads(server.runs[summary]["summary"])
    assert (ours["recommended"], ours["score/S"]) == ("kimg-1/16", 0.5)
    assert ours["sweep/cells"]["nrows"] == 4
    assert (f"{group_of(run)}-s", summary, {"latest", "best"}) in [
        (*who, set(names)) for *who, names in server.artifacts
    ]
