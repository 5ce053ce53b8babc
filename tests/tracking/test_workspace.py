"""W&B's page of a training, arranged: all that is logged where one looks for it; without a server it is written."""

import json

import pytest

from src.errors import UserError
from src.tracking import workspace

reports = pytest.importorskip("wandb_workspaces.reports.v2")
workspaces = pytest.importorskip("wandb_workspaces.workspaces")
RECORD = {"id": "abc", "first": 0, "mode": "online", "log": None, "path": "ann/cartoons/abc"}


def keys_in(value, name):
    """Values under a name, anywhere in nested data."""
    parts = value.items() if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else ()
    return [part for key, part in parts if key == name] + [k for _, part in parts for k in keys_in(part, name)]


def test_without_a_server_it_is_said_in_a_line_and_written(run, capsys):
    workspace.main([f"run={run}"])
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and "not saved (my-run was never online" in printed
    sent = json.loads((run / workspace.WRITTEN).read_text())
    assert sent.keys() == {"workspace", "report"}
    for page in sent.values():
        text = json.dumps(page)
        assert "my-run" in str(keys_in(page, "filters")) and all(f'"{name}"' in text for name in workspace.LINES)
        assert {"metrics/kid", "score/cari", "loss/D"} <= {key for keys in keys_in(page, "metrics") for key in keys}
        assert set(keys_in(page, "x_axis")) >= {"kimg"}
        assert "snapshots" in text and "sweep/cells" in text and "samples" in text


def test_with_a_server_both_are_saved_for_the_runs_group(run, monkeypatch, capsys):
    class Session:
        mode, origin = "online", "W&B"

        def log_in(self):
            pass

    saved = []
    record = workspace.known_run(run / "run.json")
    assert record == {}
    monkeypatch.setattr(workspace, "known_run", lambda file: RECORD)
    monkeypatch.setattr(workspace, "group_of", lambda folder: "my-run-abc")
    monkeypatch.setattr(workspace, "WandbSession", Session)
    for kind in (workspaces.Workspace, reports.Report):
        monkeypatch.setattr(kind, "save", lambda page: saved.append(page))
        monkeypatch.setattr(kind, "url", property(lambda page: f"https://w/{page.entity}/{page.project}"))
    workspace.main([f"run={run}"])
    assert [(page.entity, page.project) for page in saved] == [("ann", "cartoons")] * 2
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["workspace  https://w/ann/cartoons", "report     https://w/ann/cartoons"]
    assert not (run / workspace.WRITTEN).exists()


def test_mistakes_are_one_line(run):
    for argument, words in (("mine", "mine: give run=NAME"), ("runs=x", "runs=x: there is no such option")):
        with pytest.raises(UserError, match=words):
            workspace.main([argument])
