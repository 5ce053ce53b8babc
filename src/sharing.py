"""Hydra's side of work that jobs share: `python caricature.py photos=FOLDER hydra/launcher=joblib`, and prepare.py.

Each job does its part of the pictures and keeps what it has made where the command itself would: in the folder of the
results, or of the unfinished set. Then the command goes on in the launching process as any that was interrupted: it
makes what a lost job has left, and joins it all. `cli.py` chooses this sweeper, `hydra/sweeper=sharing`, for it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from . import caricature, prepare, runs
from .cli import SETTINGS, plain, plain_task
from .errors import UserError
from .exits import with_errors_as_lines
from .launching import launch, num_at_once, said
from .options import read
from .quoting import quote
from .slots import take_place

MAX_LOST = 3  # times that jobs are launched
ROOMS: dict[str, ModuleType] = {"caricature": caricature, "prepare": prepare}


class SharingSweeper(Sweeper):
    """Has the work of one command shared by jobs.

    `jobs` is their number; None for as many as the launcher carries out at once on this machine.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take Hydra's context."""
        self.task_config, self.context = config, hydra_context

    def sweep(self, arguments: list[str]) -> Any:
        """Run what the overrides ask for; mistakes become one line and exit code 2."""
        stopped = "stopped: the same command goes on from here"
        return with_errors_as_lines(lambda: self._share(arguments), stopped=stopped)

    def _share(self, arguments: Sequence[str]) -> None:
        name = self.task_config.hydra.job.config_name
        options = plain_task(self.context.config_loader.load_sweep_config(self.task_config, list(arguments)))
        settings = read(SETTINGS[name], options)
        if options.get("codes") is not None:
            raise UserError(
                "hydra/launcher has no effect with codes=: there is nothing to project, so nothing to share"
            )
        pinned = _pinned(options)
        device = getattr(settings, "device", "cpu")
        at_once = num_at_once(self.task_config, device)
        count = at_once if self.jobs is None else self.jobs
        if not isinstance(count, int) or count < 1:
            raise UserError(
                f"hydra.sweeper.jobs={'null' if count is None else count}: say how many jobs share the work"
            )
        if count > 1 or at_once is None:  # elsewhere one job may be what is wanted: this machine has no GPU
            jobs = [[*arguments, *(f"{key}={quote(value)}" for key, value in pinned.items())]] * count
            self._launch(partial(share_job, name=name, count=count), jobs, device)
        ROOMS[name].main(options | pinned)

    def _launch(self, task: TaskFunction, jobs: list[list[str]], device: str) -> None:
        """Launch jobs, again where some were lost; what they leave undone in the end is the command's."""
        folder = Path(self.task_config.hydra.sweep.dir)
        for _ in range(MAX_LOST):
            try:
                results = launch(
                    task, jobs, context=self.context, config=self.task_config, folder=folder, device=device
                )
            except RuntimeError as error:  # of the launcher: what a job raises is in its result
                print(f"note       a job was lost, its part is made again: {said(error)}", flush=True)
                continue
            for reason in filter(None, map(_why_ended, results)):
                print(f"note       a job ended before its part was made: {reason}", flush=True)
            return
        print(f"note       jobs were lost {MAX_LOST} times: the rest is made here", flush=True)


def share_job(config: DictConfig, *, name: str, count: int) -> str | None:
    """One of `count` jobs of a script; returned is None, or the message of a `UserError`."""
    take_place()
    try:
        ROOMS[name].share(plain(config), HydraConfig.get().job.num, count)
    except UserError as error:
        return str(error)
    return None


def _pinned(options: Mapping[str, Any]) -> dict[str, str]:
    """`run=latest` as the run that it means now: another may be the latest when a job starts, or when all are over."""
    if options.get("run") != "latest" or (options["network"] is not None and options["base"] != "auto"):
        return {}
    return {"run": str(runs.find_run("latest", Path(options["paths"]["runs"])).resolve())}


def _why_ended(result: JobReturn) -> str | None:
    if result.status == JobStatus.COMPLETED:
        return None if result.return_value is None else str(result.return_value)
    try:
        return str(result.return_value)  # raises
    except Exception as error:
        return f"{type(error).__name__}: {error}"
