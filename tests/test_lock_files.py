"""Locks: one holder at a time, free after a crash, taken over from a process that froze, which then finds out."""

import errno
import fcntl
import itertools
import multiprocessing
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from src import lock
from src.errors import UserError
from src.lock import attempt, exclusive

from .scripts import ROOT

PATIENCE_SEC = 2.0  # longer than a busy machine may leave a process without its turn


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SEC", 0.05)
    monkeypatch.setattr(lock, "POLL_SEC", 0.02)
    monkeypatch.setattr(lock, "PATIENCE_SEC", PATIENCE_SEC)


def hold(path, told):
    """In a process of its own: hold a lock until told otherwise, then say whether it is still held."""
    with exclusive(path) as claim:
        told.send("held")
        told.recv()
        try:
            claim.check()
            told.send("mine")
        except UserError as error:
            told.send(str(error))


@pytest.fixture
def holder(tmp_path):
    """A process that holds `tmp_path / "lock"`: it, and the pipe to it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path / "lock", theirs))
    process.start()
    assert ours.recv() == "held"
    yield process, ours
    process.kill()
    process.join()


def test_a_living_holder_is_waited_for(tmp_path, holder):
    _, pipe = holder
    with attempt(tmp_path / "lock") as held:
        assert not held
    later = threading.Timer(1.2 * PATIENCE_SEC, pipe.send, ["go on"])
    with exclusive(tmp_path / "lock", waiting=later.start):
        assert pipe.recv() == "mine"
    assert not (tmp_path / "lock").exists()


def test_a_killed_holder_leaves_nothing(tmp_path, holder):
    process, _ = holder
    process.kill()
    process.join()
    with attempt(tmp_path / "lock") as held:
        assert held


def test_a_frozen_holder_loses_the_lock_and_finds_out(tmp_path, holder, capsys, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_SEC", 0.5)
    process, pipe = holder
    os.kill(process.pid, signal.SIGSTOP)
    with exclusive(tmp_path / "lock", waiting=lambda: pytest.fail("it showed a sign of life")):
        assert "no sign of life" in capsys.readouterr().out
        os.kill(process.pid, signal.SIGCONT)
        pipe.send("go on")
        assert "another process has taken over" in pipe.recv()
        process.join()
        assert (tmp_path / "lock").exists(), "the one that woke up has not removed the lock of the other"


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_clocks_that_jump_say_nothing(tmp_path, holder, monkeypatch, jump):
    """Signs of life are changes, timed by this process's own clock."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    os.utime(tmp_path / "lock", (now() + jump, now() + jump))
    _, pipe = holder
    later = threading.Timer(20 * lock.POLL_SEC, pipe.send, ["go on"])  # looks between two signs of life among them
    with exclusive(tmp_path / "lock", waiting=later.start):
        assert pipe.recv() == "mine"


def test_what_was_slept_through_is_no_silence(tmp_path, holder, monkeypatch):
    """A process that waits and the one that it waits for, frozen together, wake up in any order."""
    moments = itertools.count(step=1e6)  # of a clock that went on meanwhile
    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: next(moments), sleep=time.sleep))
    _, pipe = holder
    later = threading.Timer(20 * lock.POLL_SEC, pipe.send, ["go on"])  # looks between two signs of life among them
    with exclusive(tmp_path / "lock", waiting=later.start):
        assert pipe.poll(10) and pipe.recv() == "mine", "taken over from a process that lives"


def test_nothing_is_timed_by_a_clock_that_jumps():
    assert [path for path in (ROOT / "src").rglob("*.py") if "time.time()" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_once_and_used_without(tmp_path, monkeypatch, capsys, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    for name in ("a", "b"):
        with exclusive(tmp_path / name) as claim:
            claim.check()
        with attempt(tmp_path / name) as held:
            assert held
    said = f"note       {tmp_path}: the file system has no locks; work there with one process at a time\n"
    assert capsys.readouterr().out == said
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_is_no_file_system_without_locks(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), exclusive(tmp_path / "lock"):
        pytest.fail("not held")
