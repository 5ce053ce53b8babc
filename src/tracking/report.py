"""`report.html`: what was run, how it went, which blend to use and why. Self-contained, from the run folder alone."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import write_text
from ..runs import RANKING, finished_sweeps, recommending_sweep
from .charts import heat_map, is_wide, line_chart, structure_rendering
from .page import facts, page, panel, picture, section, table
from .tracker import read_rows

Row = Mapping[str, Any]
FRECHET_NAMES = {"fid": "FID", "frechet": "Fréchet (embedded)"}  # by key in metrics.jsonl
#: Of a protocol: numbers that differ in one of these are no series (a Fréchet distance falls with the number of fakes).
MEASURE = ("extractor", "extractor_sha256", "resizer", "psi", "n_fake", "n_real")
SHEET_PX, SAMPLE_PX, CELL_PX = 1000, 520, 520
SHOWN_BAD = 40


def write_run_report(run_dir: Path) -> Path:
    """Write `report.html` of a run: the sweep that recommends its blend, caricatures, snapshots, curves, settings.

    Args:
        run_dir: run folder; every part of it may be missing.

    Returns:
        Path of the report.
    """
    run, metrics = _read_json(run_dir / "run.json"), _known(read_rows(run_dir / "metrics.jsonl"), "kimg")
    sweep_dir = _shown_sweep(run_dir)
    name = run_dir.resolve().name
    body = [f"<p class='note'>caricature run</p><h1>{escape(name)}</h1>"]
    if sweep_dir is not None:
        body += _sweep_parts(sweep_dir, run_dir)
    else:
        body += [panel(_progress(metrics), kind="hero"), _caricatures(run_dir)]
    body += [
        _snapshots(run_dir, metrics),
        _curves(metrics, read_rows(run_dir / "log.jsonl")),
        _what_was_run(run_dir, run),
    ]
    return write_text(run_dir / "report.html", page(f"{name}: caricature run", body))


def write_sweep_report(sweep_dir: Path) -> Path:
    """Write `report.html` of one sweep.

    Args:
        sweep_dir: `runs/<run>/sweeps/<name>`.

    Returns:
        Path of the report.
    """
    run_dir = sweep_dir.parents[1]
    title = f"{run_dir.name}: sweep {sweep_dir.name}"
    head = f"<p class='note'><a href='../../report.html'>the whole run</a></p><h1>{escape(title)}</h1>"
    return write_text(sweep_dir / "report.html", page(title, [head, *_sweep_parts(sweep_dir, run_dir)]))


def _shown_sweep(run_dir: Path) -> Path | None:
    """The sweep whose blend is recommended; where none is, the one that finished last."""
    with suppress(UserError):  # a damaged ranking: the page shows what is left
        if folder := recommending_sweep(run_dir):
            return folder
    return next(reversed(finished_sweeps(run_dir)), None)


def _sweep_parts(sweep_dir: Path, run_dir: Path) -> list[str]:
    ranking = _read_json(sweep_dir / RANKING)
    rows = [row for row in read_rows(sweep_dir / "cells.jsonl") if row.get("cari") is not None and row.get("label")]
    protocol = ranking.get("protocol") or {}
    rows = [row for row in rows if row.get("protocol") == protocol] or rows
    recommended = ranking.get("recommended") or {}
    hero = f"<p class='lead'>{escape(str(ranking.get('sentence', '')))}</p>"
    if recommended.get("picture"):
        hero += _trio(sweep_dir, recommended)
        saved = f"<code>sweeps/{escape(sweep_dir.name)}/best.safetensors</code>"
        hero += f"<p class='note'>The same codes in three networks. The blend is saved as {saved}.</p>"
    parts = [panel(hero, kind="hero"), _caricatures(run_dir)]
    if rows:
        note = (
            f"CariScore = S<sup>α</sup> R<sup>1-α</sup>, α = {ranking.get('alpha', 0.5)}: S is how much of the "
            "cartoon's structure the blend has adopted, R how much of the original rendering it has kept, both between "
            "the original network (S 0, R 1) and the fine-tuned one (S 1, R 0). ★ recommended; outlined: cannot be "
            "told from the best at 95 %; hatched: fails a gate. "
            f"{protocol.get('n_latents', ranking.get('n_latents', '?'))} common codes, ψ {protocol.get('psi', '?')}, "
            f"seed {protocol.get('seed', '?')}, {ranking.get('n_bootstrap', '?')} bootstrap samples."
        )
        heat = panel(heat_map(rows, ranking), kind="wide" if is_wide(rows) else "")
        charts = heat + panel(structure_rendering(rows, ranking))
        parts.append(
            section(
                "Which snapshot, which resolution", f'<div class="row">{charts}</div>', f"<p class='note'>{note}</p>"
            )
        )
        parts.append(section("Every blend", _cells(sweep_dir, rows, recommended.get("label")), _gates(rows)))
    return parts


def _trio(sweep_dir: Path, recommended: Row) -> str:
    """Faces of the original network, the fine-tuned one, and their recommended blend."""
    kimg, resolution = recommended.get("kimg", 0), recommended.get("resolution", "?")
    shown = {
        "original network": "cells/base.jpg",
        f"fine-tuned, {kimg:g} kimg": f"cells/{recommended.get('snapshot')}.jpg",
        f"recommended blend, at {resolution}": recommended["picture"],
    }
    figures = []
    for name, file in shown.items():
        image = picture(sweep_dir / file, width=SHEET_PX, alt=f"faces of the {name}")
        if image:
            figures.append(f"<figure>{image}<figcaption>{escape(name)}</figcaption></figure>")
    return f'<div class="trio">{"".join(figures)}</div>'


def _cells(sweep_dir: Path, rows: Sequence[Row], recommended: str | None) -> str:
    cards = []
    for row in rows:
        if row["kimg"] == 0:  # the original network's pictures again
            continue
        image = picture(sweep_dir / str(row.get("picture", "")), width=CELL_PX, alt=f"faces of {row['label']}")
        scores = f"CariScore {row['cari']:.2f}, S {row['s']:.2f}, R {row['r']:.2f}"
        caption = f"{row['kimg']:g} kimg at {row['resolution']} px: {scores}"
        kind = "chosen" if row["label"] == recommended else ""
        name = escape(f"cell-{row['label']}".replace("/", "-"), quote=True)
        cards.append(f'<figure id="{name}" class="{kind}">{image}<figcaption>{escape(caption)}</figcaption></figure>')
    return f'<div class="cards">{"".join(cards)}</div>'


def _gates(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row.get("gates") or {}))
    lines = []
    for row in rows:
        cells = [escape(row["label"]), f"{row['cari']:.3f}", f"{row['share']:.0%}"]
        for name in names:
            gate = (row.get("gates") or {}).get(name)
            cells.append("" if gate is None else f"{gate['value']:.2f}{'' if gate['passed'] else ' ✗'}")
        lines.append(cells)
    thresholds = {n: g["threshold"] for row in rows for n, g in (row.get("gates") or {}).items()}
    columns = ["blend", "CariScore", "best in", *(f"{n} ≥ {thresholds[n]:g}" for n in names)]
    return panel(table(columns, lines, numeric=range(1, len(columns))))


def _caricatures(run_dir: Path) -> str:
    sheets = [*run_dir.glob("caricatures/sheet.jpg"), *run_dir.glob("caricatures/*/sheet.jpg")]
    if not sheets:
        return ""
    newest = max(sheets, key=lambda p: p.stat().st_mtime)
    image = picture(newest, width=1600, alt="picture, reconstruction, caricature")
    note = "<p class='note'>Each triple: the picture, its reconstruction by the original network, its caricature.</p>"
    return section("Caricatures", panel(f'<div class="scroll sheet">{image}</div>', note)) if image else ""


def _progress(metrics: Sequence[Row]) -> str:
    scored = [row for row in _comparable(metrics) if row.get("kid") is not None]
    if not scored:
        return "<p class='lead'>No evaluation and no sweep yet: <code>python sweep.py</code> finds the best blend.</p>"
    best = min(scored, key=lambda row: row["kid"])
    found = f"Lowest KID so far {best['kid']:.4f} at {best['kimg']:g} kimg"
    return f"<p class='lead'>{found}; <code>python sweep.py</code> finds the best blend.</p>"


def _snapshots(run_dir: Path, metrics: Sequence[Row]) -> str:
    comparable = _comparable(metrics)
    lowest = min((row for row in comparable if row.get("kid") is not None), key=lambda r: r["kid"], default=None)
    frechet = {key: name for key, name in FRECHET_NAMES.items() if any(row.get(key) is not None for row in metrics)}
    rows = []
    for row in sorted([*metrics, *_unmeasured(run_dir, metrics)], key=lambda row: row["kimg"]):
        tags = ""
        if row is lowest:
            tags += '<span class="tag best">lowest KID</span> '
        if row.get("past_best"):
            tags += '<span class="tag">past best</span>'
        image = picture(run_dir / str(row.get("sample", "")), width=SAMPLE_PX, alt=f"samples at {row['kimg']:g} kimg")
        kid = _number(row, "kid") + (f" ± {_number(row, 'kid_std')}" if row.get("kid_std") is not None else "")
        values = [_number(row, name) for name in (*frechet, "precision", "recall", "memorisation")]
        rows.append([f"{row['kimg']:g}", image, kid, *values, tags])
    columns = ["kimg", "samples", "KID", *frechet.values(), "precision", "recall", "memorisation", ""]
    numeric = [i for i in range(len(columns) - 1) if i != 1]
    return section("Snapshots", panel(table(columns, rows, numeric=numeric)), _protocol(metrics)) if rows else ""


def _unmeasured(run_dir: Path, metrics: Sequence[Row]) -> list[Row]:
    """Rows for the samples of snapshots that were not evaluated."""
    known = {str(row.get("sample")) for row in metrics}
    rows = []
    for path in run_dir.glob("samples/kimg-*.jpg"):
        with suppress(ValueError):
            rows.append({"kimg": float(path.stem.removeprefix("kimg-")), "sample": f"samples/{path.name}"})
    return [row for row in rows if row["sample"] not in known]


def _curves(metrics: Sequence[Row], log: Sequence[Row]) -> str:
    metrics = _comparable(metrics)
    kid = _series(metrics, "kid")
    band = [
        (r["kimg"], r["kid"] - r["kid_std"], r["kid"] + r["kid_std"])
        for r in metrics
        if r.get("kid_std") is not None and r.get("kid") is not None
    ]
    charts = [
        ("KID", line_chart({"KID": kid}, bands={"KID": band} if band else None) if kid else ""),
        *((name, _chart(metrics, {name: key})) for key, name in FRECHET_NAMES.items()),
        ("Precision and recall", _chart(metrics, {"precision": "precision", "recall": "recall"})),
        ("Losses", _chart(log, {"generator": "loss/G", "discriminator": "loss/D"})),
        ("Regularisers", _chart(log, {"R1": "loss/r1", "path length": "loss/path_length"})),
        ("Augmentation", _chart(log, {"p": "ada/p", "sign of D on reals": "ada/rt"})),
        ("Speed, img/s", _chart(log, {"img/s": "speed/img_per_sec"})),
    ]
    panels = "".join(panel(f"<strong>{escape(name)}</strong>", chart) for name, chart in charts if chart)
    return section("Over the run", f'<div class="row">{panels}</div>') if panels else ""


def _what_was_run(run_dir: Path, run: Mapping[str, Any]) -> str:
    data, machine = run.get("dataset") or {}, run.get("machine") or {}
    report = data.get("report") or {}
    bad = report.get("skipped") or {}
    more = [f"and {len(bad) - SHOWN_BAD} more, in run.json"] if len(bad) > SHOWN_BAD else []
    pairs: list[tuple[str, object]] = [
        ("command", run.get("command")),
        ("started", run.get("created")),
        ("versions", _joined(run.get("versions"))),
        ("machine", _joined(machine)),
        ("ops", run.get("ops")),
        ("speed", f"{run['img_per_sec']} img/s" if run.get("img_per_sec") else None),
        (
            "data set",
            f"{data.get('name', '?')}: {data.get('num_images', '?')} pictures, {data.get('resolution', '?')} px"
            if data
            else None,
        ),
        ("fingerprint", data.get("fingerprint")),
        ("converted", f"{report['num_converted']} pictures" if report.get("num_converted") else None),
        ("left out", "; ".join([*(f"{name}: {why}" for name, why in list(bad.items())[:SHOWN_BAD]), *more])),
        ("pretrained", _joined(run.get("pretrained"))),
    ]
    reals = picture(run_dir / "reals.jpg", width=SAMPLE_PX, alt="pictures of the data set")
    shown = f"<p class='note'>From the data set:</p>{reals}" if reals else ""
    return section("What was run", panel(f'<div class="scroll">{facts(pairs)}</div>'), panel(shown))


def _protocol(metrics: Sequence[Row]) -> str:
    protocol = next((row["protocol"] for row in reversed(metrics) if row.get("protocol")), None)
    if not protocol:
        return ""
    text = (
        f"Measured on the {protocol.get('extractor')} features ({str(protocol.get('extractor_sha256'))[:12]}, "
        f"{protocol.get('resizer')}): {protocol.get('n_fake')} generated against {protocol.get('n_real')} real "
        f"pictures, ψ {protocol.get('psi')}, seed {protocol.get('seed')}. KID first: it is unbiased for small sets."
    )
    if protocol.get("extractor") != "inception":
        text += (
            " These numbers compare snapshots with each other; they are not FID and not comparable with published ones."
        )
    others = len(metrics) - len(_comparable(metrics))
    if others:
        text += f" {others} earlier evaluations were measured in another way: they are in the table alone."
    return f"<p class='note'>{escape(text)}</p>"


def _comparable(metrics: Sequence[Row]) -> list[Row]:
    """Rows measured in the way of the newest: numbers of different features are no series."""
    measures = [tuple((row.get("protocol") or {}).get(key) for key in MEASURE) for row in metrics]
    return [row for row, measure in zip(metrics, measures, strict=True) if measure == measures[-1]]


def _chart(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    series = {shown: _series(rows, key) for shown, key in names.items()}
    return line_chart({name: points for name, points in series.items() if points})


def _series(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    return [(row["kimg"], row[key]) for row in rows if row.get(key) is not None and row.get("kimg") is not None]


def _number(row: Row, key: str) -> str:
    value = row.get(key)
    return "" if value is None else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _joined(values: Any) -> str | None:
    if not isinstance(values, Mapping):
        return values
    return ", ".join(f"{k} {v}" for k, v in values.items() if v not in (None, "", []))


def _known(rows: Sequence[Row], key: str) -> list[Row]:
    return [row for row in rows if row.get(key) is not None]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
