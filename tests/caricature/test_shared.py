"""Several processes that run the same command: each face is projected once, and one of them makes the results."""

import json
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from src import lock
from src.caricature import share
from src.caricature.projections import Projections
from src.caricature.results import results_folder
from src.caricature.run import caricature, main
from src.cli import compose_config
from src.errors import UserError
from src.files import MACHINE
from src.lock import attempt
from src.projection import ProjectionChoice, projector


def in_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ends(thread):
    thread.join(60)
    assert not thread.is_alive()


def times(folder, pattern):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob(pattern)}


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_another_process_is_at_is_left_to_it_and_taken_up_where_it_fails(settings, run_dir, capsys, monkeypatch):
    batches, project = [], projector._project_batch
    monkeypatch.setattr(projector, "_project_batch", lambda *a: batches.append(len(a[1])) or project(*a))
    folder = settings.out / "codes"
    folder.mkdir(parents=True)
    with attempt(folder / ".person-01.lock"):
        ours = in_thread(lambda: caricature(settings))
        until(lambda: "waiting for another process that projects person-01" in capsys.readouterr().out)
        assert sorted(times(folder, "*.npy")) == ["person-00.npy", "person-02.npy"]
    ends(ours)
    assert sorted(times(folder, "*.npy")) == ["person-00.npy", "person-01.npy", "person-02.npy"]
    assert batches == [2, 1] and not list(folder.glob(".*.lock"))


def test_who_was_taken_over_while_projecting_writes_nothing(settings, monkeypatch, tmp_path):
    project, codes = projector._project_batch, settings.out / "codes"

    def frozen(*arguments):
        (codes / ".person-01.lock").rename(tmp_path / "old")  # as another process does that sees no sign of life
        (codes / ".person-01.lock").touch()
        return project(*arguments)

    monkeypatch.setattr(projector, "_project_batch", frozen)
    with pytest.raises(UserError, match="another process has taken over"):
        caricature(settings)
    assert [path.name for path in codes.iterdir()] == [".person-01.lock"]
    assert not (settings.out / "projections.json").exists()


def test_who_projects_otherwise_into_the_same_folder_is_said(settings, monkeypatch):
    keep = Projections._keep

    def keep_and_lose(projections, *batch):
        keep(projections, *batch)
        rows = {name: {**row, "key": "of other options"} for name, row in projections.rows().items()}
        projections._path.write_text(json.dumps(rows))

    monkeypatch.setattr(Projections, "_keep", keep_and_lose)
    with pytest.raises(UserError, match=r"another process has projected person-00 otherwise .* its own out="):
        caricature(settings)


def test_jobs_project_a_part_each_and_a_killed_one_changes_nothing(settings, run_dir, holiday, tmp_path, monkeypatch):
    """To the byte where faces are projected one by one; in batches with other faces to rounding."""
    whole = caricature(replace(settings, projection=ProjectionChoice(steps=4, batch=1))).folder
    asked = [f"photos={holiday}", f"run={run_dir}", f"out={tmp_path / 'shared'}", f"paths.runs={run_dir.parent}"]
    asked += [
        "faces.align_px=128",
        "projection.steps=4",
        "projection.batch=1",
        "page.strengths=[0.0,1.0]",
        "page.resolutions=[8]",
    ]
    config = compose_config("caricature", asked)
    project, projected, killed = projector._project_batch, [], []

    def counted(*arguments):
        if killed:
            raise KeyboardInterrupt
        projected.append(len(arguments[1]))
        return project(*arguments)

    monkeypatch.setattr(projector, "_project_batch", counted)
    share(config, 0, 2)  # broken.jpg, person-00, person-02
    killed.append(1)
    with pytest.raises(KeyboardInterrupt):
        share(config, 1, 2)  # nobody, person-01
    assert len(json.loads((tmp_path / "shared/landmarks.json").read_text())) == 4
    killed.clear()
    main(config)
    assert projected == [1, 1, 1]
    for pattern in ("codes/*", "caricatures/*", "photos/*", "faces/*", "*.jpg", "landmarks.json", "index.html"):
        for path in whole.glob(pattern):
            assert (tmp_path / "shared" / path.relative_to(whole)).read_bytes() == path.read_bytes(), path
    assert len(list((tmp_path / "shared").rglob("*"))) == len(list(whole.rglob("*")))


def test_who_is_stopped_does_not_take_from_others_what_their_results_are_made_from(settings, run_dir, holiday):
    def stopped():
        with pytest.raises(KeyboardInterrupt), results_folder(settings, run_dir):
            raise KeyboardInterrupt

    with results_folder(settings, run_dir) as out:
        stopped()
        (out / "codes").mkdir(parents=True)
    assert json.loads((out / "source.json").read_text()) == {"made_from": str(holiday.resolve())}
    (out / "codes").rmdir()
    with results_folder(settings, run_dir):
        stopped()
    assert not out.exists()


def test_a_job_without_a_photograph_leaves_the_folder_to_the_others(settings, run_dir, holiday):
    asked = [f"photos={holiday}", f"run={run_dir}", f"out={settings.out}", f"paths.runs={run_dir.parent}"]
    share(compose_config("caricature", [*asked, "faces.align_px=128"]), 8, 9)
    assert [path.name for path in settings.out.iterdir()] == ["source.json"]


def test_what_killed_processes_left_goes(settings):
    caricature(settings)
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = [settings.out / "codes/.person-01.lock", settings.out / ".projections.json.lock"]
    places = (".", "caricatures", "codes", "faces", "photos")
    left += [settings.out / place / f".a.{MACHINE}-{dead.pid}.partial" for place in places]
    for path in left:
        path.touch()
    caricature(settings)
    assert not any(path.exists() for path in left)


def test_who_comes_second_does_not_render_again_what_is_the_same(settings, run_dir, capsys, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SEC", 0.05)
    monkeypatch.setattr(lock, "POLL_SEC", 0.02)
    first = caricature(settings)
    written = times(first.folder, "caricatures/*.png")
    for changes, said in (({}, "rendered   by another"), ({"feather": 0.3}, "rendering  3 faces")):
        with attempt(first.folder / ".results.lock"):
            second = in_thread(lambda changes=changes: caricature(replace(settings, **changes)))
            until(lambda: "waiting for another process that renders into this folder" in capsys.readouterr().out)
            assert second.is_alive()
        ends(second)
        assert said in capsys.readouterr().out
        assert (times(first.folder, "caricatures/*.png") == written) == (not changes)
