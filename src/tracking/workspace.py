"""`python -m src.tracking.workspace run=mine`: W&B's page of a training and its sweeps, arranged for picking.

A saved workspace and a report of the same sections: which snapshot, which blend, and how healthy the training is.
Needs the extra `workspace` (wandb-workspaces). Without a server it says so and writes what it would send.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..exits import with_errors_as_lines
from ..files import write_text
from ..metrics import FRECHET_NAMES
from ..options import Options, read
from ..runs import RUN_JSON, PathsSettings, RunName, find_run
from .artifacts import group_of
from .wandb_record import known_run
from .wandb_session import PROJECT, NotReached, WandbSession, shortened

WRITTEN = "workspace.json"
#: Titles of line charts over kimg, by section, with what they show.
LINES = {
    "Which snapshot": {
        "KID, with its standard error": ["metrics/kid", "metrics/kid_low", "metrics/kid_high"],
        "FID, or Fréchet distance": [f"metrics/{name}" for name in FRECHET_NAMES],
        "Precision and recall": ["metrics/precision", "metrics/recall"],
        "Memorisation": ["metrics/memorisation"],
    },
    "Which blend": {"CariScore": ["score/cari"], "S, shape": ["score/S"], "R, rendering": ["score/R"]},
    "Training health": {
        "Losses": ["loss/G", "loss/D"],
        "Regularisers": ["loss/r1", "loss/path_length"],
        "Augmentation": ["ada/p", "ada/rt"],
        "Images a second": ["speed/img_per_sec"],
        "Memory, GB": ["memory/peak_gb"],
    },
}
TABLES = {"Which snapshot": ["snapshots"], "Which blend": ["sweep/cells"]}
MEDIA = {"Which snapshot": ["samples"], "Which blend": ["cell"]}


@dataclass(frozen=True, kw_only=True)
class WorkspaceSettings(Options):
    """What may be said on the command line."""

    run: RunName = "latest"
    paths: PathsSettings = field(default_factory=PathsSettings)


def main(arguments: Sequence[str]) -> None:
    """Save workspace and report of a run, or write them to its folder."""
    settings = read(WorkspaceSettings, _config(arguments))
    run_dir = find_run(settings.run, Path(settings.paths.runs))
    path = str(known_run(run_dir / RUN_JSON).get("path") or f"/{PROJECT}/")
    entity, project, _ = path.split("/", 2)
    pages = list(_pages(group_of(run_dir), entity, project))
    try:
        if not entity:
            raise NotReached(f"{run_dir.name} was never online; `wandb sync` uploads it")
        session = WandbSession()
        if session.mode != "online":
            raise NotReached(f"{session.origin} says {session.mode}")
        session.log_in()
        for page in pages:
            page.save()
            print(f"{type(page).__name__.lower():10} {page.url}", flush=True)
    except Exception as error:  # W&B's own kinds differ from version to version
        sent = {type(page).__name__.lower(): page._to_model().model_dump(mode="json") for page in pages}
        written = write_text(run_dir / WRITTEN, json.dumps(sent, indent=2) + "\n")
        print(f"not saved ({shortened(error)}); what would be sent: {written}", flush=True)


def _config(arguments: Sequence[str]) -> dict[str, Any]:
    """`run=mine paths.runs=elsewhere` as groups of options."""
    config: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise UserError(f"{argument}: give run=NAME, and paths.runs=FOLDER where it is not runs")
        group, _, option = name.rpartition(".")
        (config.setdefault(group, {}) if group else config)[option] = value
    return config


def _pages(group: str, entity: str, project: str) -> Iterator[Any]:
    """The workspace, then the report, of all W&B runs of a group."""
    try:
        reports: Any = import_module("wandb_workspaces.reports.v2")
        workspaces: Any = import_module("wandb_workspaces.workspaces")
    except ImportError as error:
        raise UserError(f"wandb-workspaces is missing ({error}): pip install -e '.[workspace]'") from error

    def panels(section: str) -> list[Any]:
        wide, small = reports.Layout(w=24, h=9), reports.Layout(w=8, h=6)
        return [
            *(reports.LinePlot(title=title, x="kimg", y=keys, layout=small) for title, keys in LINES[section].items()),
            *(reports.MediaBrowser(media_keys=[key], layout=wide) for key in MEDIA.get(section, [])),
            *(reports.WeavePanelSummaryTable(table_name=name, layout=wide) for name in TABLES.get(section, [])),
        ]

    of_group = workspaces.And(workspaces.Metric("Group") == group)
    yield workspaces.Workspace(
        entity=entity,
        project=project,
        name=f"{group}: picking",
        sections=[workspaces.Section(name=name, panels=panels(name), is_open=True) for name in LINES],
        runset_settings=workspaces.RunsetSettings(filters=of_group),
    )
    runs = reports.Runset(entity=entity, project=project, name=group, filters=of_group)
    grids = {name: reports.PanelGrid(runsets=[runs], panels=panels(name)) for name in LINES}
    blocks = [block for name, grid in grids.items() for block in (reports.H2(name), grid)]
    yield reports.Report(entity=entity, project=project, title=f"{group}: picking", blocks=blocks, width="fluid")


if __name__ == "__main__":
    with_errors_as_lines(lambda: main(sys.argv[1:]))
