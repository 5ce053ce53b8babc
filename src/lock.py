"""One process at a time: an advisory lock on a file, held by the kernel, so that none is left behind by a crash.

A machine or process that freezes gives nothing back. So who holds a lock shows a sign of life: it sets the file's time
now and then. Another that sees none for a minute, by its own clock alone, takes the lock over by putting a new file in
its place; the frozen one, should it wake, finds that out before it writes (`Claim`).

Where a file system has no locks a note says so, and the work goes on without.
"""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UserError

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what a file system without locks answers
POLL_SEC = 0.2
BEAT_SEC = 1.0  # between signs of life
PATIENCE_SEC = 60.0  # without one


@contextmanager
def exclusive(path: Path, *, waiting: Callable[[], None] = lambda: None) -> "Iterator[Claim]":
    """Hold the lock file `path`, in a folder that exists, while the block runs; it is removed afterwards.

    The kernel gives the lock back when its process ends, however it ends: a lock file that lies about is not held. When
    another process holds it and has shown a sign of life, `waiting` is called once, before waiting for it. Yielded is
    the `Claim`, which knows whether it is still held. An OSError when the file cannot be made.
    """
    with _attempt(path) or _waited(path, waiting) as claim:
        yield claim


@contextmanager
def attempt(path: Path) -> "Iterator[Claim | None]":
    """Hold the lock file `path` as `exclusive` does, unless another process holds it: then yield None."""
    with _attempt(path) or nullcontext() as claim:
        yield claim


def remove_left(folder: Path) -> None:
    """Delete the hidden lock files of killed processes in a folder: one that nobody holds goes as it is given back."""
    for path in folder.glob(".*.lock"):
        with attempt(path):
            pass


class Claim:
    """A lock that this process has taken, made when it takes it: whether it still holds it.

    Where there is no lock file (a file system without locks) nothing is ever found.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._inode = path, _inode(path)

    def check(self) -> None:
        """See that the lock is still this process's; a UserError when another has taken it over."""
        if self._inode is not None and _inode(self.path) != self._inode:
            raise UserError(
                f"{self.path.parent}: another process has taken over, as this one showed no sign of life for "
                f"{PATIENCE_SEC:g} s; this one stops, and has written nothing since"
            )


def _attempt(path: Path) -> AbstractContextManager[Claim] | None:
    """Take the lock for a block, unless another process holds it."""
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        path.unlink(missing_ok=True)
        _note_no_locks(path.parent)
        return nullcontext(Claim(path))
    return _kept(path, lock)


@cache
def _note_no_locks(folder: Path) -> None:
    print(f"note       {folder}: the file system has no locks; work there with one process at a time", flush=True)


@contextmanager
def _kept(path: Path, lock: FileLock) -> Iterator[Claim]:
    """Show signs of life while the block runs, then give the lock back."""
    claim, ended = Claim(path), threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SEC):
            with suppress(OSError, UserError):
                claim.check()
                os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield claim
    finally:
        ended.set()
        thread.join()
        with suppress(OSError, UserError):  # Windows removes no open file
            claim.check()
            path.unlink()  # while it is still held: who waits for it sees that it is gone
        lock.release()


def _waited(path: Path, waiting: Callable[[], None]) -> AbstractContextManager[Claim]:
    """Wait for a lock that another process holds; without a sign of life its file is taken out of the way."""
    seen, silent, told, last = _state(path), 0.0, False, time.monotonic()
    while (held := _attempt(path)) is None:
        time.sleep(POLL_SEC)
        moment = time.monotonic()
        silent += min(moment - last, 2 * POLL_SEC)  # while this process was stopped itself it saw nothing
        last, now = moment, _state(path)
        if now != seen:
            seen, silent = now, 0.0
            if not told:
                waiting()
                told = True
        elif silent >= PATIENCE_SEC:
            print(f"note       {path}: no sign of life of its process for {PATIENCE_SEC:g} s: taken over", flush=True)
            with suppress(OSError):  # Windows removes no open file
                path.unlink()
            silent = 0.0
    return held


def _state(path: Path) -> tuple[int, int] | None:
    """Which file a lock is, and its last sign of life: the time of reading, which trying to lock it leaves alone.

    It is opened first, as network file systems then ask their server.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_ino, status.st_atime_ns


def _inode(path: Path) -> int | None:
    state = _state(path)
    return None if state is None else state[0]
