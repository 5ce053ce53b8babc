"""`trainer.profile=true`: where the time of an iteration goes, measured in the run itself, after it has warmed up.

Two windows of a few iterations each begin where all lazy phases fall together. In the first every phase is timed by
the clock, with the device waited for; the second goes through torch.profiler, which is slower, and tells the shares.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function
from tqdm import tqdm

from ..cuda_graphs import EAGER_RUNS
from ..errors import UserError
from ..files import write_text
from .callbacks import KimgCallback
from .module import GanModule
from .profile_report import Report, phase_rows, shares, top_operations
from .step import TrainingStep

WARM_UP, WINDOW = 2, 4  # iterations
TEXT, TRACE = "profile.txt", "profile.json.gz"


def cycle(step: TrainingStep) -> int:
    """Iterations after which the lazy phases fall together again."""
    return math.lcm(*(phase.interval for phase in step.phases))


def window_starts(step: TrainingStep, first: int) -> tuple[int, int]:
    """The iterations at which timing and profiling begin in a run whose first iteration is `first`."""
    warm_up = WARM_UP if step.graphs is None else EAGER_RUNS * cycle(step) + 1  # after the last capture
    length = cycle(step)
    timing = -(-(first + warm_up) // length) * length
    return timing, timing + -(-WINDOW // length) * length


def check_profile(step: TrainingStep, nimg: int, total_kimg: float) -> None:
    """Check that a run from `nimg` images on is long enough to be profiled."""
    end = (window_starts(step, nimg // step.batch_size)[1] + WINDOW) * step.batch_size / 1000
    if end > total_kimg:
        raise UserError(
            f"trainer.profile=true is complete at {end:g} kimg, the run ends at {total_kimg:g}: set total_kimg={end:g}"
        )


class ProfileCallback(KimgCallback):
    """Measures, writes `profile.txt` and `profile.json.gz` into the run folder, says so, and lets the run go on.

    `facts` are lines on machine and run for the head of the report.
    """

    def __init__(self, folder: Path, facts: list[str]) -> None:
        self.folder, self.facts = folder, facts
        self._starts = (0, 0)
        self._times: dict[str, list[float]] = {}
        self._began = 0.0
        self._profiler: profile | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the windows."""
        assert isinstance(pl_module, GanModule)
        self._starts = window_starts(pl_module.step, pl_module.nimg // pl_module.step.batch_size)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Start the clock of an iteration."""
        assert isinstance(pl_module, GanModule)
        if pl_module.step.labelled is not record_function:
            self._began = _now(pl_module.step)

    def after(self, trainer: pl.Trainer, module: GanModule, stats: dict[str, Tensor]) -> None:
        """Begin and end the windows; here, so that a window holds the loading of its batches."""
        step, following = module.step, module.nimg // module.step.batch_size
        timing, profiling = self._starts
        if step.labelled is not record_function:
            self._times.setdefault("iteration", []).append(_now(step) - self._began)
        if following == timing:
            step.labelled = lambda name: self._timed(name, step)
        elif following == timing + WINDOW:
            step.labelled = record_function
        if following == profiling:
            activities = [ProfilerActivity.CPU]
            if step.pl_mean.device.type == "cuda":
                activities.append(ProfilerActivity.CUDA)
            self._profiler = profile(activities=activities)
            self._profiler.start()
        elif following == profiling + WINDOW and self._profiler is not None:
            _now(step)
            self._profiler.stop()
            self._write(step, self._profiler)
            self._profiler = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave no profiler running."""
        self.on_train_end(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave no profiler running when the run was stopped within the window."""
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None
            tqdm.write("profile    stopped before it was complete: nothing written")

    @contextmanager
    def _timed(self, name: str, step: TrainingStep) -> Iterator[None]:
        began = _now(step)
        yield
        self._times.setdefault(name, []).append(_now(step) - began)

    def _write(self, step: TrainingStep, profiler: profile) -> None:
        device = step.pl_mean.device.type
        events = profiler.events() or []
        intervals = {phase.name: phase.interval for phase in step.phases} | {"ema": 1}
        report = Report(
            self.facts,
            phase_rows(self._times, intervals),
            shares(events, device),
            top_operations(events, device),
            step.batch_size,
        )
        profiler.export_chrome_trace(str(self.folder / TRACE))
        write_text(self.folder / TEXT, report.text())
        tqdm.write(f"profile    {self.folder / TEXT}, trace for chrome://tracing or Perfetto: {self.folder / TRACE}")


def _now(step: TrainingStep) -> float:
    """The clock, in seconds, when the device has done what was asked of it."""
    if step.pl_mean.device.type == "cuda":
        torch.cuda.synchronize(step.pl_mean.device)
    return time.perf_counter()
