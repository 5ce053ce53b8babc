"""Jobs that share the pictures of one set: the same bytes as by one process, whatever becomes of a job."""

import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import pytest

from src import lock
from src.cli import compose_config
from src.errors import UserError
from src.lock import attempt
from src.prepare import ferg_choice, main, share
from src.prepare.work_folder import Unfinished

from ..scripts import ROOT, start
from .drawn_pictures import face, screenshot
from .trees import encoded, ferg_tree, noise, write_files


class Killed(BaseException):
    """As good as kill -9: nobody catches it."""


def folder(tmp_path):
    files = {f"{i}.png": encoded(noise(i, 40)) for i in range(7)} | {"bad.png": b"no picture", "copy.png": b""}
    write_files(tmp_path / "in", files | {"copy.png": files["3.png"]})
    return ["resolution=16", "dedupe=1"]


def ferg(tmp_path):
    ferg_tree(tmp_path / "in", 3)
    (tmp_path / "in/aia/aia_joy/aia_joy_2.png").write_bytes(b"no picture")
    return ["dataset=ferg", "resolution=16", "count=60"]


def yuanshen(tmp_path):
    shots = {"a.png": [(face(1), 100, 110), (face(2, 80), 400, 120)], "b.png": [(face(3), 300, 100)], "none.png": []}
    write_files(tmp_path / "in", {name: screenshot(*faces) for name, faces in shots.items()})
    return ["dataset=yuanshen", "resolution=32", "faces.detector=tests.prepare.drawn_pictures:find"]


@pytest.mark.parametrize("kind", [folder, ferg, yuanshen])
def test_jobs_make_the_same_set_and_a_killed_one_changes_nothing(tmp_path, monkeypatch, capsys, kind):
    options = [f"source={tmp_path}/in", *kind(tmp_path)]
    whole, shared = (compose_config("prepare", [*options, f"out={tmp_path}/{n}/set.zip"]) for n in ("whole", "shared"))
    main(whole)
    add, added = Unfinished.add, []

    def counted(self, number, record, png):
        added.append(number)
        if len(added) == 2:  # by the first job
            raise Killed
        add(self, number, record, png)

    monkeypatch.setattr(Unfinished, "add", counted)
    with pytest.raises(Killed):
        share(shared, 0, 2)
    kept, lost = added
    share(shared, 1, 2)
    assert not {kept, lost} & {*added[2:]}
    there = len(added) - 1
    capsys.readouterr()
    main(shared)
    assert f"continuing: {there} pictures were done before\n" in capsys.readouterr().out
    assert lost in added[there + 1 :], "the command makes what the job has left"
    found = {path.relative_to(tmp_path / "shared") for path in (tmp_path / "shared").rglob("*")}
    assert found == {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}
    for path in (path for path in found if path.suffix in (".zip", ".jpg")):
        assert (tmp_path / "shared" / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()
    before = len(added)
    share(shared, 0, 2)  # one that starts when all is over
    assert len(added) == before and len(list((tmp_path / "shared").iterdir())) == 2


def test_a_part_is_one_jobs_and_the_set_waits_for_it(tmp_path, monkeypatch, capsys):
    config = compose_config("prepare", [f"source={tmp_path}/in", f"out={tmp_path}/set.zip", *folder(tmp_path)])
    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "add", lambda *_: pytest.fail("made"))
        (work := tmp_path / ".set.zip.unfinished").mkdir()
        (work / "key").write_text("of other options")
        with attempt(work / "part-0-of-2.lock"), pytest.raises(Waited):
            patch.setattr("src.lock._waited", lambda *_: raise_(Waited))
            main(config)  # which would take the folder away from under the job
        assert (work / "key").read_text() == "of other options"


def others_first(monkeypatch, room, others):
    """Have `others` done by another process that holds the first lock which is asked for in a room."""
    waiting = [others]

    @contextmanager
    def exclusive(path, **how):
        if waiting:
            waiting.pop()()
        with lock.exclusive(path, **how) as claim:
            yield claim

    monkeypatch.setattr(f"src.prepare.{room}.exclusive", exclusive)


