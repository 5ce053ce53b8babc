"""Where numbers come from and where they go: facts of the machine, the printed table, CSV, JSON and the plot."""

import csv
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .plot import bars_of, draw

COLUMNS = (
    "part", "contender", "against", "ratio", "ratio_min", "ratio_max", "ms", "images_per_sec",
    "peak_mib", "gflop", "mfu",
)  # fmt: skip
DIGITS = {"ratio": 3, "ratio_min": 3, "ratio_max": 3, "ms": 3, "images_per_sec": 3, "peak_mib": 1, "gflop": 4, "mfu": 4}
ROOT = Path(__file__).resolve().parents[2]


def environment(device: str) -> dict[str, Any]:
    """What the numbers depend on besides the code: versions, processor, threads, device, load, date, commit."""
    cuda = torch.device(device).type == "cuda"
    return {
        "date": datetime.date.today().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed_files": len(_git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the table as written to CSV: every column, empty where it does not apply."""
    return {
        column: ""
        if row.get(column) is None
        else round(row[column], DIGITS[column])
        if column in DIGITS
        else row[column]
        for column in COLUMNS
    }


def print_table(result: Mapping[str, Any]) -> None:
    """Print the rows as a Markdown table, then the notes."""
    rows = [rounded(row) for row in result["rows"]]
    used = [column for column in COLUMNS if any(row[column] != "" for row in rows)]
    print("| " + " | ".join(used) + " |")
    print("|" + "---|" * len(used))
    for row in rows:
        print("| " + " | ".join(str(row[column]) for column in used) + " |")
    for name, notes in result["notes"].items():
        print(f"{name}: {'; '.join(notes)}")


def write_results(result: Mapping[str, Any], out: Path) -> None:
    """Write OUT.json (all of it), OUT.csv (the rows) and, where there are ratios, OUT.svg."""
    out.parent.mkdir(parents=True, exist_ok=True)
    stem = str(out.with_suffix("") if out.suffix in (".json", ".csv", ".svg") else out)
    Path(f"{stem}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    with open(f"{stem}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rounded(row) for row in result["rows"])
    bars = bars_of(result)
    if bars:
        Path(f"{stem}.svg").write_text(
            draw(bars, title=f"{result['table']}, {result['settings']['preset']}"), encoding="utf-8"
        )
