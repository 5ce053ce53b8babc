"""Which network is rendered: one that is named, or a run's recommended blend, snapshot, or a blend made now."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import expanded
from ..networks import Generator
from ..runs import (
    SNAPSHOTS,
    Base,
    Recipe,
    Recommended,
    Snapshot,
    check_family,
    find_base,
    find_run,
    find_snapshots,
    recommended_blend,
)
from ..weights import load_network
from .settings import BlendOptions, GenerateSettings

OUT = "generated"


#: One network of before/after pairs, or of a table of blends: its caption, and how to get it.
Column = tuple[str, Callable[[], Generator]]


@dataclass(frozen=True)
class Chosen:
    """What is rendered."""

    G: Generator  # the network; of several the base, whose mapping makes the codes
    text: str  # which it is, for people
    folder: Path  # where its pictures go when no folder is asked for
    name: str  # for the names of files in a folder of the user's
    columns: tuple[Column, ...] = ()  # of pairs and of a table of blends, the base first
    recipes: tuple[Recipe, ...] = ()  # of a table of blends: its rows
    recommended: tuple[tuple[int, int], ...] = ()  # row and column of the blend that a sweep recommends, if it is shown
    label: str = ""  # of pairs and of a table, for the sheet's name


def choose_network(settings: GenerateSettings, device: torch.device) -> Chosen:
    """Find and load the network that the settings name."""
    if settings.network is not None:
        path = expanded(settings.network)
        if next(path.glob(SNAPSHOTS), None) is None:
            source = path if path.exists() else settings.network
            G = load_network(source, device=device, parts=("G_ema",), weights_folder=settings.weights).G_ema
            return Chosen(G, str(path), Path(OUT) / _name(path), _name(path))
        run_dir = path
    else:
        run_dir = _run(settings)
    best = recommended_blend(run_dir)
    if settings.snapshot is None and not settings.shows_blends and best is not None:
        text = f"{best.path} (recommended: {_described(best)})"
        return Chosen(best.load(device), text, run_dir / OUT / f"{best.sweep}-best", f"{best.sweep}-best")
    snapshot = _one_snapshot(run_dir, settings, best if settings.shows_blends else None)
    G = _load(snapshot, device)
    text, name = f"{snapshot.path}", snapshot.name
    if settings.shows_blends:
        base = find_base(run_dir, settings.base or "auto", device=device, weights_folder=settings.weights)
        check_family([snapshot], base)
        recipe = _recipes(settings.blend, G)[0]
        G = recipe.blend(G, base.G)
        name += f"-res{recipe.resolution:03d}{_manner(recipe)}"
        text += f" blended at {recipe.resolution}"
    elif settings.snapshot is None:
        text += " (newest snapshot; no sweep has recommended a blend)"
    return Chosen(G, text, run_dir / OUT / name, name)


def choose_pairs(settings: GenerateSettings, device: torch.device) -> Chosen:
    """Find the base network and the columns that `pairs.columns` asks for."""
    run_dir = _run(settings)
    base = find_base(run_dir, settings.base or "auto", device=device, weights_folder=settings.weights)
    kind = settings.pairs.columns or "best"
    label: str = kind
    if kind == "best":
        columns, text = _best_columns(run_dir, base, device)
    else:
        best = recommended_blend(run_dir) if kind == "resolutions" else None
        one = kind == "resolutions"
        snapshots = [_one_snapshot(run_dir, settings, best)] if one else _later_snapshots(run_dir, settings)
        check_family(snapshots, base)
        recipes = _recipes(settings.blend, base.G) if settings.shows_blends else []
        label += _manner(recipes[0]) if recipes else ""
        if kind == "resolutions":
            columns, text = _resolution_columns(snapshots[0], base.G, recipes, device)
            label += f"-{snapshots[0].name}"
        else:
            recipe = recipes[0] if recipes else None
            columns, text = _snapshot_columns(snapshots, base.G, recipe, device)
            label += "" if recipe is None else f"-res{recipe.resolution:03d}"
    return _several(settings, run_dir, base, columns, text, label=label)


def choose_blends(settings: GenerateSettings, device: torch.device) -> Chosen:
    """Find the base network, the snapshots and the recipes of a table of blends."""
    run_dir = _run(settings)
    base = find_base(run_dir, settings.base or "auto", device=device, weights_folder=settings.weights)
    snapshots = _later_snapshots(run_dir, settings)
    check_family(snapshots, base)
    recipes = _recipes(settings.blend, base.G)
    best = recommended_blend(run_dir)
    paths = [snapshot.path for snapshot in snapshots]
    framed: tuple[tuple[int, int], ...] = ()
    if best is not None and best.snapshot in paths and best.recipe in recipes:
        framed = ((recipes.index(best.recipe), 1 + paths.index(best.snapshot)),)
    columns, text = _snapshot_columns(snapshots, base.G, None, device)
    chosen = _several(settings, run_dir, base, columns, f"{text} blended", label=f"blends{_manner(recipes[0])}")
    return replace(chosen, recipes=tuple(recipes), recommended=framed)


def _several(
    settings: GenerateSettings, run_dir: Path, base: Base, columns: list[Column], text: str, *, label: str
) -> Chosen:
    """The base and other networks of a run beside each other."""
    return Chosen(
        base.G,
        f"{run_dir.name}: base {base.path.name}, {text}",
        run_dir / OUT / settings.mode,
        run_dir.resolve().name,
        (("base", lambda: base.G), *columns),
        label=label,
    )


def _later_snapshots(run_dir: Path, settings: GenerateSettings) -> list[Snapshot]:
    """The snapshots asked for, without that of the start."""
    snapshots = [s for s in find_snapshots(run_dir, _chosen(settings)) if s.kimg > 0]
    if not snapshots:
        raise UserError(f"{run_dir} has no snapshot after its start: train on, or choose others with snapshot=")
    return snapshots


def _recipes(options: BlendOptions, G: Generator) -> list[Recipe]:
    """Of the blends at the resolutions asked for, else at all, of networks of G's size."""
    usual = Recipe(4, options.direction or "cartoon_low", options.level or 0, options.width)
    recipes = [usual.at(r) for r in options.res or usual.resolutions(G)]
    for recipe in recipes:
        recipe.check_against(G, "blend.res")
    return recipes


