"""One process at a time: an advisory lock on a file, held by the kernel, so that none is left behind by a crash."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

POLL_SEC = 0.2


@contextmanager
def exclusive(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path` while the block runs; it is removed afterwards.

    The kernel gives the lock back when its process ends, however it ends: a lock file that lies about is not held.

    Args:
        path: of the lock file; its folder exists.
        waiting: called once when another process holds the lock, before waiting for it.

    Raises:
        OSError: when the file cannot be made, or the file system has no locks.
    """
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        waiting()
        lock.acquire(poll_interval=POLL_SEC)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()  # while it is still held: who waits for it sees that it is gone
        lock.release()
