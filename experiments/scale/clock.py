"""Seconds of the processor: of a call and of the functions that it goes through, and of other processes."""

import cProfile
import os
import pstats
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Place = tuple[str, str]  # of a function: how the name of its file ends, and its own


def profiled(call: Callable[[], Any], places: Mapping[str, Place | list[Place]]) -> tuple[Any, dict[str, float]]:
    """Call, with the seconds of the whole (`total`) and of functions, what they call included.

    Args:
        call: what is measured.
        places: of the functions, by the names under which their seconds are returned.

    Returns:
        What it returns, and seconds by name.
    """
    profile = cProfile.Profile(time.process_time)
    started = time.process_time()
    result = profile.runcall(call)
    found = {"total": time.process_time() - started}
    table = {key: times[3] for key, times in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
    for name, asked in places.items():
        several = asked if isinstance(asked, list) else [asked]
        found[name] = sum(_seconds(table, place) for place in several)
    return result, found


def _seconds(table: Mapping[tuple[str, int, str], float], place: Place) -> float:
    """Of one function, which must have been called."""
    (seconds,) = (value for (path, _, name), value in table.items() if name == place[1] and path.endswith(place[0]))
    return seconds


def run_script(*command: str, stop_sec: float | None = None, threads: int = 1) -> dict[str, float]:
    """Run a Python program in the checkout; seconds of the processor and of the clock.

    Args:
        command: it.
        stop_sec: after which it is asked to stop with everything saved; None for never.
        threads: of each process.
    """
    before, started = _children(), time.monotonic()
    env = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=env, stdout=PIPE, stderr=STDOUT, text=True
    ) as process:
        stopped = False
        try:
            said, _ = process.communicate(timeout=stop_sec)
        except subprocess.TimeoutExpired:
            process.terminate()
            stopped, (said, _) = True, process.communicate()
    if process.returncode != (128 + signal.SIGTERM if stopped else 0):
        raise SystemExit(f"{' '.join(command)} failed:\n{said[-3000:]}")
    return {"cpu_sec": _children() - before, "wall_sec": time.monotonic() - started, "load": os.getloadavg()[0]}


def _children() -> float:
    """Of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read_and_written() -> dict[str, int]:
    """Bytes that this process has read and written by system calls so far (Linux; what is mapped is not in it)."""
    lines = Path("/proc/self/io").read_text(encoding="utf-8").splitlines()
    counts = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return {"read": counts["rchar"], "written": counts["wchar"]}


def rounded(values: Mapping[str, float], digits: int = 4) -> dict[str, float]:
    """For reading."""
    return {name: round(value, digits) for name, value in values.items()}