def _name(path: Path) -> str:
    """What a network's file or folder is called."""
    return path.resolve().name if path.is_dir() else path.stem


def _run(settings: GenerateSettings) -> Path:
    try:
        return find_run(settings.run, Path(settings.paths.runs))
    except UserError as error:
        if settings.mode in ("pairs", "blends"):
            raise
        raise UserError(f"{error}; or name a network with network=FILE (network=demo is always there)") from error


def _chosen(settings: GenerateSettings) -> Any:
    return "all" if settings.snapshot is None else settings.snapshot


def _one_snapshot(run_dir: Path, settings: GenerateSettings, best: Recommended | None) -> Snapshot:
    """The snapshot asked for; else that of the recommended blend; else the newest."""
    snapshots = find_snapshots(run_dir, _chosen(settings))
    if settings.snapshot is None and best is not None:
        snapshots = [s for s in snapshots if s.path == best.snapshot] or snapshots
    return snapshots[-1]


def _described(best: Recommended) -> str:
    return f"{best.kimg:g} kimg at {best.recipe.resolution}"


def _manner(recipe: Recipe) -> str:
    """How a blend is made, for the names of files, where it is not as usual."""
    return "" if recipe == Recipe(recipe.resolution) else f"-{recipe.manner}"


def _load(snapshot: Snapshot, device: torch.device) -> Generator:
    return load_network(snapshot.path, device=device, parts=("G_ema",)).G_ema


def _best_columns(run_dir: Path, base: Base, device: torch.device) -> tuple[list[Column], str]:
    best = recommended_blend(run_dir)
    if best is None:
        raise UserError(
            f"{run_dir} has no recommended blend: run sweep.py first, or choose pairs.columns=resolutions or snapshots"
        )
    snapshot = Snapshot(best.snapshot, best.kimg)
    if not snapshot.path.is_file():
        raise UserError(
            f"{snapshot.path} is missing: the recommended blend was made of it; choose pairs.columns=snapshots"
        )
    check_family([Snapshot(best.path, best.kimg), snapshot], base)
    columns = [
        (f"best: {best.recipe.resolution}", lambda: best.load(device)),
        (f"{best.kimg:g} kimg", lambda: _load(snapshot, device)),
    ]
    return columns, f"recommended blend ({_described(best)}), its snapshot"


def _resolution_columns(
    snapshot: Snapshot, base: Generator, recipes: list[Recipe], device: torch.device
) -> tuple[list[Column], str]:
    G = _load(snapshot, device)

    def column(recipe: Recipe) -> Column:
        return f"{recipe.resolution}", lambda: recipe.blend(G, base)

    shown = ", ".join(f"{recipe.resolution}" for recipe in recipes)
    columns = [*map(column, recipes), (f"{snapshot.kimg:g} kimg", lambda: G)]
    return columns, f"blends at {shown}, snapshot of {snapshot.kimg:g} kimg"


def _snapshot_columns(
    snapshots: list[Snapshot], base: Generator, recipe: Recipe | None, device: torch.device
) -> tuple[list[Column], str]:
    def load(snapshot: Snapshot) -> Generator:
        G = _load(snapshot, device)
        return G if recipe is None else recipe.blend(G, base)

    columns: list[Column] = [(f"{s.kimg:g} kimg", partial(load, s)) for s in snapshots]
    blended = "" if recipe is None else f" blended at {recipe.resolution}"
    return columns, f"{len(snapshots)} snapshots{blended}"
