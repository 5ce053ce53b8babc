"""Work for a few threads, results in order, never far ahead of who takes them."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

NUM_THREADS = min(8, os.cpu_count() or 1)


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Call `work` on every item from several threads; yield item and result in the items' order."""
    pool = ThreadPoolExecutor(NUM_THREADS)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) >= 4 * NUM_THREADS:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """No warnings of Pillow's while the block runs, in any thread: what matters in them becomes a reason or a note.

    `warnings.catch_warnings` inside the threads would undo each other's filters.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
