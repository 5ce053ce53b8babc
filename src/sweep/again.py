"""A finished sweep ranked again, of its files alone: no network is loaded and no picture made."""

import shlex
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError
from ..files import read_json
from ..metrics import AxisName
from ..options import read, shown
from ..runs import RANKING, run_argument
from .features import load_pseudo
from .ranking import rank
from .settings import SweepSettings
from .table import CellTable


def recommend_again(folder: Path, alpha: float) -> dict[str, Any]:
    """Recommend a blend of a finished sweep with another weight of shape, by what it has measured already.

    What a race has left out may be the best now, so all blends are compared by the first codes that all of them have:
    64 after a race. Gates are those of the sweep. A sweep with this alpha looks at more codes where these do not
    decide, so it is surer, and may recommend another blend.

    Args:
        folder: of the sweep.
        alpha: weight of shape, between 0 and 1.

    Returns:
        The decision as in `ranking.json`, see `rank`; and `codes`, by how many it is.

    Raises:
        UserError: when the sweep has not finished, or its files are gone or of an earlier score.
    """
    table, ranking = CellTable(folder), read_json(folder / RANKING)
    try:
        rows = table.scored()
        pseudo = {row["label"]: load_pseudo(table.features_path(row["key"])) for row in rows}
        unblended = {name: load_pseudo(table.features_path(k)) for name, k in ranking["unblended_keys"].items()}
        common = min(map(len, [*pseudo.values(), *unblended.values()]), default=0)
        _, decided = rank(
            rows,
            {label: values[:common] for label, values in pseudo.items()},
            {name: values[:common] for name, values in unblended.items()},
            [AxisName(axis["name"], axis["title"]) for axis in ranking["axes"]],
            alpha=alpha,
            seed=ranking["seed"],
            gates=ranking["gates"],
            resolutions=ranking["resolutions"],
        )
    except (OSError, KeyError) as error:
        raise UserError(f"{folder} cannot be ranked again ({error}): run sweep.py once more") from error
    return {**decided, "codes": common}


def command_with_clicks(folder: Path, clicks: Path) -> str:
    """The command that made a finished sweep, with the alpha of clicks instead of its own.

    Args:
        folder: of the sweep, with its `config.yaml`.
        clicks: the file of clicks.
    """
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    settings = read(SweepSettings, {**config, "alpha": SweepSettings.alpha, "clicks": str(clicks)})
    settings = replace(settings, run=run_argument(folder.parents[1], settings.paths.runs))
    kept = [name for name in settings.changed() if not name.startswith(("tracker.", "weights."))]
    overrides = [f"{name}={shown(attrgetter(name)(settings))}" for name in kept]
    return shlex.join(["python", "sweep.py", *overrides])
