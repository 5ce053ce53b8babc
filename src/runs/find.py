"""What a sweep runs over: the run, its snapshots, and the network that it was fine-tuned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import expanded, file_sha256, read_json
from ..networks import Generator
from ..weights import load_network, read_meta, resolve_network
from .settings import PathsSettings

MAX_LISTED = 12
SNAPSHOTS = "snapshots/kimg-*.safetensors"
RUN_JSON = "run.json"  # what a run is: identity, data set, machine, W&B run
#: The network that a run was fine-tuned from, kept in its folder.
BASE = "base.safetensors"
AT_START = "snapshots/kimg-000000.00.safetensors"  # the same, as a snapshot


@dataclass(frozen=True)
class Snapshot:
    """A snapshot file of a run."""

    path: Path
    kimg: float

    @property
    def name(self) -> str:
        """`kimg-000016.00`."""
        return self.path.stem

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return file_sha256(self.path)


@dataclass(frozen=True)
class Base:
    """The network that a run was fine-tuned from, and its file."""

    G: Generator
    path: Path


def find_run(run: str | Path, runs: Path) -> Path:
    """Find a run folder by name, by path, or as `latest`: the one that was written to last.

    Raises:
        UserError: when there is none.
    """
    runs = expanded(runs)
    if str(run) == "latest":
        folders = [folder for folder in sorted(runs.glob("*")) if next(folder.glob(SNAPSHOTS), None) is not None]
        if not folders:
            raise UserError(f"no run with snapshots in {runs}: train one first, or name its folder with run=PATH")
        return max(folders, key=_last_change)
    for path in (runs / str(run), expanded(run)):
        if (path / RUN_JSON).is_file() or (path / "snapshots").is_dir():
            return path
    raise UserError(f"run={run}: neither a run in {runs} nor the folder of one")


def run_argument(run_dir: Path, runs: str | Path = PathsSettings.runs) -> str:
    """What `run=` is to say, so that `find_run` finds this folder: its name in `runs`, or its path."""
    return run_dir.name if run_dir.resolve().parent == expanded(runs).resolve() else str(run_dir)


def find_snapshots(run_dir: Path, chosen: str | float | Sequence[str | float] = "all") -> list[Snapshot]:
    """List a run's snapshots by kimg.

    Args:
        run_dir: run folder.
        chosen: `"all"`, or names or kimg.

    Raises:
        UserError: when there is none, or a chosen one is missing or damaged.
    """
    folder = run_dir / "snapshots"
    paths = sorted(folder.glob("kimg-*.safetensors"))
    if not paths:
        raise UserError(f"{folder} holds no snapshots: run train.py first (snapshot.kimg says when it takes them)")
    found, damaged = [], {}
    for path in paths:
        try:
            found.append(Snapshot(path, _kimg(path)))
        except UserError as error:
            damaged[path] = error
    wanted = [chosen] if isinstance(chosen, str | int | float) else list(chosen)
    for path, reason in damaged.items():
        kimg = _as_kimg(path.stem.removeprefix("kimg-"))
        if chosen == "all" or any(_means(item, path, kimg) for item in wanted):
            raise UserError(
                f"{path.name} cannot be used: restore or delete it, or name the others with snapshot= ({reason})"
            ) from reason
    found.sort(key=lambda s: s.kimg)
    return found if chosen == "all" else _choose(found, wanted)


def find_base(
    run_dir: Path,
    base: str,
    *,
    device: torch.device | str = "cpu",
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> Base:
    """Find the network that a run was fine-tuned from.

    Args:
        run_dir: run folder.
        base: `"auto"` for what the run's folder keeps of it; or a network's file or name.
        device: where to load it.
        weights_folder: where published networks lie and come from.

    Raises:
        UserError: when it cannot be found, or the run was trained from scratch.
    """
    if base != "auto":
        path = resolve_network(base, weights_folder=weights_folder)
        return Base(load_network(path, device=device, parts=("G_ema",)).G_ema, path)
    settings = run_config(run_dir).get("pretrained", {})
    if settings and settings.get("source") is None:
        raise UserError(
            f"{run_dir.name} was trained from scratch: a blend needs the network that a run was fine-tuned from; "
            "name one with base=FILE"
        )
    kept = [path for path in (run_dir / BASE, run_dir / AT_START) if path.is_file()]
    if not kept:
        raise UserError(f"{run_dir / BASE} is missing: name the network that the run started from with base=FILE")
    path = kept[0]
    try:
        return Base(load_network(path, device=device, parts=("G_ema",)).G_ema, path)
    except UserError as error:
        raise UserError(f"{error}; or name the original network with base=FILE") from error


def check_family(snapshots: Sequence[Snapshot], base: Base) -> None:
    """Check from the files' headers that the snapshots have the base network's shape.

    Raises:
        UserError: naming the first that has not, and the difference.
    """
    for snapshot in snapshots:
        theirs = read_meta(snapshot.path)["architecture"]["G"]
        channels = {int(r): int(c) for r, c in theirs["channels"].items()}
        for name, a, b in (
            ("resolution", theirs["resolution"], base.G.resolution),
            ("w_dim", theirs["w_dim"], base.G.w_dim),
            ("channels", channels, base.G.config["channels"]),
        ):
            if a != b:
                raise UserError(
                    f"{snapshot.path.name} was not fine-tuned from {base.path}: its {name} is {a}, the base's is {b}"
                )


def run_json(run_dir: Path) -> dict[str, Any]:
    """What the run's `run.json` says; empty when there is none."""
    path = run_dir / RUN_JSON
    return read_json(path) if path.is_file() else {}


def run_config(run_dir: Path) -> dict[str, Any]:
    """The run's configuration as it was written; empty when there is none."""
    path = run_dir / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text()) if path.is_file() else None
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise UserError(f"{path} is damaged: restore it, or name the original network with base=FILE") from error
    return config if isinstance(config, dict) else {}


def _kimg(path: Path) -> float:
    try:
        return float(read_meta(path)["kimg"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its header does not say its kimg") from error


def _means(item: str | float, path: Path, kimg: float | None) -> bool:
    """Whether a name or kimg is that of a snapshot."""
    return str(item) in (path.stem, path.name) or (kimg is not None and _as_kimg(item) == kimg)


def _choose(snapshots: list[Snapshot], wanted: Sequence[str | float]) -> list[Snapshot]:
    if not wanted:
        raise UserError("snapshot is empty: give names or kimg such as snapshot=[1,2,4], or all")
    found = []
    for item in wanted:
        match = [s for s in snapshots if _means(item, s.path, s.kimg)]
        if not match:
            known = [f"{s.kimg:g}" for s in snapshots]
            more = f" and {len(known) - MAX_LISTED} more" if len(known) > MAX_LISTED else ""
            raise UserError(f"snapshot={item}: the run has snapshots at {', '.join(known[:MAX_LISTED])}{more} kimg")
        found += [s for s in match if s not in found]
    return sorted(found, key=lambda s: s.kimg)


def _as_kimg(item: str | float) -> float | None:
    try:
        return float(item)
    except ValueError:
        return None


def _last_change(run_dir: Path) -> float:
    files = [run_dir / RUN_JSON, run_dir / "log.jsonl", run_dir / "metrics.jsonl", *run_dir.glob(SNAPSHOTS)]
    return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)
