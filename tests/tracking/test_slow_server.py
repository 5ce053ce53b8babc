"""A server that stops answering: training goes on without it, and the program ends soon and says what W&B lacks."""

import time

import pytest

from src.tracking import read_rows
from src.tracking.wandb_run import GRACE_SEC
from src.tracking.wandb_session import FINISH_TIMEOUT_SEC

from ..scripts import begin, start
from .conftest import at_length
from .wandb_server import WandbServer

pytestmark = [pytest.mark.script, at_length]
QUICK = ["experiment=debug", "tracker=wandb", "trainer.progress=false", "run=run"]
TELEMETRY_SEC = 30  # of W&B's own client, at exit


@pytest.mark.timeout(600)
def test_training_and_its_end_do_not_wait_for_answers(tmp_path, monkeypatch):
    with WandbServer() as server:
        server.set_for_client(monkeypatch, tmp_path / "home")
        command = ["train.py", *QUICK, f"paths.runs={tmp_path}"]
        process = begin(*command)
        while not read_rows(tmp_path / "run/log.jsonl") and process.poll() is None:
            time.sleep(0.05)
        server.fault = "silent"  # a request waits longer than the training takes
        while "done:" not in process.printed() and process.poll() is None:
            time.sleep(0.05)
        began = time.time()
        out, _ = process.communicate(300)
        assert process.returncode == 0 and "the same command sends the rest later" in out
        assert time.time() - began < FINISH_TIMEOUT_SEC + 2 * GRACE_SEC + TELEMETRY_SEC
        server.fault = None
        (id,) = server.runs
        rows = read_rows(tmp_path / "run/log.jsonl")
        assert len(server.rows(id, "loss/G")) < len(rows)
        assert "(continued)" in start(*command).stdout
        assert [row["nimg"] for row in server.rows(id, "loss/G")] == [row["nimg"] for row in rows]
