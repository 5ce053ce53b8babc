"""`report.html`: what was run, how it went, which blend to use and why. Self-contained, from the run folder alone."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import UserError
from ..files import write_text
from ..metrics import FRECHET_NAMES
from ..runs import RANKING, RUN_JSON, finished_sweeps, recommending_sweep
from .charts import heat_map, is_wide, line_chart, shape_rendering
from .choice import choice_of
from .page import TEMPLATES, render_page
from .tracker import comparable, kid_band, read_rows

Row = Mapping[str, Any]
SHOWN_BAD = 40
OTHER_SCORE = "Ranked by an earlier score that does not compare with that of today: run sweep.py again for its numbers."
SHEET_ROW = 4  # faces in a row of a sheet of many


def write_run_report(run_dir: Path) -> Path:
    """Write `report.html` of a run: the sweep that recommends its blend, caricatures, snapshots, curves, settings.

    Args:
        run_dir: run folder; every part of it may be missing.

    Returns:
        Path of the report.
    """
    metrics, log = read_rows(run_dir / "metrics.jsonl"), read_rows(run_dir / "log.jsonl")
    metrics = [row for row in metrics if row.get("kimg") is not None]
    compared = comparable(metrics)
    scored = [row for row in compared if row.get("kid") is not None]
    sweep_dir = _shown_sweep(run_dir)
    frechet = {key: name for key, name in FRECHET_NAMES.items() if any(row.get(key) is not None for row in metrics)}
    text = render_page(
        TEMPLATES / "run_report.html",
        name=run_dir.resolve().name,
        run_dir=run_dir,
        sweep=None if sweep_dir is None else _sweep(sweep_dir, page=f"sweeps/{quote(sweep_dir.name)}/report.html"),
        caricatures=_newest_sheet(run_dir),
        lowest=min(scored, key=lambda row: row["kid"], default=None),
        snapshots=sorted([*metrics, *_unmeasured(run_dir, metrics)], key=lambda row: row["kimg"]),
        measures={**frechet, **{name: name for name in ("precision", "recall", "memorisation")}},
        number=_number,
        protocol=next((row["protocol"] for row in reversed(metrics) if row.get("protocol")), None),
        others=len(metrics) - len(compared),
        charts=_charts(compared, log),
        run_facts=_run_facts(_read_json(run_dir / RUN_JSON)),
    )
    return write_text(run_dir / "report.html", text)


def write_sweep_report(sweep_dir: Path) -> Path:
    """Write `report.html` of one sweep: which blend it recommends, and all of them to sort, choose and compare.

    Args:
        sweep_dir: `runs/<run>/sweeps/<name>`.

    Returns:
        Path of the report.
    """
    sweep, title = _sweep(sweep_dir), f"{sweep_dir.parents[1].name}: sweep {sweep_dir.name}"
    choice = choice_of(sweep_dir, sweep["rows"])
    text = render_page(TEMPLATES / "sweep_report.html", title=title, sweep=sweep, choice=choice)
    return write_text(sweep_dir / "report.html", text)


def _shown_sweep(run_dir: Path) -> Path | None:
    """The sweep whose blend is recommended; where none is, the one that finished last."""
    with suppress(UserError):  # a damaged ranking: the page shows what is left
        if folder := recommending_sweep(run_dir):
            return folder
    return next(reversed(finished_sweeps(run_dir)), None)


def _sweep(sweep_dir: Path, page: str = "") -> dict[str, Any]:
    """What `sweep.html` shows; of a ranking by another score nothing but its sentence and its pictures.

    Snapshots at 0 kimg are left out: their blends are the original network. The blends' pictures are on `page`.
    """
    ranking = _read_json(sweep_dir / RANKING)
    rows, axes = read_rows(sweep_dir / "cells.jsonl"), ranking.get("axes") or []
    protocol, best = ranking.get("protocol") or {}, ranking.get("recommended") or {}
    rows = [row for row in rows if axes and row.get("protocol") == protocol and row["kimg"] > 0]
    return {
        "folder": sweep_dir,
        "ranking": ranking,
        "remarks": ranking.get("remarks", []) if axes else [OTHER_SCORE],
        "axes": axes,
        "protocol": protocol,
        "recommended": best,
        "trio": {
            "original network": "cells/base.jpg",
            f"fine-tuned, {best.get('kimg', 0):g} kimg": f"cells/{best.get('snapshot')}.jpg",
            f"recommended blend, at {best.get('resolution', '?')}": best.get("picture"),
        },
        "rows": rows,
        "thresholds": {n: g["threshold"] for row in rows for n, g in (row.get("gates") or {}).items()},
        "heat_map": heat_map(rows, ranking, page) if rows else "",
        "is_wide": is_wide(rows),
        "shape_rendering": shape_rendering(rows, ranking, page) if rows else "",
    }


def _newest_sheet(run_dir: Path) -> dict[str, Any] | None:
    """The newest sheet of caricatures, and how many faces it has in a row: a narrow screen shows one at a time."""
    sheets = [*run_dir.glob("caricatures/sheet.jpg"), *run_dir.glob("caricatures/*/sheet.jpg")]
    sheet = max(sheets, key=lambda p: p.stat().st_mtime, default=None)
    if sheet is None:
        return None
    faces = _read_json(sheet.with_name("report.json")).get("faces")
    return {"file": sheet, "in_row": min(len(faces), SHEET_ROW) if faces else SHEET_ROW}


def _unmeasured(run_dir: Path, metrics: Sequence[Row]) -> list[Row]:
    """Rows for the samples of snapshots that were not evaluated."""
    known = {str(row.get("sample")) for row in metrics}
    rows = []
    for path in run_dir.glob("samples/kimg-*.jpg"):
        with suppress(ValueError):
            rows.append({"kimg": float(path.stem.removeprefix("kimg-")), "sample": f"samples/{path.name}"})
    return [row for row in rows if row["sample"] not in known]


def _charts(metrics: Sequence[Row], log: Sequence[Row]) -> dict[str, str]:
    """Curves over kimg by their titles, those that have points."""
    kid = _series(metrics, "kid")
    band = [(row["kimg"], *limits) for row in metrics if (limits := kid_band(row)) is not None]
    charts = {
        "KID": line_chart({"KID": kid}, bands={"KID": band} if band else None) if kid else "",
        **{name: _chart(metrics, {name: key}) for key, name in FRECHET_NAMES.items()},
        "Precision and recall": _chart(metrics, {"precision": "precision", "recall": "recall"}),
        "Losses": _chart(log, {"generator": "loss/G", "discriminator": "loss/D"}),
        "Regularisers": _chart(log, {"R1": "loss/r1", "path length": "loss/path_length"}),
        "Augmentation": _chart(log, {"p": "ada/p", "sign of D on reals": "ada/rt"}),
        "Speed, img/s": _chart(log, {"img/s": "speed/img_per_sec"}),
    }
    return {name: chart for name, chart in charts.items() if chart}


def _run_facts(run: Mapping[str, Any]) -> list[tuple[str, object]]:
    data = run.get("dataset") or {}
    report = data.get("report") or {}
    bad = report.get("skipped") or {}
    more = [f"and {len(bad) - SHOWN_BAD} more, in run.json"] if len(bad) > SHOWN_BAD else []
    made_of = f"{data.get('name', '?')}: {data.get('num_images', '?')} pictures, {data.get('resolution', '?')} px"
    return [
        ("command", run.get("command")),
        ("started", run.get("created")),
        ("versions", _joined(run.get("versions"))),
        ("machine", _joined(run.get("machine"))),
        ("ops", run.get("ops")),
        ("speed", f"{run['img_per_sec']} img/s" if run.get("img_per_sec") else None),
        ("data set", made_of if data else None),
        ("fingerprint", data.get("fingerprint")),
        ("converted", f"{report['num_converted']} pictures" if report.get("num_converted") else None),
        ("left out", "; ".join([*(f"{name}: {why}" for name, why in list(bad.items())[:SHOWN_BAD]), *more])),
        ("pretrained", _joined(run.get("pretrained"))),
        ("forked from", _joined(run.get("forked"))),
    ]


def _chart(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    series = {shown: _series(rows, key) for shown, key in names.items()}
    return line_chart({name: points for name, points in series.items() if points})


def _series(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    return [(row["kimg"], row[key]) for row in rows if row.get(key) is not None and row.get("kimg") is not None]


def _number(row: Row, key: str) -> str:
    value = row.get(key)
    if value is None:
        return "not measured" if key in row else ""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _joined(values: Any) -> str | None:
    if not isinstance(values, Mapping):
        return values
    return ", ".join(f"{k} {v}" for k, v in values.items() if v not in (None, "", []))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
