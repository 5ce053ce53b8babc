"""A sweep in three steps: `open_sweep` once, `score_snapshot` for each snapshot (a job), `finish_sweep` once.

The sweep's folder holds everything that the steps hand each other, so jobs may run in other processes or on other
machines, and a sweep that is run again computes only what is missing.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..errors import UserError
from ..files import remove_partials
from ..lock import Claim, attempt, exclusive
from ..metrics import Judge, open_detector, shrunk
from ..networks import UNRELATED, kinship
from ..options import read
from ..runs import Snapshot, find_run
from ..weights import load_network
from .features import Collector
from .finish import finish_sweep
from .pictures import UNBLENDED, render, render_snapshot
from .plan import Sweep, cell_name, open_configured_sweep, open_sweep
from .references import SweepReferences, find_cartoons, measure_references, write_references
from .settings import SweepSettings


def run_sweep(
    run_dir: str | Path, resolutions: Any = "all", *, blend: Mapping[str, Any] | None = None, **options: Any
) -> tuple[Path, dict[str, Any]]:
    """Sweep a run in this process.

    Args:
        run_dir: the run's folder.
        resolutions: of the switch; `"all"` that the networks have.
        blend: the other options of the group `blend`.
        options: the other fields of `SweepSettings`.

    Returns:
        The sweep's folder, and the ranking as in its `ranking.json`.

    Raises:
        UserError: for everything that the user can put right.
    """
    settings = read(SweepSettings, {"blend": {"res": resolutions, **(blend or {})}, **options})
    sweep = open_sweep(find_run(run_dir, Path()), settings)
    reused = prepare(sweep)
    score_missing(sweep)
    return sweep.folder, conclude(sweep, reused)


def main(config: Mapping[str, Any]) -> None:
    """Sweep in this process as a plain configuration composed from `conf/sweep.yaml` says."""
    sweep = open_configured_sweep(config)
    reused = prepare(sweep)
    score_missing(sweep)
    conclude(sweep, reused)


def prepare(sweep: Sweep) -> int:
    """Make the folder's beginnings and what all jobs share: the references.

    What the last finished sweep of this name left stays as it is until this one is ranked.

    Returns:
        How many of the grid's cells are there already.

    Raises:
        UserError: when no snapshot has been trained, or its pictures cannot be scored.
    """
    if not any(snapshot.kimg > 0 for snapshot in sweep.snapshots):
        folder = sweep.run_dir / "snapshots"
        raise UserError(f"{folder}: a sweep needs a snapshot later than 0 kimg, the network that training started from")
    table = sweep.table
    others = table.open(sweep.protocol)
    for folder in (sweep.folder, sweep.folder / "features", sweep.folder / "cells"):
        remove_partials(folder)
    _prepare_references(sweep)
    reused = len(sweep.rows())
    damaged = table.damaged(sweep.keys())
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        print(f"note       damaged or unfinished, and made again: {damaged[0]}{more}", flush=True)
    count = f"{len(sweep.snapshots)} snapshots x {len(sweep.recipes)} resolutions"
    print(f"sweep      {sweep.folder}: {count}, {sweep.protocol['n_latents']} codes", flush=True)
    if others and not reused:
        print(f"           {others} cells of another protocol (codes, score or base) are kept", flush=True)
    return reused


def _prepare_references(sweep: Sweep) -> None:
    """Measure the references unless they are there; where a snapshot stands for the cartoons, look for these again."""
    with exclusive(sweep.table.lock_path(sweep.base_key), waiting=partial(print, "waiting for the references")):
        _measure_references(sweep)


def _measure_references(sweep: Sweep) -> None:
    table, key, protocol = sweep.table, sweep.base_key, sweep.protocol
    if table.has(key) and SweepReferences.load(table.features_path(key)).has_cartoons:
        return
    base = torch.cat([shrunk(part) for part in render(sweep.base.G, sweep.codes(), sweep.precision)])
    cartoons = find_cartoons(sweep.run_dir, sweep.base.G, protocol["n_latents"], protocol["psi"], protocol["seed"])
    references = measure_references(base, cartoons, protocol["landmarks"], protocol["direction"])
    write_references(table.features_path(key), table.picture_path(key), references, base)


def pending_snapshots(sweep: Sweep) -> list[Snapshot]:
    """Snapshots with work left."""
    rows = sweep.rows()
    return [s for s in sweep.snapshots if _missing(sweep, s, rows)]


def score_missing(sweep: Sweep, score: Callable[[list[Snapshot]], None] | None = None) -> None:
    """Have all missing cells scored. Processes that sweep the same at this time share the work: each takes what no
    other has, and what one has left unfinished goes to the others.

    Args:
        sweep: the sweep.
        score: scores snapshots, or some of them; None to do it in this process.
    """
    while pending := pending_snapshots(sweep):
        if score is None:
            for snapshot in pending:
                score_snapshot(sweep, snapshot)
        else:
            score(pending)
        for snapshot in pending_snapshots(sweep)[:1]:
            said = f"waiting for another process that scores {snapshot.name}"
            with exclusive(_lock_path(sweep, snapshot), waiting=partial(print, said, flush=True)):
                pass


def score_snapshot(sweep: Sweep, snapshot: Snapshot) -> int:
    """Make and measure the missing cells of one snapshot, unless another process does; rows are written at the end.

    Returns:
        How many cells were new.

    Raises:
        UserError: when the snapshot does not belong with the base network.
    """
    with attempt(_lock_path(sweep, snapshot)) as ours:
        return _score(sweep, snapshot) if ours else 0


def _lock_path(sweep: Sweep, snapshot: Snapshot) -> Path:
    return sweep.table.lock_path(sweep.unblended_key(snapshot))


def _score(sweep: Sweep, snapshot: Snapshot) -> int:
    claim = Claim(_lock_path(sweep, snapshot))
    missing = _missing(sweep, snapshot, sweep.table.rows([sweep.cell_key(snapshot, r) for r in sweep.recipes]))
    if not missing:
        return 0
    started = time.perf_counter()
    G = load_network(snapshot.path, device=sweep.base.G.mapping.w_avg.device, parts=("G_ema",)).G_ema
    relation = kinship(sweep.base.G, G)
    if relation < UNRELATED:
        raise UserError(
            f"{snapshot.path} was not fine-tuned from {sweep.base.path}: their weights have nothing in common "
            f"(cosine {relation:.2f}); name the right network with base=FILE"
        )
    references = sweep.references
    provider = open_detector(references.facts["landmarks"]["name"])
    collectors: dict[int, Collector] = defaultdict(partial(Collector, Judge(references.measured), provider))
    resolutions = [r for r in missing if r != UNBLENDED]
    recipes = [sweep.recipes[r] for r in resolutions]
    total = sweep.protocol["n_latents"] * (len(resolutions) + 1)
    with tqdm(total=total, desc=snapshot.name, unit="img", leave=False, disable=None) as bar:
        for r, pictures in render_snapshot(G, sweep.base.G, sweep.codes(), recipes, sweep.precision):
            collectors[r].add(pictures)
            bar.update(len(pictures))
    claim.check()
    table, key = sweep.table, sweep.unblended_key(snapshot)
    collectors[UNBLENDED].save(table.features_path(key), table.picture_path(key))
    for r in resolutions:
        key = sweep.cell_key(snapshot, r)
        judged = collectors[r].save(table.features_path(key), table.picture_path(key))
        table.append({**_row(sweep, snapshot, r, key), **judged, "kinship": relation})
    took = time.perf_counter() - started
    print(f"{snapshot.name}  {len(resolutions)} cells, {total} pictures in {took:.1f} s", flush=True)
    return len(resolutions)


def conclude(sweep: Sweep, reused: int) -> dict[str, Any]:
    """Say how many cells were new, then rank."""
    print(scored_line(sweep, reused), flush=True)
    with exclusive(sweep.folder / ".ranking.lock", waiting=partial(print, "waiting for another process that ranks")):
        return finish_sweep(sweep)


def scored_line(sweep: Sweep, reused: int) -> str:
    """`scored 9 new cells, 0 reused`."""
    return f"scored {len(sweep.rows()) - reused} new cells, {reused} reused"


def _missing(sweep: Sweep, snapshot: Snapshot, rows: Mapping[str, Any]) -> list[int]:
    """Resolutions of a snapshot that are to be made; `UNBLENDED` for the snapshot itself."""
    missing = [r for r in sweep.recipes if sweep.cell_key(snapshot, r) not in rows]
    known = sweep.table.has(sweep.unblended_key(snapshot))
    return missing if known else [UNBLENDED, *missing]


def _row(sweep: Sweep, snapshot: Snapshot, resolution: int, key: str) -> dict[str, Any]:
    return {
        "label": f"{snapshot.name}/{resolution}",
        "snapshot": snapshot.name,
        "kimg": snapshot.kimg,
        **asdict(sweep.recipes[resolution]),
        "picture": f"cells/{cell_name(snapshot, resolution)}.jpg",
        "key": key,
        "protocol": sweep.protocol,
    }
