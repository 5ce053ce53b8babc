"""The end of a sweep: rank, write the recommended network, pictures, rows and report, tell the tracker."""

import json
from contextlib import suppress
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import Any

import yaml

from ..files import copy_file, file_sha256, write_text
from ..metrics import LEVEL, level_of_a_look
from ..runs import BEST, RANKING, Snapshot, blend_header
from ..tracking import show_sweep, write_sweep_report
from ..weights import load_network, save_network
from .course import Course, course_of
from .features import load_pseudo
from .pictures import UNBLENDED
from .plan import Sweep
from .ranking import rank


def finish_sweep(sweep: Sweep) -> dict[str, Any]:
    """Rank a sweep whose cells are all made, write it down, and show it; returned is what `ranking.json` says."""
    rows, ranking = rank_sweep(sweep)
    _write_best(sweep, ranking)  # the largest file and the slowest first: until then all is as it was
    _show_pictures(sweep, rows)
    write_text(sweep.folder / "config.yaml", yaml.safe_dump(sweep.settings.as_config(), sort_keys=False))
    sweep.table.replace(rows)
    write_text(sweep.folder / RANKING, json.dumps(ranking, indent=2, allow_nan=False) + "\n")
    report = write_sweep_report(sweep.folder)
    _show(sweep)
    print("\n".join([ranking["sentence"], *ranking["remarks"]]))
    print(f"report: {report}", flush=True)
    return ranking


def rank_sweep(sweep: Sweep) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rank a sweep whose cells are all made; nothing is written.

    Returns:
        The scored rows, and the content of `ranking.json`.
    """
    table, settings, references = sweep.table, sweep.settings, sweep.references
    rows, course = sweep.rows(), course_of(sweep)
    racers = {f"{snapshot.name}/{resolution}" for snapshot, resolution in course.racers}
    axes = references.axes
    unblended = {s.name: _unblended(sweep, s) for s in sweep.snapshots if s.kimg > 0}
    resolutions = next(iter(sweep.recipes.values())).resolutions(sweep.base.G)
    rows, decided = rank(
        rows,
        {row["label"]: load_pseudo(table.features_path(row["key"])) for row in rows},
        {name: load_pseudo(table.features_path(key)) for name, key in unblended.items()},
        axes,
        alpha=sweep.alpha,
        seed=settings.seed,
        gates=settings.gates,
        resolutions=resolutions,
        left_out={row["label"] for row in rows} - racers,
        level=level_of_a_look(len(sweep.looks)),
    )
    landmarks = references.facts["landmarks"]
    found = {**landmarks["found"], "blends": sum(row["found"] for row in rows) / max(len(rows), 1)}
    clicks = sweep.verdict
    facts = {
        "clicks": clicks and {**asdict(clicks), "sentence": clicks.sentence},
        "unblended_keys": unblended,
        "resolutions": resolutions,
        "landmarks": {**landmarks, "found": found},
        "cartoons": references.facts["cartoons"],
        "direction": settings.blend.direction,
        "n_latents": sweep.protocol["n_latents"],
        "race": _race(sweep, rows, course) if len(sweep.looks) > 1 else None,
        "seed": settings.seed,
        "base": sweep.base.path.name,
        "protocol": sweep.protocol,
    }
    return rows, {**decided, "remarks": _remarks(decided | facts), **facts}


def _race(sweep: Sweep, rows: list[dict[str, Any]], course: Course) -> dict[str, Any]:
    """What a race did: `looks`, `codes` of the cells that stayed, how many `stayed`, and the `rendered` share."""
    rendered = sum(row["codes"] for row in rows) / max(len(rows) * sweep.looks[-1], 1)
    return {"looks": sweep.looks, "codes": course.codes, "stayed": len(course.racers), "rendered": rendered}


def _unblended(sweep: Sweep, snapshot: Snapshot) -> str:
    """Key of an un-blended snapshot with the most codes that it was rendered with."""
    keys = [sweep.key(snapshot, UNBLENDED, codes) for codes in reversed(sweep.looks)]
    return next(key for key in keys if sweep.table.has(key))


def _remarks(ranking: dict[str, Any]) -> list[str]:
    """What is to be said beside the sentence: the detector's own warning first, since all hangs on it."""
    landmarks, cartoons = ranking["landmarks"], ranking["cartoons"]
    warning = landmarks["warning"]
    found = ", ".join(f"{which} {share:.0%}" for which, share in landmarks["found"].items())
    said = [ranking["clicks"]["sentence"]] if ranking["clicks"] else []
    said += [f"Landmarks by {landmarks['name']}; faces found: {found}."]
    if recogniser := ranking["protocol"]["recogniser"]:
        said.append(f"Whether a blend's faces are those of its persons is told by {recogniser}.")
    said += [f"{warning[0].upper()}{warning[1:]}."] if warning else []
    if cartoons["reason"] is not None:
        said.append(
            f"Pictures of {cartoons['name']} stand for the training pictures ({cartoons['reason']}): scores do not "
            "compare with those of other sweeps."
        )
    if race := ranking["race"]:
        said.append(
            f"{race['stayed']} blends were raced to {race['codes']} codes, {race['rendered']:.0%} of the grid's "
            f"pictures; that the best was left out before has a probability of at most {1 - LEVEL:.0%}."
        )
    said += [note["text"] for note in ranking["notes"]]
    return said + [f"Gate {name} is not measured: {reason}." for name, reason in ranking["not_measured"].items()]


