"""Hydra's side of the sweep: one job a snapshot with all its resolutions, instead of one a pair.

`blend.res=8,16,32` and `blend.res=[8,16,32]` mean the same. Registered under `hydra/sweeper: snapshots` from Python, so
that no class path stands in a configuration file.
"""

import sys
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from ..cli import plain
from ..errors import UserError
from . import finish
from .run import missing_cells, open_sweep, prepare

GROUPED = "blend.res"


class SnapshotSweeper(Sweeper):
    """Opens the sweep, launches a job for each snapshot with missing cells, ranks at the end."""

    def __init__(self, max_jobs: int = 100_000) -> None:
        self.max_jobs = max_jobs
        self.config: DictConfig
        self.launcher: Any = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take Hydra's context and make the configured launcher."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep that the command line's overrides ask for."""
        assert self.hydra_context is not None
        overrides = [grouped(o) for o in OverridesParser.create().parse_overrides(arguments)]
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        del composed["hydra"]
        sweep = open_sweep(plain(composed))
        pending = [s for s in sweep.snapshots if missing_cells(sweep, s)]
        new = sum(len(missing_cells(sweep, s)) for s in pending)
        total = len(sweep.snapshots) * len(sweep.settings.resolutions)
        print(f"sweep      {sweep.folder}: {len(sweep.snapshots)} snapshots x {len(sweep.settings.resolutions)} resolutions")
        failed = None
        if pending:
            prepare(sweep)
            kept = [o for o in overrides if not o.startswith("snapshot=")]
            jobs = [[*kept, f"snapshot={snapshot.name}"] for snapshot in pending]
            results = self.launcher.launch(jobs, initial_job_idx=0)
            failed = next((r for r in results if r.status != JobStatus.COMPLETED), None)
        if failed is not None:
            _ = failed.return_value  # raises what the job raised; finished cells stay
        print(f"scored {new} new cells, {total - new} reused")
        finish.finish_sweep(sweep)
        return None


def grouped(override: Override) -> str:
    """A swept `blend.res=8,16` as the list `blend.res=[8,16]`; other sweeps are not this sweeper's.

    Raises:
        UserError: when another key is given several values.
    """
    text = override.input_line or ""
    if not override.is_sweep_override():
        return text
    if override.key_or_group != GROUPED:
        key = override.key_or_group
        raise UserError(f"{key}: only {GROUPED} takes several values; give snapshots as a list, snapshot=[1,2,4]")
    values = ",".join(override.sweep_string_iterator())
    return f"{GROUPED}=[{values}]"


def register() -> None:
    """Make the sweeper known to Hydra as `hydra/sweeper: snapshots`."""
    target = f"{SnapshotSweeper.__module__}.{SnapshotSweeper.__qualname__}"
    node = {"_target_": target, "max_jobs": 100_000, "params": None}
    ConfigStore.instance().store(group="hydra/sweeper", name="snapshots", node=node, provider="caricature")
    sys.modules[SnapshotSweeper.__module__]  # imported, so that Hydra finds it
