"""What happens between iterations: log, snapshot, evaluate, checkpoint, stop. Everything fires on nimg.

Order at the end of an iteration: numbers are checked, then logged, then a checkpoint is written if it or a snapshot is
due, then the snapshot is taken, then the run stops if it is its time. Measuring a snapshot may take longer than a
signal leaves time for: by then the state is saved. Who goes on from a state whose snapshot is missing takes it first.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import UserError
from ..group import Group
from ..lock import Claim
from ..signals import Stopped, answer, answer_as, stop
from .checkpoint import LAST
from .module import GanModule
from .schedule import mark_name, passed_marks

LogRow = Callable[[dict[str, float], float, int], None]
TakeSnapshot = Callable[[float, int, str], None]
LOOK_BACK = 16  # iterations that a GPU may run ahead of the guard
WARMUP_ITERATIONS, HEADER_ITERATIONS = 5, 37  # the speed in the header is that of iterations 6 to 37: all lazy phases


class KimgCallback(pl.Callback):
    """Base: every iteration, with the module typed and the clock at hand."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Call `after` with the statistics of the iteration."""
        assert isinstance(pl_module, GanModule)
        self.after(trainer, pl_module, outputs)

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """React to one iteration."""

    def due(self, module: GanModule) -> bool:
        """Whether `after` will now write something that must not come from a diverged run."""
        return False


class HeldGuard(KimgCallback):
    """Stops a run whose folder another process has taken over, before one of `writers` writes."""

    def __init__(self, claim: Claim, writers: Sequence[KimgCallback]) -> None:
        self.claim, self.writers = claim, writers

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Look when something is due."""
        if any(writer.due(module) for writer in self.writers):
            self.claim.check()


class FiniteGuard(KimgCallback):
    """Stops with the last good state named when a loss is no longer a number.

    Looking at a loss waits for the device. So on a GPU it is done every `LOOK_BACK` iterations, and before one of
    `writers` writes.
    """

    def __init__(self, run_dir: Path, writers: Sequence[KimgCallback] = ()) -> None:
        self.run_dir, self.writers = run_dir, writers
        self._unseen: list[tuple[int, dict[str, Tensor]]] = []

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Raise UserError on NaN or infinity; nothing of that iteration has been saved yet."""
        self._unseen.append((module.nimg, stats))
        at_once = module.step.pl_mean.device.type == "cpu" or len(self._unseen) >= LOOK_BACK
        if at_once or any(writer.due(module) for writer in self.writers):
            self._look()

    def _look(self) -> None:
        seen, self._unseen = self._unseen, []
        finite = torch.stack([value.float() for _, stats in seen for value in stats.values()]).isfinite().tolist()
        labels = [(nimg, name) for nimg, stats in seen for name in stats]
        bad = [label for label, fine in zip(labels, finite, strict=True) if not fine]
        if bad:
            first = [name for nimg, name in bad if nimg == bad[0][0]]
            raise UserError(_divergence(bad[0][0], first, self.run_dir / "checkpoints" / LAST))


def _divergence(nimg: int, names: Sequence[str], last: Path) -> str:
    good = f"the last good state is {last}" if last.exists() else "no state had been saved yet"
    return (
        f"training diverged at {nimg / 1000:.2f} kimg: {', '.join(names)} is not a number; {good}. "
        "Try a larger loss.r1_gamma or a smaller loss.lr_g and loss.lr_d in a new run"
    )


class LogCallback(KimgCallback):
    """Averages statistics and writes a row every `every_kimg`; measures img/s of the training itself.

    `extra` gives further numbers for a row; `speed` is told img/s as soon as it is known.
    """

    def __init__(
        self,
        log: LogRow,
        every_kimg: float,
        *,
        extra: Callable[[], dict[str, float]],
        speed: Callable[[float], None],
    ) -> None:
        self.write_row, self.every_nimg, self.extra, self.speed = log, every_kimg * 1000, extra, speed
        self._values: dict[str, list[Tensor]] = {}  # read back when a row is written
        self._busy_sec, self._started, self._images, self._iterations = 0.0, 0.0, 0, 0
        self.img_per_sec: float | None = None

    def on_train_batch_start(self, *_: Any) -> None:
        """Start the stopwatch: time in snapshots and evaluation is not training."""
        self._started = time.perf_counter()

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Add one iteration; write a row when it is time."""
        for name, value in stats.items():
            self._values.setdefault(name, []).append(value)
        batch = module.step.batch_size
        self._iterations += 1
        if self._iterations > WARMUP_ITERATIONS:
            self._busy_sec += time.perf_counter() - self._started
            self._images += batch
            self.img_per_sec = self._images / max(self._busy_sec, 1e-9)
            if self._iterations == HEADER_ITERATIONS:
                tqdm.write(f"speed      {self.img_per_sec:.1f} img/s")
                self.speed(self.img_per_sec)
        if self.due(module):
            flat = iter(torch.stack([v.float() for values in self._values.values() for v in values]).tolist())
            lists = {name: [next(flat) for _ in values] for name, values in self._values.items()}  # one wait a row
            row = {name: sum(values) / len(values) for name, values in lists.items()}
            if self.img_per_sec is not None:
                row["speed/img_per_sec"] = round(self.img_per_sec, 2)
            self.write_row({**row, **self.extra()}, module.nimg / 1000, module.nimg)
            self._values = {}

    def due(self, module: GanModule) -> bool:
        """Whether this iteration ends an interval."""
        return (module.nimg // self.every_nimg) > ((module.nimg - module.step.batch_size) // self.every_nimg)


class SnapshotCallback(KimgCallback):
    """Takes a snapshot at each mark (kimg) of the schedule, the first mark 0 before training starts."""

    def __init__(self, marks: Sequence[float], take: TakeSnapshot, is_taken: Callable[[float], bool]) -> None:
        self.marks, self.take, self.is_taken = list(marks), take, is_taken
        self.taken_nimg = -1

    def catch_up(self, module: GanModule, *, ended: bool) -> None:
        """Take mark 0 of a fresh run, and what is missing of a state that was saved before its snapshots were taken.

        A run that has `ended` already is worth a look even between marks.
        """
        for mark in self._passed(module) or [module.nimg / 1000] * ended:
            if module.nimg == 0 or not self.is_taken(mark):
                self.take_now(mark, module.nimg)

    def take_now(self, kimg: float, nimg: int) -> None:
        """Take a snapshot of this moment."""
        self.take(kimg, nimg, mark_name(kimg))
        self.taken_nimg = nimg

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Take the snapshot when this iteration passed a mark."""
        for mark in self._passed(module):
            self.take_now(mark, module.nimg)

    def due(self, module: GanModule) -> bool:
        """Whether this iteration passed a mark."""
        return bool(self._passed(module))

    def _passed(self, module: GanModule) -> list[float]:
        return passed_marks(self.marks, module.nimg, module.step.batch_size)


