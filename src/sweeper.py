"""Hydra's side of the sweep: one job a snapshot with all its resolutions, instead of one a pair.

`blend.res=8,16,32` and `blend.res=[8,16,32]` mean the same. Hydra knows the sweeper as `hydra/sweeper: snapshots`, by
`hydra_plugins/` at the root.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from . import sweep as steps
from .cli import plain, plain_task, typed
from .command_line import CommandLine
from .errors import UserError
from .exits import with_errors_as_lines
from .launching import launch, said
from .options import read
from .quoting import quote
from .slots import take_place

LISTS = ("blend.res", "snapshot")
MAX_LOST = 3  # workers, without one more cell


class SnapshotSweeper(Sweeper):
    """Opens the sweep, launches jobs of one snapshot's missing cells until there are none, ranks."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take Hydra's context; the launcher is made when the sweep's folder is known."""
        self.task_config, self.context = config, hydra_context

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep that the command line's overrides ask for; mistakes become one line and exit code 2."""
        stopped = "stopped: the finished cells are saved; the same command continues"
        return with_errors_as_lines(lambda: self._sweep(arguments), stopped=stopped)

    def _sweep(self, arguments: list[str]) -> None:
        overrides = [grouped(override) for override in OverridesParser.create().parse_overrides(arguments)]
        composed = self.context.config_loader.load_sweep_config(self.task_config, overrides)
        options = plain_task(composed)
        read(steps.SweepSettings, options)  # before torch and the metrics, which take seconds to import
        own = [o for o in overrides if not _is_key(o, "run", "joint", "n_latents", *LISTS)]
        steps.sweep_all(steps.open_configured_sweeps(options), lambda sweep, reused: self._score(sweep, reused, own))

    def _score(self, sweep: "steps.Sweep", reused: int, overrides: list[str]) -> None:
        """Launch jobs until no cell lacks codes."""
        run, codes = quote(str(sweep.run_dir.resolve())), sweep.protocol["n_latents"]  # of which a GPU would take more
        shared = [f"run={run}", f"n_latents={codes}", *overrides]
        lost: list[int] = []  # how many cells there were when a worker was

        def score(course: "steps.Course") -> None:
            asked = [
                [*shared, f"snapshot=[{snapshot.name}]", f"blend.res=[{','.join(map(str, sizes))}]"]
                for snapshot, sizes in course.jobs()
            ]
            task = partial(score_job, codes=course.codes, protocol=sweep.protocol)
            try:
                results = launch(
                    task,
                    asked,
                    context=self.context,
                    config=self.task_config,
                    folder=sweep.folder,
                    device=sweep.settings.device,
                )
            except RuntimeError as error:  # of the launcher: what a job raises is in its result
                lost.append(len(sweep.rows()))
                if lost[-MAX_LOST:] == [lost[-1]] * MAX_LOST:
                    raise UserError(
                        f"workers are lost before they finish a cell: {said(error)} (give each more memory or time: "
                        "fewer at once with hydra.launcher.n_jobs, for Slurm mem_gb and timeout_min; or work without "
                        "them, hydra/launcher=basic)"
                    ) from error
                print(f"note       a worker was lost, its cells are made again: {said(error)}", flush=True)
            else:
                _raise_failures(results, lambda: steps.scored_line(sweep, reused))

        steps.score_all(sweep, score)


def score_job(config: DictConfig, *, codes: int, protocol: Mapping[str, Any]) -> str | None:
    """One job: the named cells, with so many codes, of the one snapshot that its `snapshot` names.

    Returned is None, or the message of a `UserError`, so that the sweep can go on and say it once at the end.
    """
    take_place()
    try:
        (sweep,) = steps.open_configured_sweeps(plain(config))
        for name, ours in protocol.items():
            if sweep.protocol[name] != ours:
                raise UserError(
                    f"{sweep.run_dir.name}: a worker on {sweep.base.G.mapping.w_avg.device} has {name} "
                    f"{sweep.protocol[name]}, the sweep {ours}: set device and precision, so that all work alike"
                )
        for snapshot in sweep.snapshots:
            steps.score_snapshot(sweep, snapshot, list(sweep.recipes), codes)
    except UserError as error:
        return str(error)
    return None


def grouped(override: Override) -> str:
    """A swept `blend.res=8,16` as the list `blend.res=[8,16]`; nothing else takes several values."""
    text = override.input_line or ""
    if not override.is_sweep_override():
        return text
    key = override.key_or_group
    if key not in LISTS or not override.is_discrete_sweep():
        raise UserError(f"{text}: one value at a time; only {' and '.join(LISTS)} take several, separated by commas")
    return f"{key}=[{','.join(override.sweep_string_iterator())}]"


def as_lists(arguments: list[str]) -> list[str]:
    """A command line for which Hydra takes `blend.res=[8,16]` alone: with `hydra.mode=RUN`, or a flag such as `--cfg`.

    Another one stays as it is. A UserError when another key is given several values.
    """
    line = CommandLine.read(arguments)
    if "hydra.mode=RUN" not in line.overrides and not line.shows:
        return arguments
    return [*line.flags, *map(_as_list, typed("sweep", line.overrides))]


def _as_list(argument: str) -> str:
    try:
        (override,) = OverridesParser.create().parse_overrides([argument])
    except HydraException:  # said later, with the other mistakes
        return argument
    return grouped(override) if override.is_sweep_override() else argument


def _raise_failures(results: Any, scored: Callable[[], str]) -> None:
    """Raise what the first failing job raised; the finished cells of all jobs stay."""
    crashed: list[JobReturn] = [r for r in results if r.status != JobStatus.COMPLETED]
    messages = [r.return_value for r in results if r.status == JobStatus.COMPLETED and r.return_value]
    if not crashed and not messages:
        return
    more = f" (and {len(messages) + len(crashed) - 1} more jobs failed)" if len(messages) + len(crashed) > 1 else ""
    print(f"{scored()}; not ranked: jobs failed", flush=True)
    if crashed:
        _ = crashed[0].return_value  # raises: a mistake of the program's, shown with its traceback
    raise UserError(f"{messages[0]}{more}")


def _is_key(override: str, *keys: str) -> bool:
    return override.split("=", 1)[0] in keys
