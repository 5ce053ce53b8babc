"""One training is one run in W&B, however many sittings: no row twice, none missing, whatever the server does."""

import json
import shutil
import time
from types import SimpleNamespace

import pytest

from src.tracking import open_tracker, read_rows, wandb_run, wandb_session
from src.tracking.artifacts import snapshots_artifact
from src.tracking.wandb_record import TRAINING, WandbRecord, known_run

from .conftest import at_length
from .wandb_server import SLOW_SEC, WandbServer

ROWS = range(0, 500, 10)


@pytest.fixture
def server(tmp_path, monkeypatch):
    with WandbServer() as server:
        server.set_for_client(monkeypatch, tmp_path / "home")
        yield server


def sitting(run_dir, start, stop, *, mode="auto", fails=lambda: None):
    """Train from the checkpoint at `start` to `stop`; a snapshot every 50 images."""
    tracker = open_tracker(run_dir, config={}, mode=mode)
    tracker.go_on_at(start)
    for nimg in ROWS:
        if start < nimg <= stop:
            tracker.log({"loss/G": nimg / 7}, nimg / 1000, nimg)
            if nimg % 50 == 0:
                row = {
                    "snapshot": f"{nimg}.safetensors",
                    "sample": f"samples/{nimg}.jpg",
                    "protocol": {},
                    "kid": nimg / 3,
                }
                tracker.snapshot(row, nimg / 1000, nimg)
            if nimg == (start + stop) // 2:
                fails()
    began = time.time()
    tracker.finish()
    return tracker.status, time.time() - began


def assert_shows(server, run_dir):
    """W&B has the rows of the folder, each once, as one run."""
    (id,) = server.runs
    assert known_run(run_dir / "run.json")["id"] == id
    for file, key in (("log.jsonl", "loss/G"), ("metrics.jsonl", "metrics/kid")):
        ours = [(row["nimg"], row["kimg"], row[key.removeprefix("metrics/")]) for row in read_rows(run_dir / file)]
        theirs = [(row["nimg"], row["kimg"], row[key]) for row in server.rows(id, key)]
        assert theirs == ours
        assert [row["_step"] for row in server.rows(id, key)] == [nimg for nimg, *_ in ours]


def test_three_sittings_are_one_run_without_a_kimg_twice(server, tmp_path):
    first, _ = sitting(tmp_path / "run", -1, 200)
    second, _ = sitting(tmp_path / "run", 150, 300)  # from a checkpoint before the last row that was sent
    third, _ = sitting(tmp_path / "run", 300, 490)
    assert first.endswith("(new)") and second.endswith("(continued)") and third.endswith("(continued)")
    assert_shows(server, tmp_path / "run")


@pytest.mark.parametrize("fault", ["silent", "full", *(pytest.param(f, marks=at_length) for f in ("gone", "refusing"))])
def test_a_server_that_fails_delays_nothing_and_the_next_sitting_catches_up(server, tmp_path, monkeypatch, fault):
    def fails():
        server.fault = fault

    with monkeypatch.context() as impatient:
        impatient.setitem(wandb_session.DEFAULTS, "finish_timeout", 1.0)
        impatient.setattr(wandb_run, "FINISH_TIMEOUT_SEC", 1.0)
        impatient.setattr(wandb_run, "GRACE_SEC", 1.0)
        _, waited = sitting(tmp_path / "run", -1, 200, fails=fails)
    assert waited < 10
    assert [row["nimg"] for row in read_rows(tmp_path / "run/log.jsonl")] == list(range(0, 201, 10))
    server.fault = None
    sitting(tmp_path / "run", 160, 300)
    assert_shows(server, tmp_path / "run")


def test_a_slow_server_delays_no_iteration_and_gets_all(server, tmp_path):
    server.fault = "slow"
    tracker = open_tracker(tmp_path / "run", config={}, mode="auto")
    tracker.go_on_at(-1)
    began = time.time()
    for nimg in ROWS:
        tracker.log({"loss/G": nimg / 7}, nimg / 1000, nimg)
    assert time.time() - began < len(ROWS) * SLOW_SEC / 5, "fifty iterations wait for no answer"
    tracker.finish()
    assert "online" in tracker.status
    assert_shows(server, tmp_path / "run")


