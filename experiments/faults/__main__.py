"""Kill a tiny training run, sweep, data set and caricature at random moments, go on, and compare with undisturbed ones.

    python -m experiments.faults --training 100 --sweep 50 --prepare 20 --caricature 20 --record results.json

Every other kill comes at a random moment, the others before a random one of the files that the command opens to write,
renames or deletes. A command is killed up to four times in one folder, each time going on where it was, and then runs
to its end: what it leaves has to be what an undisturbed one leaves, to the byte (of rows: without clock and speed).
Nothing else may be left. Processes are forked from this one, which has imported everything.
"""

import argparse
import datetime
import importlib
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .victims import Victim, victims

#: What a command imports, imported once.
IMPORTED = [
    *("pytorch_lightning", "torchmetrics", "scipy.linalg", "src.tracking.tracker"),
    *(f"src.{room}.run" for room in ("training", "sweep", "prepare", "caricature")),
]
KILLS_EACH = 4  # in one folder
WRITES = ("os.rename", "os.remove")


def run_in_child(call: Callable[[], Any], log: Path, *, kill_at_file: int | None = None) -> int:
    """Fork a process that calls `call`; returns its id.

    Args:
        call: what it does.
        log: where its output goes.
        kill_at_file: before which change of a file it kills itself, counted from 0; None for never.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for number in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        _count_changes(log.with_suffix(".count"), kill_at_file)
        torch.set_num_threads(1)
        call()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _count_changes(path: Path, kill_at: int | None) -> None:
    """Write down how many files this process has opened to write, renamed or deleted; kill it before one of them."""
    seen, target = [0], os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WRITES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            if seen[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            seen[0] += 1
            os.pwrite(target, f"{seen[0]:9d}".encode(), 0)

    sys.addaudithook(note)


class Trial:
    """Kills of one kind of command.

    Args:
        name: of it.
        victim: it.
        folder: in which it is carried out, again and again.
        draws: when it is killed.
    """

    def __init__(self, name: str, victim: Victim, folder: Path, draws: random.Random) -> None:
        self.name, self.victim, self.folder, self.draws = name, victim, folder, draws
        self.log = folder.with_suffix(".log")
        self.kills, self.runs, self.unlike = 0, 0, 0
        self.wanted, self.seconds, self.changes = self._undisturbed()

    def kill(self, count: int) -> None:
        """Kill it so often."""
        while self.kills < count:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            for _ in range(min(KILLS_EACH, count - self.kills)):
                if not self._killed(by_file=bool(self.kills % 2)):
                    break
            self._compare()

    def _undisturbed(self) -> tuple[dict[str, str], float, int]:
        self.folder.mkdir()
        self._to_its_end()
        shutil.rmtree(self.folder)  # the first one warms caches
        self.folder.mkdir()
        started = time.monotonic()
        self._to_its_end()
        return (
            self.victim.result(self.folder),
            time.monotonic() - started,
            int(self.log.with_suffix(".count").read_text()),
        )

    def _to_its_end(self) -> None:
        _, status = os.waitpid(run_in_child(lambda: self.victim.run(self.folder), self.log), 0)
        if status:
            raise SystemExit(f"{self.name} failed:\n{self.log.read_text()[-3000:]}")

    def _killed(self, *, by_file: bool) -> bool:
        """Run it and kill it; False when it had ended before."""
        at = self.draws.randrange(self.changes) if by_file else None
        child = run_in_child(lambda: self.victim.run(self.folder), self.log, kill_at_file=at)
        if not by_file:
            time.sleep(self.draws.uniform(0, self.seconds))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status and not os.WIFSIGNALED(status):
            raise SystemExit(f"{self.name} failed after a kill:\n{self.log.read_text()[-3000:]}")
        self.kills += os.WIFSIGNALED(status)
        return os.WIFSIGNALED(status)

    def _compare(self) -> None:
        self._to_its_end()
        self.runs += 1
        found = self.victim.result(self.folder)
        names = sorted(name for name in {*found, *self.wanted} if found.get(name) != self.wanted.get(name))
        if names:
            self.unlike += 1
            print(f"{self.name}: another result after {self.kills} kills: {', '.join(names[:8])}", flush=True)


def main() -> None:
    """Kill, compare, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = ("training", "sweep", "prepare", "caricature")
    for kind in kinds:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="KILLS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="a JSON file that rows are added to")
    args = parser.parse_args()
    failed = 0
    for module in IMPORTED:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as name:
        known = victims(Path(name) / "inputs")
        for kind in kinds:
            if count := getattr(args, kind):
                started = time.monotonic()
                trial = Trial(kind, known[kind], Path(name) / kind, random.Random(f"{args.seed} {kind}"))
                trial.kill(count)
                failed += trial.unlike
                row = {
                    "what": kind,
                    "kills": trial.kills,
                    "runs": trial.runs,
                    "results unlike the undisturbed": trial.unlike,
                    "compared": len(trial.wanted),
                    "undisturbed_sec": round(trial.seconds, 2),
                    "took_sec": round(time.monotonic() - started),
                    "seed": args.seed,
                    "date": datetime.date.today().isoformat(),
                    "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
                }
                print(json.dumps(row), flush=True)
                if args.record:
                    rows = json.loads(args.record.read_text()) if args.record.exists() else []
                    args.record.write_text(json.dumps([*rows, row], indent=1) + "\n", encoding="utf-8")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
