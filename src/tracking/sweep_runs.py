"""A sweep in W&B, from its folder alone: a run a resolution, with its cells over kimg, and a summary run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..files import read_json, update_json
from ..runs import BEST, RANKING, RUN_JSON
from .artifacts import blends_artifact, group_of, snapshot_alias, snapshots_artifact
from .tracker import read_rows
from .wandb_record import WandbRecord, known_run
from .wandb_run import WandbRun, open_wandb_run

RECORD, CELLS = "wandb.json", "cells.jsonl"
BEST_ALIAS = "best"  # of the version that is recommended
SUMMARY, SHOWN = "summary", "shown"  # its entries: the summary run; the digest of what W&B has all of
CELL, FOUND = ("label", "kimg", "resolution", "cari"), ("share", "eligible", "picture")  # the axes stand between
Row = Mapping[str, Any]


def show_sweep(sweep_dir: Path, *, mode: str, project: str | None, config: Mapping[str, Any]) -> str:
    """Show a finished sweep: in W&B's line chart of `score/cari` over kimg each resolution is a line.

    What W&B has all of already is not shown again.

    Args:
        sweep_dir: `runs/<run>/sweeps/<name>`.
        mode: see `open_wandb_run`.
        project: likewise.
        config: what the sweep was asked for.

    Returns:
        Where the summary run goes, or that W&B has it, in words.

    Raises:
        UserError: when `mode="online"` cannot be had.
    """
    if mode == "disabled":
        return WandbRun().status
    digest = _digest(sweep_dir)
    if _is_shown(sweep_dir, digest):
        where = "Weights & Biases has" if _is_online(sweep_dir) else "an offline log of Weights & Biases holds"
        return f"{where} this ranking already"
    ranking, rows = read_json(sweep_dir / RANKING), read_rows(sweep_dir / CELLS)
    run_dir, whole = sweep_dir.parents[1], True
    shared: dict[str, Any] = {"mode": mode, "project": project, "group": group_of(run_dir)}
    name = f"{run_dir.name}-{sweep_dir.name}"
    for resolution in sorted({row["resolution"] for row in rows}):
        cells = sorted((row for row in rows if row["resolution"] == resolution), key=lambda row: row["kimg"])
        values = [_values(row, ranking) for row in cells]
        run = open_wandb_run(
            run_dir,
            record=partial(_record, sweep_dir, f"res-{resolution}", values),
            name=f"{name}-{resolution:03d}px",
            one_of_many=True,
            job_type="sweep",
            tags=["sweep", f"{resolution}px"],
            config={**config, "resolution": resolution},
            **shared,
        )
        for row, shown in zip(cells, values, strict=True):
            run.log({**shown, "cell": sweep_dir / row["picture"]}, shown["nimg"])
        whole = run.finish() and whole
    run = open_wandb_run(
        run_dir,
        record=lambda given: WandbRecord(sweep_dir / RECORD, SUMMARY, given_id=given),
        name=name,
        job_type="sweep-summary",
        tags=["sweep", "summary"],
        config=config,
        **shared,
    )
    _summarize(run, sweep_dir, rows, ranking)
    if run.finish() and whole:
        update_json(sweep_dir / RECORD, **{SHOWN: digest})
    return run.status


def shown_blend(sweep_dir: Path) -> str | None:
    """Find what W&B calls the blend that a sweep recommends.

    Returns:
        `entity/project/artifact:best`; None where W&B does not have all of the sweep.
    """
    path = known_run(sweep_dir / RECORD, SUMMARY).get("path")
    if path is None or not _is_online(sweep_dir) or not _is_shown(sweep_dir, _digest(sweep_dir)):
        return None
    return f"{path.rpartition('/')[0]}/{blends_artifact(sweep_dir.parents[1], sweep_dir.name)}:{BEST_ALIAS}"


def _digest(sweep_dir: Path) -> str:
    """Of all that is shown, as far as it is there; the keys of rows stand for pictures."""
    files = [sweep_dir / RANKING, sweep_dir / CELLS]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files if path.is_file())).hexdigest()


def _is_online(sweep_dir: Path) -> bool:
    """Whether the last sitting of the summary run was; what an offline one has logged waits for `wandb sync`."""
    return bool(known_run(sweep_dir / RECORD, SUMMARY).get("mode") == "online")


def _is_shown(sweep_dir: Path, digest: str) -> bool:
    """Whether W&B has all of a ranking, in runs of this folder: those of one that it was copied from are others."""
    record = sweep_dir / RECORD
    return record.is_file() and read_json(record).get(SHOWN) == digest and not WandbRecord(record, SUMMARY).news


def _summarize(run: WandbRun, sweep_dir: Path, rows: Sequence[Row], ranking: Row) -> None:
    names, run_dir, choice = _names(ranking), sweep_dir.parents[1], ranking["recommended"]
    columns = [*CELL, *names, *FOUND]
    media = {"sweep/cells": lambda wandb: wandb.Table(columns=columns, data=_cells(wandb, sweep_dir, rows, columns))}
    report = sweep_dir / "report.html"
    if report.is_file():  # heat map and front, as they are offline: some 6 MB; W&B limits no media
        media["sweep/report"] = lambda wandb: wandb.Html(report.read_text(encoding="utf-8"), inject=False)
    if len(names) > 1:
        x, y = names[1], names[0]
        points = [[row[x], row[y], row["label"]] for row in rows]
        media[f"sweep/{y}-{x}"] = lambda wandb: wandb.plot.scatter(
            wandb.Table(columns=[x, y, "label"], data=points), x, y, title=f"{y.upper()} over {x.upper()}"
        )
    run.show(media)
    run.summary({"sentence": ranking["sentence"]})
    training = known_run(run_dir / RUN_JSON).get("path")
    if training is not None:
        versions = f"{training.rpartition('/')[0]}/{snapshots_artifact(run_dir)}"
        run.use([f"{versions}:{snapshot_alias(kimg)}" for kimg in sorted({row["kimg"] for row in rows})])
    if choice is None or not (sweep_dir / BEST).is_file():
        return
    scores = {f"score/{title}": choice[name] for name, title in _titles(ranking).items()}
    run.summary({**scores, "score/below_best": ranking["below_best"], "recommended": choice["label"]})
    facts = {key: choice[key] for key in ("label", "kimg", "resolution", "cari")}
    facts["snapshot"] = f"{snapshots_artifact(run_dir)}:{snapshot_alias(choice['kimg'])}"
    run.store(sweep_dir / BEST, name=blends_artifact(run_dir, sweep_dir.name), aliases=[BEST_ALIAS], metadata=facts)


def _record(sweep_dir: Path, key: str, values: Sequence[Row], given_id: str | None) -> WandbRecord:
    """The record of a resolution's run, which goes on as long as the cells that it shows are what they were."""

    def shown(nimg: int) -> str:
        text = json.dumps([row for row in values if row["nimg"] < nimg], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    return WandbRecord(sweep_dir / RECORD, key, given_id=given_id, shown=shown)


def _values(row: Row, ranking: Row) -> dict[str, Any]:
    """What a cell shows over kimg."""
    gates = {f"gates/{name}": gate["value"] for name, gate in row["gates"].items()}
    return {
        "kimg": row["kimg"],
        "nimg": round(row["kimg"] * 1000),
        **{f"score/{title}": row[name] for name, title in _titles(ranking).items()},
        **gates,
        "gates/eligible": int(row["eligible"]),
    }


def _cells(wandb: Any, sweep_dir: Path, rows: Sequence[Row], columns: Sequence[str]) -> list[list[Any]]:
    pictures = {"picture": lambda name: wandb.Image(str(sweep_dir / name))}
    return [[pictures.get(column, lambda value: value)(row[column]) for column in columns] for row in rows]


def _names(ranking: Row) -> list[str]:
    return [axis["name"] for axis in ranking["axes"]]


def _titles(ranking: Row) -> dict[str, str]:
    """What score and axes are called in W&B, by their names."""
    return {"cari": "cari", **{name: name.upper() for name in _names(ranking)}}
