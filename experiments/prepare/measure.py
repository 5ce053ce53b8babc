"""Time prepare.py on a tree as large as FERG-DB, and measure its memory on a folder of bad pictures.

    python -m experiments.prepare.measure --out experiments/prepare/results.json

The tree is synthetic: 55,000 files of 16 px in FERG_DB_256's layout, one colour each. Everything lies in a temporary
folder that is removed.
"""

import argparse
import json
import os
import platform
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from src.prepare.ferg import CHARACTERS, EXPRESSIONS
from tests.data.test_bad_pictures import bad, odd_but_good
from tests.memory import run_and_measure
from tests.prepare.trees import ferg_tree, write_files

ROOT = Path(__file__).resolve().parents[2]
FILES, COUNT, PX = 55_000, 776, 16


def run(folder: Path, *options: str) -> dict[str, Any]:
    """Run prepare.py in `folder` and measure it: its command, seconds, and peak resident MB (10^6 bytes)."""
    started = time.perf_counter()
    done, peak = run_and_measure(ROOT / "prepare.py", *options, cwd=folder)
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    return {
        "command": " ".join(["python prepare.py", *options]),
        "seconds": round(seconds, 1),
        "peak_mb": None if peak is None else round(peak / 1e6),
    }


def balance(out: Path) -> dict[str, Any]:
    """Least and most pictures of a cell, of a character, of an expression in a prepared set; none differ by over 1."""
    with zipfile.ZipFile(out) as archive:
        rows = json.loads(archive.read("manifest.json"))["pictures"]
    counts = {
        "cells": Counter((row["character"], row["expression"]) for row in rows),
        "characters": Counter(row["character"] for row in rows),
        "expressions": Counter(row["expression"] for row in rows),
    }
    assert len(rows) == len({row["source"] for row in rows}) == COUNT
    assert len(counts["cells"]) == len(CHARACTERS) * len(EXPRESSIONS)
    ranges = {name: [min(table.values()), max(table.values())] for name, table in counts.items()}
    assert all(most - least <= 1 for least, most in ranges.values()), ranges
    return {"pictures": len(rows), **ranges}


def measure_ferg(folder: Path) -> list[dict[str, Any]]:
    """Both ways of choosing from the large tree."""
    cells = [(character, expression) for character in CHARACTERS for expression in EXPRESSIONS]
    frames = {cell: FILES // len(cells) + (i < FILES % len(cells)) for i, cell in enumerate(cells)}
    assert sum(frames.values()) == FILES
    ferg_tree(folder / "FERG_DB_256", frames, PX)
    rows = []
    for select in ("stride", "farthest"):
        row = run(folder, "dataset=ferg", "source=FERG_DB_256", f"select={select}", f"out={select}.zip")
        rows.append(row | {"balance": balance(folder / f"{select}.zip")})
    return rows


def measure_bad(folder: Path) -> dict[str, Any]:
    """A folder of pictures that are damaged, odd or huge (up to 100 million pixels), as the tests make it."""
    write_files(folder / "in", odd_but_good() | bad())
    row = run(folder, "source=in", "out=good.zip")
    report = json.loads((folder / "good-report" / "report.json").read_text())
    return row | {
        "files": len(odd_but_good()) + len(bad()),
        "used": report["used"],
        "left_out": len(report["left_out"]),
    }


def main() -> None:
    """Measure all, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    result: dict[str, Any] = {
        "versions": {"python": platform.python_version(), "pillow": PIL.__version__, "numpy": np.__version__},
        "load": round(os.getloadavg()[0], 1),
    }
    for name, measure in (("ferg", measure_ferg), ("bad", measure_bad)):
        with tempfile.TemporaryDirectory() as folder:
            result[name] = measure(Path(folder))
            print(json.dumps(result[name], indent=1), flush=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