def _write_best(sweep: Sweep, ranking: dict[str, Any]) -> Path | None:
    """Write the recommended blend as `best.safetensors`; without one, none is left there."""
    path, choice = sweep.folder / BEST, ranking["recommended"]
    if choice is None:
        path.unlink(missing_ok=True)
        return None
    snapshot = next(s for s in sweep.snapshots if s.name == choice["snapshot"])
    G = load_network(snapshot.path, device=sweep.base.G.mapping.w_avg.device, parts=("G_ema",)).G_ema
    ours = {"file": snapshot.path.name, "run": sweep.run_dir.name, "kimg": snapshot.kimg, "sha256": snapshot.sha256}
    base = {"file": sweep.base.path.name, "sha256": file_sha256(sweep.base.path)}
    recipe = sweep.recipes[choice["resolution"]]
    meta = {
        "kimg": snapshot.kimg,
        "parent": snapshot.sha256,
        "blend": blend_header(recipe, ours, base),
        "score": {key: choice[key] for key in ("cari", *_names(ranking), "share")},
        "protocol": sweep.protocol,
    }
    return save_network(path, G_ema=recipe.blend(G, sweep.base.G), meta=meta)


def _show_pictures(sweep: Sweep, rows: list[dict[str, Any]]) -> None:
    """Make `cells/` the pictures of this grid under this protocol; those of others stay in `features/` alone."""
    folder, kept = sweep.folder / "cells", sweep.table.picture_path
    shown = {"base": sweep.base_key, **{s.name: _unblended(sweep, s) for s in sweep.snapshots}}
    shown |= {Path(row["picture"]).stem: row["key"] for row in rows}
    for name, key in shown.items():
        copy_file(kept(key), folder / f"{name}.jpg")
    for path in folder.glob("*.jpg"):
        copies = () if path.stem in shown else sweep.folder.glob(f"features/{escape(path.stem)}-*.jpg")
        with suppress(FileNotFoundError):  # another sweep has just taken it away
            if any(copy.read_bytes() == path.read_bytes() for copy in copies):
                path.unlink()


def _show(sweep: Sweep) -> None:
    settings = sweep.settings
    config = {**sweep.protocol, "run": sweep.run_dir.name, "resolutions": list(sweep.recipes), "alpha": sweep.alpha}
    where = show_sweep(sweep.folder, mode=settings.tracker.mode, project=settings.tracker.project, config=config)
    print(f"tracking   {where}", flush=True)


def _names(ranking: dict[str, Any]) -> list[str]:
    return [axis["name"] for axis in ranking["axes"]]