class CheckpointCallback(KimgCallback):
    """Writes the full state every `every_kimg`, before snapshots, and at the end."""

    def __init__(self, folder: Path, every_kimg: float, snapshots: SnapshotCallback) -> None:
        self.path, self.every_nimg, self.snapshots = folder / LAST, every_kimg * 1000, snapshots
        self.saved_nimg = -1

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Save when this iteration passed a multiple of the interval, or a mark."""
        if self.due(module):
            self.save(trainer, module)

    def due(self, module: GanModule) -> bool:
        """Whether this iteration passed a multiple of the interval, or a mark."""
        before = module.nimg - module.step.batch_size
        passed = math.floor(module.nimg / self.every_nimg) > math.floor(before / self.every_nimg)
        return passed or self.snapshots.due(module)

    def save(self, trainer: pl.Trainer, module: GanModule) -> None:
        """Save now, unless this very state is saved already."""
        if module.nimg != self.saved_nimg:
            names, parameters = zip(*module.step.named_parameters(), strict=True)
            finite = torch.stack([p.isfinite().all() for p in parameters]).tolist()  # one wait for all of them
            bad = [name for name, fine in zip(names, finite, strict=True) if not fine]
            if bad:
                raise UserError(_divergence(module.nimg, bad[:3], self.path))
            module.step.settle()
            trainer.save_checkpoint(self.path)
            self.saved_nimg = module.nimg


class SignalCallback(KimgCallback):
    """Hears signals that ask to stop, and after each iteration agrees with the other processes that one came."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.stopped: Stopped | None = None  # which one, the same in all processes
        self._heard = 0
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen for signals; Lightning's own handlers would leave without saving."""
        self._before = answer(self._on_signal)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop listening."""
        answer_as(self._before)

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Learn whether any process has heard one."""
        number = self.group.largest(self._heard)
        self.stopped = Stopped(number) if number else None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._heard:  # the second one means now
            stop(number, frame)
        self._heard = number
        tqdm.write(f"{Stopped(number)}: finishing this iteration, saving, stopping (again to stop at once)")


class StopCallback(KimgCallback):
    """Ends the run at `total_kimg`, or after the iteration in which a signal asked to stop, or at a snapshot.

    Before it ends it saves, and takes a snapshot if there is none of this moment. `over` is asked after each snapshot
    whether that is the end; None is never.
    """

    def __init__(
        self,
        total_kimg: float,
        signals: SignalCallback,
        checkpoint: CheckpointCallback,
        snapshots: SnapshotCallback,
        over: Callable[[], bool] | None = None,
    ) -> None:
        self.total_nimg, self.checkpoint, self.snapshots = total_kimg * 1000, checkpoint, snapshots
        self.signals, self._over = signals, over

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take what is missing of snapshots, when all callbacks have started and signals are heard."""
        assert isinstance(pl_module, GanModule)
        trainer.should_stop = ended = pl_module.nimg >= self.total_nimg
        self.snapshots.catch_up(pl_module, ended=ended)
        trainer.should_stop = ended or (self._over is not None and self._over())

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Save and stop when it is time."""
        if not self.due(module) and not self._is_over(module):
            return
        self.checkpoint.save(trainer, module)  # first: who sent the signal may not wait for an evaluation
        if self.snapshots.taken_nimg != module.nimg:
            self.snapshots.take_now(module.nimg / 1000, module.nimg)
        trainer.should_stop = True

    def due(self, module: GanModule) -> bool:
        """Whether it is time."""
        return self.signals.stopped is not None or module.nimg >= self.total_nimg

    def _is_over(self, module: GanModule) -> bool:
        return self._over is not None and self.snapshots.taken_nimg == module.nimg and self._over()


class ProgressCallback(KimgCallback):
    """A progress bar in kimg with img/s and time left, silent when the output is not a terminal."""

    def __init__(self, total_kimg: float, log: LogCallback, *, disable: bool | None = None) -> None:
        self.total_kimg, self.meter, self.disable = total_kimg, log, disable
        self._bar: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar at the current position."""
        initial = getattr(pl_module, "nimg", 0) / 1000
        self._bar = tqdm(
            total=self.total_kimg,
            initial=initial,
            unit="kimg",
            disable=self.disable,
            bar_format="{l_bar}{bar}| {n:.2f}/{total:g} kimg [{elapsed}<{remaining}{postfix}]",
        )

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Move the bar."""
        self._bar.n = module.nimg / 1000
        if self.meter.img_per_sec is not None:
            self._bar.set_postfix_str(f"{self.meter.img_per_sec:.1f} img/s", refresh=False)
        self._bar.update(0)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._bar.close()
