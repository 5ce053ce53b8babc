"""What a run is called in W&B: its group, the artifact of its snapshots, and one of blends for each sweep."""

import hashlib
from pathlib import Path

from ..runs import RUN_JSON
from .wandb_record import known_run

MAX_NAME, MAX_TAG = 128, 64  # characters that W&B takes


def snapshots_artifact(run_dir: Path) -> str:
    """Name of the artifact whose versions are a run's snapshots."""
    return _allowed(group_of(run_dir))


def blends_artifact(run_dir: Path, sweep: str) -> str:
    """Name of the artifact whose versions are the blends that a sweep recommends."""
    return _allowed(f"{group_of(run_dir)}-{sweep}")


def group_of(run_dir: Path) -> str:
    """Group of a training and its sweeps; the training's id keeps runs of the same name apart."""
    name, known = run_dir.resolve().name, known_run(run_dir / RUN_JSON)
    return fitted(f"{name}-{known['id']}" if known else name)


def snapshot_alias(kimg: float) -> str:
    """By which name a snapshot is found among the versions: `kimg-16`."""
    return f"kimg-{kimg:g}"


def fitted(name: str, longest: int = MAX_NAME) -> str:
    """A name that W&B takes: one that is too long is cut short, and told from others like it by a digest."""
    return name if len(name) <= longest else _told_apart(name[: longest - 9], name)


def _allowed(name: str) -> str:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    return fitted(name if plain == name else _told_apart(plain, name))


def _told_apart(short: str, name: str) -> str:
    return f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
