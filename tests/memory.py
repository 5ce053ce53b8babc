"""Peaks of resident memory: of a block of this process, and of a script in a process of its own.

`ru_maxrss` serves neither: it never falls, and it begins with the peak of the process that started this one. What
Linux's `/proc` says is asked instead; where there is none, nothing is measured.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SCRIPT = """
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("\\npeak_kb", open("/proc/self/status").read().split("VmHWM:")[1].split()[0], flush=True)
"""


def _kilobytes(name: str) -> int:
    return int(STATUS.read_text(encoding="utf-8").split(f"{name}:")[1].split()[0])


@contextmanager
def grows_by_less_than(megabytes: float) -> Iterator[None]:
    """Refuse a block during which this process holds so much more than before it."""
    if not RESET.exists():
        yield
        return
    RESET.write_text("5", encoding="utf-8")  # the peak begins anew
    before = _kilobytes("VmRSS")
    yield
    grown = (_kilobytes("VmHWM") - before) * 1024 / 1e6
    assert grown < megabytes, f"{grown:.0f} MB"


def run_and_measure(script: Path, *options: str, cwd: Path) -> tuple[subprocess.CompletedProcess[str], int | None]:
    """Run a script with its options; what became of it, and its peak in bytes, None where nobody counts."""
    launch = ["-c", SCRIPT] if STATUS.exists() else []
    command = [sys.executable, *launch, str(script), *options]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=200)
    peak = done.stdout.partition("peak_kb")[2] if launch else ""
    return done, int(peak) * 1024 if peak else None
