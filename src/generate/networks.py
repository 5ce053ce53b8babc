"""Which network is rendered: one that is named, or a run's recommended blend, snapshot, or a blend made now."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..networks import Generator
from ..runs import SNAPSHOTS, Base, Snapshot, check_family, find_base, find_run, find_snapshots
from ..weights import load_network, read_meta
from .settings import BlendOptions, GenerateSettings

BEST = "sweeps/*/best.safetensors"
OUT = "generated"


@dataclass(frozen=True)
class Chosen:
    """A network to render with.

    Attributes:
        G: the network.
        text: which it is, for people.
        folder: where its pictures go when no folder is asked for.
    """

    G: Generator
    text: str
    folder: Path


@dataclass(frozen=True)
class Column:
    """One network of before/after pairs: its caption, and how to get it."""

    caption: str
    load: Callable[[], Generator]


@dataclass(frozen=True)
class Pairs:
    """What pairs show: the network whose mapping makes the codes, all columns, and where the sheet goes."""

    base: Generator
    columns: list[Column]
    text: str
    label: str
    folder: Path


def choose_network(settings: GenerateSettings, device: torch.device) -> Chosen:
    """Find and load the network that the settings name.

    Raises:
        UserError: when there is none, or what is asked for cannot be.
    """
    if settings.network is not None:
        path = Path(settings.network)
        if next(path.glob(SNAPSHOTS), None) is None:
            source = path if path.exists() else settings.network
            G = load_network(source, device=device, parts=("G_ema",), weights_folder=settings.weights).G_ema
            return Chosen(G, str(settings.network), Path(OUT) / _name(path))
        run_dir = path
    else:
        run_dir = _run(settings)
    best = recommended(run_dir)
    if settings.snapshot is None and settings.blend is None and best is not None:
        G = load_network(best, device=device, parts=("G_ema",)).G_ema
        return Chosen(G, f"{best} (recommended: {_described(best)})", run_dir / OUT / f"{best.parent.name}-best")
    snapshot = _one_snapshot(run_dir, settings, best if settings.blend is not None else None)
    G = _load(snapshot, device)
    text, name = f"{snapshot.path}", snapshot.name
    if settings.blend is not None:
        base = find_base(run_dir, settings.base, device=device, weights_folder=settings.weights)
        G = _blended(snapshot, G, base, settings.blend)
        res = (settings.blend.resolutions or (0,))[0]
        name += f"-res{res:03d}" + _variant(settings.blend)
        text += f" blended at {res}"
    elif settings.snapshot is None:
        text += " (newest snapshot; no sweep has recommended a blend)"
    return Chosen(G, text, run_dir / OUT / name)


def choose_pairs(settings: GenerateSettings, device: torch.device) -> Pairs:
    """Find the base network and the columns that `pairs.columns` asks for.

    Raises:
        UserError: when one is missing, or does not fit.
    """
    run_dir = _run(settings)
    base = find_base(run_dir, settings.base, device=device, weights_folder=settings.weights)
    first = Column("base", lambda: base.G)
    kind, label = settings.pair_columns, settings.pair_columns
    if kind == "best":
        columns, text = _best_columns(run_dir, base, device)
    else:
        best = recommended(run_dir) if kind == "resolutions" else None
        snapshots = (
            [_one_snapshot(run_dir, settings, best)]
            if kind == "resolutions"
            else [s for s in find_snapshots(run_dir, _chosen(settings)) if s.kimg > 0]
        )
        if not snapshots:
            raise UserError(f"{run_dir} has no snapshot after its start: train on, or choose others with snapshot=")
        check_family(snapshots, base)
        blend = settings.blend
        if blend is not None:
            blend.settings(base.G.resolution).check_against(base.G)
            label += _variant(blend)
        if kind == "resolutions":
            assert blend is not None
            columns, text = _resolution_columns(snapshots[0], base.G, blend, device)
            label += f"-{snapshots[0].name}"
        else:
            columns, text = _snapshot_columns(snapshots, base.G, blend, device)
            label += f"-res{(blend.resolutions or (0,))[0]:03d}" if blend is not None else ""
    return Pairs(base.G, [first, *columns], f"{run_dir.name}: base {base.path.name}, {text}", label, run_dir / OUT)


def recommended(run_dir: Path) -> Path | None:
    """The blend that the run's last sweep recommends, or None."""
    return max(run_dir.glob(BEST), key=lambda path: path.stat().st_mtime, default=None)


