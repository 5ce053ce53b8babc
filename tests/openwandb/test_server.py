"""Trainings and a sweep on a real server: openwandb, a server for W&B's client on SQLite (`make test-wandb`).

It is a tool of these tests alone (its licence is non-commercial). It keeps rows as they come and knows nothing of
resumed runs, groups and lineage: what needs those is tested with `tests/tracking/wandb_server.py`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from urllib.parse import quote

import pytest

from src.tracking import read_rows
from src.tracking.wandb_record import known_run
from tests.scripts import ROOT

KEY = "local0000000000000000000000000000000000000000"  # openwandb's, of a fresh data folder
QUICK = [
    "experiment=debug",
    "tracker=wandb",
    "trainer.progress=false",
    "log_kimg=0.008",
    "snapshot.kimg=0.016",
    "snapshot.keep_best=null",
    "run=run",
]
pytestmark = [
    pytest.mark.skipif("OPENWANDB" not in os.environ, reason="make test-wandb"),
    pytest.mark.timeout(1200),  # several trainings
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a server that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("openwandb")
    command = [os.environ["OPENWANDB"], "serve", "--host", "127.0.0.1", "--port", str(port)]
    env = {**os.environ, "HOME": str(data), "OPENWANDB_DATA_DIR": str(data / "data")}
    with open(data / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
    url = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(url, timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    yield url
    process.terminate()
    process.wait()


class Bench:
    """Commands in a folder of their own, with nothing set for W&B but what is said."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        self.env = {**kept, "HOME": str(folder / "home"), "WANDB_BASE_URL": server, "WANDB_API_KEY": KEY}
        self.env["PYTHONPATH"] = str(ROOT)

    def start(self, *command, **env):
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.folder, env=self.env | env, stdout=subprocess.PIPE, text=True
        )

    def run(self, *command, **env):
        process = self.start(*command, **env)
        out, _ = process.communicate(timeout=280)
        assert process.returncode == 0, out
        return out

    def train(self, *options, **env):
        return self.run(str(ROOT / "train.py"), *QUICK, f"paths.runs={self.folder}", *options, **env)

    def kill_a_sitting(self, *options, **env):
        """Kill a training when it has written a row beyond its last checkpoint."""
        log = self.folder / "run" / "log.jsonl"
        before = len(read_rows(log))
        process = self.start(str(ROOT / "train.py"), *QUICK, f"paths.runs={self.folder}", *options, **env)
        while process.poll() is None and len(read_rows(log)) < before + 3:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def ask(self, path):
        request = urllib.request.Request(f"{self.server}{path}", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def runs(self):
        """The server's runs of the project, by id."""
        found = self.ask("/api/v2/projects/default/caricature/runs")
        return {run["run_id"]: run for run in found["runs"]}

    def series(self, id, key):
        """(step, value) of a key."""
        rows = self.ask(f"/api/v2/runs/{id}/metrics?key={quote(key, safe='')}")["metrics"]
        return [(row["step"], row["value"]) for row in rows]

    def assert_shows(self, run_dir):
        """The server has the folder's rows, each once, as one run."""
        id = known_run(run_dir / "run.json")["id"]
        for file, key, theirs in (("metrics.jsonl", "kid", "metrics/kid"), ("log.jsonl", "loss/G", "loss/G")):
            ours = [(row["nimg"], pytest.approx(row[key])) for row in read_rows(run_dir / file)]
            assert ours and self.series(id, theirs) == ours
        return id


def test_three_sittings_one_killed_then_a_sweep(server, tmp_path):
    bench = Bench(tmp_path, server)
    assert "(new)" in bench.train("total_kimg=0.032")
    bench.kill_a_sitting("total_kimg=0.128")
    assert "(continued)" in bench.train("total_kimg=0.128")
    id = bench.assert_shows(tmp_path / "run")
    assert [name for name in bench.runs() if name == id] == [id]
    options = ["run=run", "n_latents=64", "landmarks=network", "blend.res=8,16", f"paths.runs={tmp_path}"]
    assert "Weights & Biases online" in bench.run(str(ROOT / "sweep.py"), *options)
    (sweep,) = tmp_path.glob("run/sweeps/*")
    cells = read_rows(sweep / "cells.jsonl")
    for resolution in (8, 16):
        ours = [(row["kimg"] * 1000, pytest.approx(row["cari"])) for row in cells if row["resolution"] == resolution]
        assert bench.series(known_run(sweep / "wandb.json", f"res-{resolution}")["id"], "score/cari") == ours


def test_offline_sittings_are_synced_as_one_run(server, tmp_path):
    bench = Bench(tmp_path, server)
    assert "offline" in bench.train("total_kimg=0.032", WANDB_MODE="offline")
    bench.kill_a_sitting("total_kimg=0.128", WANDB_MODE="offline")
    bench.train("total_kimg=0.128", WANDB_MODE="offline")
    logs = sorted(path.parent for path in tmp_path.glob("run/wandb/offline-run-*/run-*.wandb"))
    assert len(logs) in (2, 3)  # of the killed one there may be nothing
    bench.run("-m", "wandb", "sync", "--yes", *map(str, logs))
    bench.assert_shows(tmp_path / "run")
