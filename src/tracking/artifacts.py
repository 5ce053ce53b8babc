"""What a run is called in W&B: its group, the artifact of its snapshots, and one of blends for each sweep."""

from pathlib import Path

from ..runs import RUN_JSON
from .wandb_record import known_run


def snapshots_artifact(run_dir: Path) -> str:
    """Name of the artifact whose versions are a run's snapshots."""
    return _allowed(group_of(run_dir))


def blends_artifact(run_dir: Path, sweep: str) -> str:
    """Name of the artifact whose versions are the blends that a sweep recommends."""
    return _allowed(f"{group_of(run_dir)}-{sweep}")


def group_of(run_dir: Path) -> str:
    """Group of a training and its sweeps; the training's id keeps runs of the same name apart."""
    name, known = run_dir.resolve().name, known_run(run_dir / RUN_JSON)
    return f"{name}-{known['id']}" if known else name


def snapshot_alias(kimg: float) -> str:
    """By which name a snapshot is found among the versions: `kimg-16`."""
    return f"kimg-{kimg:g}"


def _allowed(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
