"""A sweep in steps: `open_sweep` once, `score_snapshot` for each snapshot (a job), `finish_sweep` once.

In a race the middle one is repeated, each time for fewer cells, until `course_of` has none left. The sweep's folder
holds everything that the steps hand each other, so jobs may run in other processes or on other machines, and a sweep
that is run again computes only what is missing.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..errors import UserError
from ..faces import open_detector
from ..files import remove_partials
from ..lock import Claim, attempt, exclusive, remove_left
from ..metrics import Judge, shrunk
from ..networks import UNRELATED, kinship, slow_format
from ..options import read
from ..runs import Snapshot, find_run
from ..weights import load_network
from .course import Course, course_of
from .features import Collector, load_rows, load_thumbnails
from .finish import finish_sweep
from .joint import check_recipe, check_references, rank_jointly
from .pictures import UNBLENDED, common_codes, render, render_snapshot
from .plan import Sweep, cell_name, open_configured_sweeps, open_sweep
from .references import OTHER_CODES, OTHER_SEED, SweepReferences, find_cartoons, measure_references, write_references
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
    score_all(sweep)
    return sweep.folder, conclude(sweep, reused)


def main(config: Mapping[str, Any]) -> None:
    """Sweep in this process as a plain configuration composed from `conf/sweep.yaml` says."""
    sweep_all(open_configured_sweeps(config), lambda sweep, _: score_all(sweep))


def sweep_all(sweeps: Sequence[Sweep], score: Callable[[Sweep, int], None]) -> None:
    """Prepare, score and rank sweeps, and all together where that is asked.

    Args:
        sweeps: of `open_configured_sweeps`.
        score: scores what is missing of a sweep, of which so many cells are there.
    """
    together = sweeps[0].settings.joint
    if together:
        check_recipe(sweeps)
    prepared = [(sweep, prepare(sweep)) for sweep in sweeps]
    if together:
        check_references(sweeps)
    for sweep, reused in prepared:
        score(sweep, reused)
        conclude(sweep, reused)
    if together:
        rank_jointly(sweeps)


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
        remove_left(folder)
    _prepare_references(sweep)
    reused = len(sweep.rows())
    damaged = table.damaged(sweep.key(s, r, n) for s in sweep.snapshots for r in sweep.recipes for n in sweep.looks)
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        print(f"note       damaged or unfinished, and made again: {damaged[0]}{more}", flush=True)
    count = f"{len(sweep.snapshots)} snapshots x {len(sweep.recipes)} resolutions"
    print(f"sweep      {sweep.folder}: {count}, {sweep.protocol['n_latents']} codes", flush=True)
    if slow := slow_format(sweep.precision, sweep.base.G.mapping.w_avg.device):
        print(f"note       {slow}", flush=True)
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
    codes = sweep.codes(), common_codes(sweep.base.G, OTHER_CODES, protocol["psi"], OTHER_SEED)
    base, others = (
        torch.cat([shrunk(part).cpu() for part in render(sweep.base.G, ws, sweep.precision)]) for ws in codes
    )
    cartoons = find_cartoons(sweep.run_dir, sweep.base.G, protocol["n_latents"], protocol["psi"], protocol["seed"])
    references = measure_references(
        base, others, cartoons, protocol["landmarks"], protocol["direction"], sweep.recogniser, sweep.settings.weights
    )
    write_references(table.features_path(key), table.picture_path(key), references, base)


def score_all(sweep: Sweep, score: Callable[[Course], None] | None = None) -> None:
    """Have scored what is missing. Processes that sweep the same at this time share the work: each takes what no other
    has, and what one leaves unfinished goes to the others.

    Args:
        sweep: the sweep.
        score: scores what is pending, or some of it; None to do it in this process.
    """
    while (course := course_of(sweep)).pending:
        if score is None:
            for snapshot, resolutions in course.jobs():
                score_snapshot(sweep, snapshot, resolutions, course.codes)
        else:
            score(course)
        for snapshot, _ in course_of(sweep).jobs()[:1]:
            said = f"waiting for another process that scores {snapshot.name}"
            with exclusive(_lock_path(sweep, snapshot), waiting=partial(print, said, flush=True)):
                pass


def score_snapshot(sweep: Sweep, snapshot: Snapshot, resolutions: Sequence[int], codes: int) -> int:
    """Render cells of one snapshot with the codes that they lack at the next look; write a row as each is finished.

    Where another process is at this snapshot it is left to that one. What others have made since is not gone beyond:
    which cells race on is known when all have come as far.

    Args:
        sweep: the sweep.
        snapshot: of the cells.
        resolutions: of the cells.
        codes: with which they are rendered now, one of `sweep.looks`.

    Returns:
        How many cells were rendered.

    Raises:
        UserError: when the snapshot does not belong with the base network.
    """
    with attempt(_lock_path(sweep, snapshot)) as claim:
        return 0 if claim is None else _score(sweep, snapshot, resolutions, codes, claim)


def _lock_path(sweep: Sweep, snapshot: Snapshot) -> Path:
    return sweep.table.lock_path(sweep.key(snapshot, UNBLENDED, sweep.protocol["n_latents"]))


def _score(sweep: Sweep, snapshot: Snapshot, resolutions: Sequence[int], most: int, claim: Claim) -> int:
    before, codes, missing = _next_look(sweep, snapshot, resolutions, most)
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
    references, table = sweep.references, sweep.table
    judge = Judge(references.measured.first(codes), sweep.recogniser)
    provider = open_detector(
        references.facts["landmarks"]["name"],
        device=str(G.mapping.w_avg.device),
        weights_folder=sweep.settings.weights,
    )
    collectors: dict[int, Collector] = {}
    for r in missing:
        key = sweep.key(snapshot, r, before)
        known = (load_rows(table.features_path(key)), table.picture_path(key)) if before else None
        collectors[r] = Collector(judge, provider, known)
    recipes = [sweep.recipes[r] for r in missing if r != UNBLENDED]
    total = (codes - before) * len(missing)
    with tqdm(total=total, desc=snapshot.name, unit="img", leave=False, disable=None) as bar:
        ws = sweep.codes()[before:codes]
        for r, pictures in render_snapshot(G, sweep.base.G, ws, recipes, sweep.precision):
            if r in collectors:
                collectors[r].add(pictures)
                bar.update(len(pictures))
    more = codes < sweep.looks[-1]
    claim.check()
    soft = sweep.settings.blend.width is not None
    for r, collector in collectors.items():  # the un-blended one first: the others are compared with it
        key, own = sweep.key(snapshot, r, codes), sweep.key(snapshot, UNBLENDED, codes)
        whole = r == UNBLENDED
        unblended = None if whole or soft else load_thumbnails(table.features_path(own))
        paths = table.features_path(key), table.picture_path(key)
        judged = collector.save(*paths, more=more, unblended=unblended, is_unblended=whole)
        if not whole:
            table.append({**_row(sweep, snapshot, r, key), **judged, "kinship": relation})
    took = time.perf_counter() - started
    print(f"{snapshot.name}  {len(recipes)} cells, {total} pictures in {took:.1f} s", flush=True)
    return len(recipes)


def conclude(sweep: Sweep, reused: int) -> dict[str, Any]:
    """Say how many cells were new, then rank."""
    print(scored_line(sweep, reused), flush=True)
    with exclusive(sweep.folder / ".ranking.lock", waiting=partial(print, "waiting for another process that ranks")):
        return finish_sweep(sweep)


def scored_line(sweep: Sweep, reused: int) -> str:
    """`scored 9 new cells, 0 reused`."""
    return f"scored {len(sweep.rows()) - reused} new cells, {reused} reused"


def _next_look(sweep: Sweep, snapshot: Snapshot, resolutions: Sequence[int], most: int) -> tuple[int, int, list[int]]:
    """The codes that cells of a snapshot have, those of the first look that some lack, and which these are.

    The un-blended snapshot (`UNBLENDED`, first) goes along with its blends.
    """
    looks = [codes for codes in sweep.looks if codes <= most]
    before, rows = 0, sweep.table.rows(sweep.key(snapshot, r, n) for r in resolutions for n in looks)
    for codes in looks:
        missing = [r for r in resolutions if sweep.key(snapshot, r, codes) not in rows]
        if not sweep.table.has(sweep.key(snapshot, UNBLENDED, codes)):
            missing = [UNBLENDED, *missing]
        if missing:
            return before, codes, missing
        before = codes
    return before, before, []


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
