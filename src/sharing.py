"""Hydra's side of work that jobs share: `python caricature.py photos=FOLDER hydra/launcher=joblib`, and prepare.py.

Each job does its part of the pictures and keeps what it has made where the command itself would: in the folder of the
results, or of the unfinished set. Then the command goes on in the launching process as any that was interrupted: it
makes what a lost job has left, and joins it all. Hydra knows the sweeper as `hydra/sweeper: sharing`.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from . import caricature, prepare, runs
from .cli import SETTINGS, plain, plain_task
from .errors import UserError
from .exits import with_errors_as_lines
from .launching import launch, launcher_of, num_at_once, said
from .options import read
from .quoting import quote
from .slots import take_place

MAX_LOST = 3  # times that jobs are launched
ROOMS: dict[str, ModuleType] = {"caricature": caricature, "prepare": prepare}


class SharingSweeper(BasicSweeper):
    """Has the work of one command shared by jobs; several values of an option are a run each, as Hydra's own has it.

    `jobs` is their number; None for as many as the launcher carries out at once on this machine.
    """

    def __init__(self, max_batch_size: int | None, params: Any = None, jobs: int | None = None) -> None:
        super().__init__(max_batch_size, params)
        self.jobs = jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take Hydra's context."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.context, self.task_config = hydra_context, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run what the overrides ask for; mistakes of shared work become one line and exit code 2."""
        overrides = OverridesParser.create().parse_overrides(arguments)
        if launcher_of(self.task_config) == "BasicLauncher" or any(o.is_sweep_override() for o in overrides):
            return super().sweep(arguments)
        stopped = "stopped: the same command goes on from here"
        return with_errors_as_lines(lambda: self._share(arguments), stopped=stopped)

    def _share(self, arguments: Sequence[str]) -> None:
        name = self.task_config.hydra.job.config_name
        options = plain_task(self.context.config_loader.load_sweep_config(self.task_config, list(arguments)))
        settings = read(SETTINGS[name], options)
        device = getattr(settings, "device", "cpu")
        count = num_at_once(self.task_config, device) if self.jobs is None else self.jobs
        if not isinstance(count, int) or count < 1:
            raise UserError(
                f"hydra.sweeper.jobs={'null' if count is None else count}: say how many jobs share the work"
            )
        if count > 1:
            jobs = [[*arguments, *_pinned(options)]] * count
            self._launch(partial(share_job, name=name, count=count), jobs, device)
        ROOMS[name].main(options)

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


def share_job(config: DictConfig, *, name: str, count: int) -> str | None:
    """One of `count` jobs of a script; returned is None, or the message of a `UserError`."""
    take_place()
    try:
        ROOMS[name].share(plain(config), HydraConfig.get().job.num, count)
    except UserError as error:
        return str(error)
    return None


def _pinned(options: dict[str, Any]) -> list[str]:
    """`run=latest` as the run that it means now: another may be the latest when a job starts."""
    if options.get("run") != "latest" or options["network"] is not None:
        return []
    return [f"run={quote(str(runs.find_run('latest', Path(options['paths']['runs'])).resolve()))}"]


def _why_ended(result: JobReturn) -> str | None:
    if result.status == JobStatus.COMPLETED:
        return None if result.return_value is None else str(result.return_value)
    try:
        return str(result.return_value)  # raises
    except Exception as error:
        return f"{type(error).__name__}: {error}"