@pytest.mark.parametrize("work", [main, partial(share, number=0, count=2)])
def test_a_set_that_another_makes_meanwhile_is_not_made_again(tmp_path, monkeypatch, work):
    options = [f"source={tmp_path}/in", *folder(tmp_path)]
    main(compose_config("prepare", [*options, f"out={tmp_path}/theirs.zip"]))
    out = tmp_path / "set.zip"
    others_first(monkeypatch, "work_folder", lambda: (tmp_path / "theirs.zip").rename(out))
    monkeypatch.setattr(Unfinished, "add", lambda *_: pytest.fail("made again"))
    work(compose_config("prepare", [*options, f"out={out}"]))
    assert not list(tmp_path.glob(".set*"))


def test_a_command_with_nothing_to_do_leaves_jobs_of_other_options_their_folder(tmp_path):
    config = compose_config("prepare", [f"source={tmp_path}/in", f"out={tmp_path}/set.zip", *folder(tmp_path)])
    main(config)
    (work := tmp_path / ".set.zip.unfinished").mkdir()
    with attempt(work / "part-0-of-2.lock"):
        main(config)
        assert work.is_dir()
    main(config)
    assert not work.exists()


@pytest.mark.parametrize(("count", "good"), [(60, True), (126, False)])
def test_of_jobs_that_choose_the_most_different_frames_one_compares_them(tmp_path, monkeypatch, count, good):
    ferg_tree(tmp_path / "in", 3)
    (tmp_path / "in/aia/aia_joy/aia_joy_2.png").write_bytes(b"no picture")
    options = ["dataset=ferg", f"source={tmp_path}/in", "resolution=16", f"count={count}", "select=farthest"]
    config = compose_config("prepare", [*options, f"out={tmp_path}/set.zip"])
    compare, compared = ferg_choice._compare, []

    def alone(*arguments):
        with attempt(tmp_path / ".set.zip.unfinished/choice.lock") as ours:
            assert ours is None, "who comes now does not wait"
        compared.append(1)
        compare(*arguments)

    def job(number):
        if good:
            share(config, number, 3)
        else:
            with pytest.raises(UserError, match="ask for at most 125"):
                share(config, number, 3)

    monkeypatch.setattr(ferg_choice, "_compare", alone)
    others_first(monkeypatch, "ferg_choice", lambda: job(1))
    job(0)
    job(2)
    assert compared == [1]
    if good:
        main(config)
        assert compared == [1]
        monkeypatch.setattr(ferg_choice, "_compare", compare)
        main(compose_config("prepare", [*options, f"out={tmp_path}/whole.zip"]))
        assert (tmp_path / "set.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()


class Waited(Exception):
    pass


def raise_(kind):
    raise kind


@pytest.mark.script
def test_a_launcher_changes_nothing_in_the_set(tmp_path):
    """In an interpreter of its own: joblib's processes import what their parent's main module is."""
    options = [f"source={tmp_path}/in", *folder(tmp_path)]
    main(compose_config("prepare", [*options, f"out={tmp_path}/whole.zip"]))
    jobs = ["hydra/launcher=joblib", "hydra.sweeper.jobs=3", "hydra.launcher.n_jobs=2"]
    command = [sys.executable, ROOT / "prepare.py", *options, f"out={tmp_path}/shared.zip", *jobs]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and "continuing: 9 pictures were done before\n" in done.stdout, done.stderr
    assert (tmp_path / "shared.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("in", "shared-report", "shared.zip", "whole-report", "whole.zip"),
    ]


@pytest.mark.script
def test_options_of_jobs_without_jobs_are_refused(tmp_path):
    for script, option, hint in (
        ("prepare.py", "hydra.sweeper.jobs=3", "hydra/launcher=joblib"),
        ("train.py", "hydra/launcher=joblib", "-m, and several values"),
    ):
        more = [f"source={tmp_path}"] if script == "prepare.py" else []
        done = start(script, *more, option, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {option} has no effect on one run: add {hint}")
