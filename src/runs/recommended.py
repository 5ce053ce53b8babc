"""The recommended blend of a run: the one rule by which every script and page finds it.

A sweep has finished when its `ranking.json` is there. It recommends a blend when the ranking names one and its file,
`best.safetensors`, is there. The run's recommended blend is that of the sweep that finished last among those. What a
sweep that was interrupted left behind does not count.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import read_json
from ..networks import Generator
from ..weights import load_network, read_meta
from .recipe import Recipe

BEST, RANKING = "best.safetensors", "ranking.json"
CELL_FACES, CELL_COLUMNS = 16, 4  # of a cell's picture, which shows the first of the common codes


@dataclass(frozen=True)
class Recommended:
    """A blend that a sweep recommends."""

    path: Path  # its file
    recipe: Recipe  # how it was made
    snapshot: Path  # file of the snapshot that it was made of; it may be gone
    kimg: float  # of that snapshot

    @property
    def sweep(self) -> str:
        """Name of the sweep."""
        return self.path.parent.name

    def load(self, device: torch.device) -> Generator:
        """Load the blended network."""
        return load_network(self.path, device=device, parts=("G_ema",)).G_ema


def finished_sweeps(run_dir: Path) -> list[Path]:
    """List the folders of a run's finished sweeps, in the order in which they finished."""
    rankings = (run_dir / "sweeps").glob(f"*/{RANKING}")
    return [path.parent for path in sorted(rankings, key=lambda path: (path.stat().st_mtime, path))]


def recommending_sweep(run_dir: Path) -> Path | None:
    """Find the sweep whose blend is recommended.

    Returns:
        Its folder; None when no finished sweep recommends a blend.

    Raises:
        UserError: when a ranking is damaged.
    """
    return next((folder for folder in reversed(finished_sweeps(run_dir)) if _recommends(folder)), None)


def recommended_blend(run_dir: Path, sweep: str | None = None) -> Recommended | None:
    """Find the recommended blend.

    Args:
        run_dir: run folder.
        sweep: name of the sweep to ask; None for the run's, as described above.

    Returns:
        None when no sweep is named and none recommends a blend.

    Raises:
        UserError: when the named sweep is not there, has not finished or recommends none, or a file is damaged.
    """
    if sweep is None:
        folder = recommending_sweep(run_dir)
        return None if folder is None else _read(folder / BEST, run_dir)
    finished = {folder.name: folder for folder in finished_sweeps(run_dir)}
    if sweep not in finished:
        known = ", ".join(sorted(finished)) or "no finished sweep"
        raise UserError(f"sweep={sweep}: {run_dir.name} has {known}")
    if not _recommends(finished[sweep]):
        raise UserError(f"sweep={sweep}: it recommends no blend; name another, or say snapshot= and blend.res= without")
    return _read(finished[sweep] / BEST, run_dir)


def blend_header(recipe: Recipe, snapshot: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What a recommended blend's header says of it under `blend`.

    Args:
        recipe: of the blend.
        snapshot: `file` and `kimg` of the snapshot, and whatever else is to be known.
        base: the same of the base network.
    """
    low, high = recipe.ordered(snapshot, base)
    return {**asdict(recipe), "low": dict(low), "high": dict(high)}


def _recommends(folder: Path) -> bool:
    return (folder / BEST).is_file() and bool(read_json(folder / RANKING).get("recommended"))


def _read(path: Path, run_dir: Path) -> Recommended:
    meta = read_meta(path)
    try:
        made = meta["blend"]
        recipe = Recipe(**{field.name: made[field.name] for field in fields(Recipe)})
        snapshot, _ = recipe.ordered(made["low"], made["high"])
        return Recommended(path, recipe, run_dir / "snapshots" / Path(snapshot["file"]).name, float(snapshot["kimg"]))
    except (KeyError, TypeError, ValueError, UserError) as error:
        raise UserError(f"{path}: its header does not say what it is a blend of: run the sweep again") from error
