"""A sweep in W&B: shown whenever W&B does not have all of it, whatever earlier commands were told to show."""

import pytest

from src.sweep.run import run_sweep

from ..tracking.wandb_server import WandbServer


@pytest.fixture
def server(tmp_path, monkeypatch):
    with WandbServer() as server:
        server.set_for_client(monkeypatch, tmp_path / "home")
        yield server


def test_a_sweep_that_was_first_made_without_a_tracker_is_shown_later(run_dir, server, capsys):
    options = {"snapshot": [1], "n_latents": 16, "gates": False}
    run_sweep(run_dir, (8,), tracker={"mode": "disabled"}, **options)
    assert not server.runs
    run_sweep(run_dir, (8,), tracker={"mode": "online"}, **options)
    assert {r["jobType"] for r in server.runs.values()} == {"sweep", "sweep-summary"}
    assert "scored 0 new cells, 1 reused" in capsys.readouterr().out
    run_sweep(run_dir, (8,), tracker={"mode": "online"}, **options)
    assert "tracking   Weights & Biases has this ranking already" in capsys.readouterr().out
