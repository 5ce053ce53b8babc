"""Scripts as a user starts them, each in a process of its own, without paying for the imports of each.

Importing PyTorch, Lightning and W&B takes a process five seconds. `start` and `begin` fork their processes from one
that has done so (the forkserver of multiprocessing); each has its own folder, environment, standard streams, signals
and exit code. What a fresh interpreter does is tested with `subprocess`.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = ["src", "torch", "pytorch_lightning", "torchmetrics", "wandb", "hydra", "scipy.linalg", "PIL.Image"]
STREAMS = ("stdout", "stderr")
is_marked = False  # whether the test that runs has the mark `script` (conftest.py)


class Started:
    """A script that runs; `communicate`, `poll`, `kill` and the like are those of `subprocess.Popen`."""

    def __init__(self, arguments: list[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.args, self.returncode = arguments, None
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name) / name for name in STREAMS]
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self._process = context.Process(target=_run, args=(arguments, str(cwd), dict(env), self._files))
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, None while it runs; minus the signal's number where one ended it."""
        self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it printed, to standard output and to standard error."""
        self.wait(timeout)
        return tuple(path.read_text() if path.exists() else "" for path in self._files)

    def printed(self) -> str:
        """What it has printed to standard output so far."""
        return self._files[0].read_text() if self._files[0].exists() else ""

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, as kill -9 does."""
        self._process.kill()


def begin(*arguments, cwd=ROOT, env=None):
    """Start a script (or `-m module`, `-c code`) and go on; relative script names are those of the project's root."""
    assert is_marked, "a test that starts scripts has the mark `script`: make quick leaves it out"
    return Started([str(argument) for argument in arguments], cwd, os.environ if env is None else env)


def start(*arguments, cwd=ROOT, env=None, timeout=200):
    """Run a script to its end, as `subprocess.run(…, capture_output=True, text=True)` does."""
    process = begin(*arguments, cwd=cwd, env=env)
    try:
        out, err = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def signalled(process, number, once, timeout=60):
    """Send a signal as soon as `once()` is true; what the process printed until its end, as `communicate` does."""
    deadline = time.time() + timeout
    while not once() and process.poll() is None and time.time() < deadline:
        time.sleep(0.05)
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.communicate(timeout)
    finally:
        if process.poll() is None:  # it did not listen
            process.kill()


def _run(arguments, cwd, env, files):
    """In the new process: become what a shell would have started."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(files, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    kind, *rest = arguments
    try:
        if kind == "-m":
            sys.argv, sys.path[0] = rest, cwd
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.argv, sys.path[0] = ["-c", *rest[1:]], cwd
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            script = ROOT / kind
            sys.argv, sys.path[0] = [str(script), *rest], str(script.parent)
            runpy.run_path(str(script), run_name="__main__")
    finally:
        atexit._run_exitfuncs()
