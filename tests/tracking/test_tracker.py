"""The local files are the truth; W&B holds the same rows; nothing prompts, hangs, or stops a run."""

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from src.errors import UserError
from src.tracking import open_tracker, read_rows
from src.tracking.wandb_run import WandbRun

from .wandb_logs import records

SNAPSHOT = {"snapshot": "x.safetensors", "sample": "samples/x.jpg", "protocol": {}}


def test_rows_are_appended_and_non_finite_numbers_are_marked(tmp_path):
    tracker = open_tracker(tmp_path, config={}, mode="disabled")
    tracker.log({"loss/G": 1.5}, 0.1, 100)
    tracker.log({"loss/G": float("nan"), "loss/D": 2.0}, 0.2, 200)
    rows = read_rows(tmp_path / "log.jsonl")
    assert rows[0] == {"kimg": 0.1, "nimg": 100, "loss/G": 1.5}
    assert rows[1] == {"kimg": 0.2, "nimg": 200, "loss/G": None, "loss/D": 2.0, "nonfinite": ["loss/G"]}
    assert not (tmp_path / "wandb").exists()


def test_resuming_drops_the_rows_after_the_checkpoint(tmp_path):
    tracker = open_tracker(tmp_path, config={}, mode="disabled")
    for nimg in (100, 200, 300):
        tracker.log({"x": 1.0}, nimg / 1000, nimg)
        tracker.snapshot({**SNAPSHOT, "kid": 0.1}, nimg / 1000, nimg)
    tracker.go_on_at(200)
    assert [row["nimg"] for row in read_rows(tmp_path / "log.jsonl")] == [100, 200]
    assert [row["nimg"] for row in tracker.read_metrics()] == [100, 200]


def test_a_line_cut_short_is_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"nimg": 1}\n{"nimg": 2, "lo')
    assert read_rows(tmp_path / "log.jsonl") == [{"nimg": 1}]
    assert read_rows(tmp_path / "absent.jsonl") == []


def test_lines_that_are_no_rows_are_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"kimg": 1}\n5\n[2]\nnull\n{"kimg": 2}\n')
    assert read_rows(tmp_path / "log.jsonl") == [{"kimg": 1}, {"kimg": 2}]


def test_another_mode_is_refused(tmp_path):
    with pytest.raises(UserError, match="choose one of auto"):
        open_tracker(tmp_path, config={}, mode="sometimes")


def test_a_failing_server_does_not_stop_the_run(tmp_path, capsys):
    tracker = open_tracker(tmp_path, config={}, mode="disabled")

    class Broken:
        starting_step = 0

        def log(self, *_, **__):
            raise ConnectionError("gone")

    tracker._wandb_run = WandbRun(Broken())
    tracker.log({"x": 1.0}, 0.1, 100)
    tracker.log({"x": 1.0}, 0.2, 200)
    tracker.finish()
    assert capsys.readouterr().out.count("the local files go on") == 1
    assert len(read_rows(tmp_path / "log.jsonl")) == 2


def test_wandb_holds_the_same_rows_offline_without_asking(tmp_path, monkeypatch):
    """Of a run whose names are longer than those that W&B takes."""
    folder = tmp_path / ("run" * 50)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    started = time.time()
    tracker = open_tracker(folder, config={"seed": 0}, mode="auto", tags=["faces" * 20, ""])
    assert time.time() - started < 30
    assert "offline (no key" in tracker.status
    for kimg in (0.0, 1.0, 2.0):
        row = {**SNAPSHOT, "kid": 0.5 - kimg / 10, "kid_error": 0.25, "frechet": 3.0, "best": True}
        tracker.snapshot(row, kimg, int(kimg * 1000))
    tracker.log({"loss/G": 1.25}, 2.0, 2000)
    tracker.finish()
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    rows = [record["history"]["item"] for record in records(file) if record["type"] == "history"]
    theirs = [(r["kimg"], r["metrics/kid"], r["metrics/frechet"]) for r in rows if "metrics/kid" in r]
    ours = [(r["kimg"], r["kid"], r["frechet"]) for r in tracker.read_metrics()]
    assert theirs == ours
    bands = [(r["metrics/kid_low"], r["metrics/kid_high"]) for r in rows if "metrics/kid" in r]
    assert bands == [(kid - 0.25, kid + 0.25) for _, kid, _ in ours]
    assert [r["loss/G"] for r in rows if "loss/G" in r] == [1.25]


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A home and a folder to work in, in which nothing is set for W&B."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def refusing(monkeypatch):
    """A server that refuses every key without a word; what it was asked."""
    asked = []

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.path)
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        yield asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("place", ["work/wandb/settings", "home/.config/wandb/settings"])
@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_wandb_offline_and_wandb_disabled_are_obeyed(surroundings, refusing, mode, place):
    path = surroundings / place
    path.parent.mkdir(parents=True)
    path.write_text(f"[default]\nmode = {mode}\n")
    tracker = open_tracker(surroundings / "run", config={}, mode="auto")
    tracker.finish()
    expected = "local files alone" if mode == "disabled" else "Weights & Biases offline"
    assert tracker.status.startswith(f"{expected} (W&B's settings file says so)")
    assert bool(list(surroundings.glob("run/wandb/offline-run-*"))) == (mode == "offline")
    assert not [path for path in refusing if "graphql" in path]
    if mode == "disabled":  # what is typed stands above
        with pytest.raises(UserError, match=r"tracker\.mode=online: Weights & Biases cannot be reached"):
            open_tracker(surroundings / "run", config={}, mode="online")


def test_a_refused_key_says_so(surroundings, refusing):
    tracker = open_tracker(surroundings / "run", config={}, mode="auto")
    tracker.finish()
    assert tracker.status.startswith("Weights & Biases offline (the key is refused: `wandb login --relogin`), run ")
    with pytest.raises(UserError, match=r"tracker\.mode=online: .*the key is refused"):
        open_tracker(surroundings / "run", config={}, mode="online")
    assert refusing


def test_what_is_set_for_wandb_stands_and_what_is_typed_stands_above(surroundings, monkeypatch):
    def opened(**options):
        tracker = open_tracker(surroundings / "run", config={}, mode="offline", tags=["a"], **options)
        run = tracker._wandb_run._run
        found = (run.id, run.project, run.name, run.group, run.tags, Path(run.dir).parents[1])
        tracker.finish()
        return found

    id, *usual = opened()
    assert usual == ["caricature", "run", f"run-{id}", ("a",), surroundings / "run/wandb"]
    (surroundings / "theirs").mkdir()
    theirs = {"RUN_ID": "i", "PROJECT": "p", "NAME": "n", "RUN_GROUP": "g", "TAGS": "t,u"}
    theirs["DIR"] = str(surroundings / "theirs")
    for key, value in theirs.items():
        monkeypatch.setenv(f"WANDB_{key}", value)
    assert opened() == ("i", "p", "n", "g", ("t", "u"), surroundings / "theirs/wandb")
    assert opened(project="typed")[1] == "typed"


def test_online_without_a_key_does_not_ask(surroundings, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("asked"))
    with pytest.raises(UserError, match=r"tracker\.mode=online: .* \(no key"):
        open_tracker(surroundings / "run", config={}, mode="online")


def test_auto_without_an_answering_server_is_offline(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    started = time.time()
    tracker = open_tracker(tmp_path, config={}, mode="auto")
    assert "offline (127.0.0.1 does not answer" in tracker.status
    assert time.time() - started < 20
    tracker.finish()