def _name(path: Path) -> str:
    """What a network's file or folder is called."""
    return path.resolve().name if path.is_dir() else path.stem


def _run(settings: GenerateSettings) -> Path:
    try:
        return find_run(settings.run, Path(settings.runs))
    except UserError as error:
        if settings.mode == "pairs":
            raise
        raise UserError(f"{error}; or name a network with network=FILE (network=demo is always there)") from error


def _chosen(settings: GenerateSettings) -> Any:
    return "all" if settings.snapshot is None else settings.snapshot


def _one_snapshot(run_dir: Path, settings: GenerateSettings, best: Path | None) -> Snapshot:
    """The snapshot asked for; else that of the recommended blend; else the newest."""
    snapshots = find_snapshots(run_dir, _chosen(settings))
    if settings.snapshot is None and best is not None:
        name = _source(best)["file"]
        snapshots = [s for s in snapshots if s.path.name == name] or snapshots
    return snapshots[-1]


def _source(best: Path) -> dict[str, Any]:
    """What a recommended blend says of its snapshot."""
    blend = read_meta(best)["blend"]
    found: dict[str, Any] = blend["low" if blend["direction"] == "cartoon_low" else "high"]
    return found


def _described(best: Path) -> str:
    blend = read_meta(best)["blend"]
    return f"{_source(best)['kimg']:g} kimg at {blend['resolution']}"


def _variant(blend: BlendOptions) -> str:
    high = "-high" if blend.direction == "cartoon_high" else ""
    return f"{high}{f'-level{blend.level}' if blend.level else ''}{f'-width{blend.width:g}' if blend.width else ''}"


def _load(snapshot: Snapshot, device: torch.device) -> Generator:
    return load_network(snapshot.path, device=device, parts=("G_ema",)).G_ema


def _blended(snapshot: Snapshot, G: Generator, base: Base, options: BlendOptions) -> Generator:
    check_family([snapshot], base)
    blend = options.settings(G.resolution)
    blend.check_against(G)
    return blend.blend(G, base.G, blend.resolutions[0])


def _best_columns(run_dir: Path, base: Base, device: torch.device) -> tuple[list[Column], str]:
    best = recommended(run_dir)
    if best is None:
        raise UserError(
            f"{run_dir} has no recommended blend: run sweep.py first, or choose pairs.columns=resolutions or snapshots"
        )
    path, kimg = run_dir / "snapshots" / str(_source(best)["file"]), _source(best)["kimg"]
    if not path.is_file():
        raise UserError(f"{path} is missing: the recommended blend was made of it; choose pairs.columns=snapshots")
    check_family([Snapshot(best, kimg), Snapshot(path, kimg)], base)
    columns = [
        Column(f"best: {read_meta(best)['blend']['resolution']}", lambda: _from(best, device)),
        Column(f"{kimg:g} kimg", lambda: _from(path, device)),
    ]
    return columns, f"recommended blend ({_described(best)}), its snapshot"


def _from(path: Path, device: torch.device) -> Generator:
    return load_network(path, device=device, parts=("G_ema",)).G_ema


def _resolution_columns(
    snapshot: Snapshot, base: Generator, options: BlendOptions, device: torch.device
) -> tuple[list[Column], str]:
    blend, G = options.settings(base.resolution), _load(snapshot, device)

    def column(resolution: int) -> Column:
        return Column(f"{resolution}", lambda: blend.blend(G, base, resolution))

    shown = ", ".join(f"{r}" for r in blend.resolutions)
    columns = [*(column(r) for r in blend.resolutions), Column(f"{snapshot.kimg:g} kimg", lambda: G)]
    return columns, f"blends at {shown}, snapshot of {snapshot.kimg:g} kimg"


def _snapshot_columns(
    snapshots: list[Snapshot], base: Generator, options: BlendOptions | None, device: torch.device
) -> tuple[list[Column], str]:
    blend = None if options is None else options.settings(base.resolution)

    def load(snapshot: Snapshot) -> Generator:
        G = _load(snapshot, device)
        return G if blend is None else blend.blend(G, base, blend.resolutions[0])

    columns = [Column(f"{s.kimg:g} kimg", lambda s=s: load(s)) for s in snapshots]  # type: ignore[misc]
    blended = "" if blend is None else f" blended at {blend.resolutions[0]}"
    return columns, f"{len(snapshots)} snapshots{blended}"
