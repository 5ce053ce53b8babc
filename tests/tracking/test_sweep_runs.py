"""A sweep in W&B: a run a resolution, its cells over kimg, and a summary run, all in the training's group."""

import json
import shutil

import pytest

from src.tracking import show_sweep, shown_blend, wandb_record
from src.tracking.artifacts import group_of
from src.tracking.wandb_run import WandbRun

from .conftest import jsonl
from .wandb_server import WandbServer


@pytest.fixture
def server(run, tmp_path, monkeypatch):
    record = wandb_record.WandbRecord(run / "run.json", wandb_record.TRAINING)
    record.opened("online", "log", f"us/caricature/{record.id}")
    sweep = run / "sweeps/s"
    ranking = json.loads((sweep / "ranking.json").read_text())
    scores = {name: 0.5 for name in ("cari", "s", "r", "c")}
    ranking |= {"recommended": ranking["recommended"] | scores, "below_best": 0.01}
    (sweep / "ranking.json").write_text(json.dumps(ranking))
    (sweep / "best.safetensors").write_bytes(b"network")
    with WandbServer() as server:
        server.set_for_client(monkeypatch, tmp_path / "home")
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


def test_what_was_shown_in_part_is_shown_again_and_what_was_shown_whole_is_not(run, server, monkeypatch):
    def show(folder):
        return show_sweep(folder / "sweeps/s", mode="auto", project=None, config={})

    def sentence():
        (summary,) = (r for r in server.runs.values() if r["jobType"] == "sweep-summary")
        return json.loads(summary["summary"]).get("sentence")

    path = run / "sweeps/s/cells.jsonl"
    jsonl(path, [row for line in path.read_text().splitlines() if (row := json.loads(line))["resolution"] == 8])
    with monkeypatch.context() as patch:
        patch.setattr(WandbRun, "summary", lambda self, values: self._mirror(lambda run: 1 / 0))
        assert "online" in show(run) and sentence() is None
    assert shown_blend(path.parent) is None, "not wholly"
    assert "continued" in show(run) and sentence() == "Use kimg-1 at 16, it is best."
    assert show(run) == "Weights & Biases has this ranking already"
    assert shown_blend(path.parent) == f"us/caricature/{group_of(run)}-s:best"
    record = json.loads((path.parent / "wandb.json").read_text())
    record["summary"]["mode"] = "offline"  # as a sitting without network leaves it
    (path.parent / "wandb.json").write_text(json.dumps(record))
    assert show(run) == "an offline log of Weights & Biases holds this ranking already"
    assert shown_blend(path.parent) is None
    assert "new: the folder is a copy" in show(shutil.copytree(run, run.with_name("copy")))
