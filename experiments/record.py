"""Copy what is worth keeping of a run into a folder of experiments/: numbers, curves, generated pictures.

    python -m experiments.record runs/NAME experiments/FOLDER --samples 0,1,2,4,8,16

Writes `results.json` (metrics rows, last sweep's cells and recommendation, versions), `curves.svg`, and with a sweep
`heat_map.svg` and `shape_rendering.svg`; of pictures the sample grids asked for and the recommended cell. Nothing
of the data set is copied.
"""

import argparse
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.runs.find import find_run
from src.tracking.charts import heat_map, line_chart, shape_rendering
from src.tracking.page import TEMPLATES

METRICS = ("kimg", "kid", "kid_error", "fid", "frechet", "precision", "recall", "memorisation")
CELL = ("kimg", "resolution", "cari", "share", "eligible")
LOOK = "svg{background:#fff;font-family:sans-serif}"


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Rows of a .jsonl file; none when there is no such file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def pick(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The wanted values, rounded for reading."""
    return {k: round(row[k], 4) if isinstance(row[k], float) else row[k] for k in keys if row.get(k) is not None}


def write_svg(path: Path, svg: str) -> None:
    """A chart of the report as a file of its own, in the light colours."""
    if not svg:
        return
    style = (TEMPLATES / "page.css").read_text()
    rules = re.sub(r"@media\(prefers-color-scheme:dark\)\{.*?\}\}", "", style, flags=re.DOTALL)
    found = re.search(r"<svg(.*?)>(.*)</svg>", svg, re.DOTALL)
    assert found is not None, "a chart is an <svg>"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg"{found[1]}><style>{rules}{LOOK}</style>{found[2]}</svg>\n',
        encoding="utf-8",
    )


def record(run: Path, folder: Path, samples: Sequence[float] = (), sweep: str = "cartoon-low") -> None:
    """Write the record of a run's folder: of its sample grids those at `samples` kimg, and the sweep of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = json.loads((run / "run.json").read_text())
    metrics, log = rows_of(run / "metrics.jsonl"), rows_of(run / "log.jsonl")
    result: dict[str, Any] = {
        "started": facts["created"],
        "versions": facts["versions"],
        "img_per_sec": facts.get("img_per_sec"),
        "nimg": facts.get("nimg"),
        "dataset": {k: facts["dataset"][k] for k in ("num_images", "resolution", "fingerprint")},
        "metrics": [pick(row, METRICS) for row in metrics],
    }
    if len(metrics) > 1:
        write_svg(folder / "curves.svg", line_chart({"KID": [(r["kimg"], r["kid"]) for r in metrics]}))
    losses = {"loss of G": "loss/G", "loss of D": "loss/D"}
    write_svg(
        folder / "losses.svg",
        line_chart({name: [(r["kimg"], r[key]) for r in log if key in r] for name, key in losses.items()}),
    )
    for kimg in samples:
        source = run / "samples" / f"kimg-{kimg:09.2f}.jpg"
        shutil.copyfile(source, folder / source.name)
    swept = run / "sweeps" / sweep
    if swept.is_dir():
        cells, ranking = rows_of(swept / "cells.jsonl"), json.loads((swept / "ranking.json").read_text())
        axes = tuple(axis["name"] for axis in ranking["axes"])
        result["cells"] = [
            {
                **pick(c, (*CELL, *axes)),
                "gates": {k: round(g["value"], 3) for k, g in c["gates"].items() if g["value"] is not None},
            }
            for c in cells
        ]
        result["sentence"], result["remarks"] = ranking["sentence"], ranking["remarks"]
        write_svg(folder / "heat_map.svg", heat_map(cells, ranking))
        write_svg(folder / "shape_rendering.svg", shape_rendering(cells, ranking))
        if ranking["recommended"]:
            shutil.copyfile(swept / ranking["recommended"]["picture"], folder / "recommended.jpg")
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(re.sub(r"\n {3,}", " ", text) + "\n")


def main() -> None:
    """Read the command line, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", default="", help="kimg of the sample grids to keep, separated by commas")
    parser.add_argument("--sweep", default="cartoon-low", help="name of the sweep")
    args = parser.parse_args()
    samples = [float(kimg) for kimg in args.samples.split(",") if kimg]
    record(find_run(str(args.run), args.run.parent), args.folder, samples, args.sweep)


if __name__ == "__main__":
    main()