def test_what_was_pruned_here_is_deleted_there(server, tmp_path, monkeypatch):
    """From versions as W&B's API lists them: the best and the latest stay whatever they are."""
    deleted, asked = [], []
    names = [["kimg-0.05"], ["kimg-0.1"], ["kimg-0.15", "best"], ["kimg-0.2", "latest"], []]
    versions = [SimpleNamespace(aliases=a, delete=lambda a=a: deleted.append(a)) for a in names]
    api = SimpleNamespace(artifact_collection_exists=lambda *_: True, artifacts=lambda *a: asked.append(a) or versions)
    monkeypatch.setattr("wandb.Api", lambda **_: api)
    tracker = open_tracker(tmp_path / "run", config={}, mode="auto")
    tracker.go_on_at(-1)
    tracker.keep_only([0.05])
    tracker.finish()
    assert deleted == [["kimg-0.1"], []]
    assert asked == [("model", f"us/caricature/{snapshots_artifact(tmp_path / 'run')}")]


def test_a_killed_offline_sitting_hands_over_again_what_its_log_lacks(tmp_path):
    sitting(tmp_path / "run", -1, 200, mode="offline")
    (log,) = tmp_path.glob("run/wandb/offline-run-*/run-*.wandb")
    file = tmp_path / "run/run.json"
    record = WandbRecord(file, TRAINING)
    assert record.first == 201 and record.news == ""
    facts = json.loads(file.read_text())
    facts[TRAINING] |= {"log": str(log), "first": 0}  # as a killed sitting leaves it
    file.write_text(json.dumps(facts))
    assert WandbRecord(file, TRAINING).first == 201
    with open(log, "r+b") as opened:
        opened.truncate(7)
    assert WandbRecord(file, TRAINING).first == 0
    assert not log.parent.exists()  # `wandb sync` would take nothing with it


@pytest.fixture
def recorded(tmp_path):
    """A folder with an offline sitting."""
    folder = tmp_path / "run"
    folder.mkdir()
    record = WandbRecord(folder / "run.json", TRAINING)
    assert record.news == "new" and record.first == 0
    record.opened("offline", "log", None)
    record.closed(100)
    return folder, record.id


def test_a_moved_folder_goes_on_and_a_copied_one_is_a_new_run(recorded, tmp_path):
    folder, id = recorded
    copy = WandbRecord(shutil.copytree(folder, tmp_path / "copy") / "run.json", TRAINING)
    assert copy.id != id and copy.first == 0 and copy.news == "new: the folder is a copy"
    moved = WandbRecord(folder.rename(tmp_path / "moved") / "run.json", TRAINING)
    assert (moved.id, moved.first, moved.news) == (id, 100, "")


def test_the_id_of_the_environment_rules(recorded):
    folder, id = recorded
    other = WandbRecord(folder / "run.json", TRAINING, given_id="theirs")
    assert (other.id, other.first, other.news) == ("theirs", 0, "new: WANDB_RUN_ID")
    same = WandbRecord(folder / "run.json", TRAINING, given_id=id)
    assert (same.id, same.first, same.news) == (id, 100, "")


def test_a_run_that_shows_something_else_does_not_go_on(tmp_path):
    cells = {0: "a", 100: "b"}

    def record():
        return WandbRecord(
            tmp_path / "wandb.json", "8", shown=lambda nimg: str([v for k, v in cells.items() if k < nimg])
        )

    first = record()
    first.opened("offline", "log", None)
    first.closed(101)
    cells[200] = "c"  # a later snapshot
    assert record().id == first.id
    cells[50] = "d"  # an earlier one
    assert record().news == "new: it shows something else" and record().first == 0


def test_after_an_offline_sitting_a_server_does_not_know_of_all_rows(recorded):
    folder, _ = recorded
    record = WandbRecord(folder / "run.json", TRAINING)
    record.found_on_server(40)
    assert record.first == 100
    record.opened("online", "log", "us/p/id")
    record = WandbRecord(folder / "run.json", TRAINING)
    record.found_on_server(40)
    assert record.first == 40
