"""One process at a time: an advisory lock on a file, held by the kernel, so that none is left behind by a crash."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


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
    descriptor = _acquire(path, waiting)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still held: who waits for this file sees that it is gone
        os.close(descriptor)


def _acquire(path: Path, waiting: Callable[[], None]) -> int:
    import fcntl  # POSIX: only who shares a folder needs it

    told = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    waiting()
                told = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_current(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # removed by its last holder while this process waited: take the new one


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
