"""The whole sweep in order: open, prepare, score what is missing, rank."""

from collections.abc import Callable, Mapping
from typing import Any

from .finish import finish_sweep
from .run import missing_cells, open_sweep, prepare, score_snapshot

Launch = Callable[[list[str]], None]


def run_sweep(config: Mapping[str, Any], *, launch: Launch | None = None) -> dict[str, Any]:
    """Run a sweep as `conf/sweep.yaml` describes it.

    Args:
        config: plain configuration.
        launch: scores the snapshots of these names, in other processes if it likes; None scores them here.

    Returns:
        The ranking, as in `ranking.json`.

    Raises:
        UserError: for everything that the user can put right; cells that are finished stay.
    """
    sweep = open_sweep(config)
    missing = {s.name: missing_cells(sweep, s) for s in sweep.snapshots}
    new = sum(map(len, missing.values()))
    count = len(sweep.snapshots) * len(sweep.settings.resolutions)
    resolutions = ", ".join(map(str, sweep.settings.resolutions))
    print(
        f"sweep      {sweep.folder}: {len(sweep.snapshots)} snapshots at {resolutions} px, {count - new} of {count} known"
    )
    if new:
        prepare(sweep)
        pending = [s for s in sweep.snapshots if missing[s.name]]
        if launch is not None:
            launch([s.name for s in pending])
        else:
            for snapshot in pending:
                score_snapshot(sweep, snapshot)
    print(f"scored {new} new cells, {count - new} reused", flush=True)
    return finish_sweep(sweep)
