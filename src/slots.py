"""Jobs beside each other on one machine: each process has a GPU of its own, or its share of the cores.

Who launches jobs says in their environment which places there are (`places`); a process that a launcher has started
takes a free one, and keeps it until it ends (`take_place`), whichever sweep or script it works for.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import sleep

from .files import MACHINE, cache_folder
from .lock import POLL_SEC, attempt

VARIABLE, VISIBLE, THREADS = "CARICATURE_PLACES", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"
_taken = ExitStack()


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables of the environment, of this process and of those that it starts, while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def places(num_jobs: int, *, num_gpus: int) -> Iterator[int]:
    """Set the environment of processes that are started while the block runs; yields how many jobs run at once.

    They take `num_gpus` GPUs, or with 0 the cores of the processor, whose threads are divided, unless `OMP_NUM_THREADS`
    is set.
    """
    names = names_of_places(num_gpus)
    names = names if num_gpus else names[:num_jobs]
    threads = os.environ.get(THREADS, str(max(_num_cores() // len(names), 1)))
    with environment(**{VARIABLE: " ".join(names), THREADS: threads}):
        yield len(names)


def names_of_places(num_gpus: int) -> list[str]:
    """The places of this machine: its GPUs, those that this process may see, or with 0 its cores."""
    visible = os.environ.get(VISIBLE)
    gpus = (visible.split(",") if visible else list(map(str, range(num_gpus))))[:num_gpus]
    return [f"cuda-{gpu}" for gpu in gpus] or [f"cpu-{i}" for i in range(_num_cores())]


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def take_place() -> None:
    """Wait for a free place, in a process that was started for one; its GPU is then the only one that it sees."""
    names = os.environ.pop(VARIABLE, "").split()
    folder = cache_folder("places")
    folder.mkdir(parents=True, exist_ok=True)
    while names:
        for name in names:
            if _taken.enter_context(attempt(folder / f"{MACHINE}-{name}.lock")):
                kind, _, number = name.partition("-")
                if kind == "cuda":
                    os.environ[VISIBLE] = number
                return
        sleep(POLL_SEC)
