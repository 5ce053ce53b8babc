"""What sweeps and long runs cost, and how it grows, in seconds of the processor and bytes of files.

    python -m experiments.scale cells table workers shared large length resume estimate --record results.json

`cells`: the pieces of a sweep, and their growth with snapshots, resolutions, codes and pixels. `table`: what a sweep
of many cells costs beside them. `workers`: processes that share one, and what they read and write. `shared`: prepare.py
and caricature.py by jobs. `large`: a picture of 1024 px in config-f. `length`: memory and files of a long training.
`resume`: going on with long logs. `estimate`: 10,000 cells at 1024 px by what is recorded.

Seconds are those of the processor, of this process or of a finished child with its children, one thread each: other
programs of the machine disturb them less than wall time.
"""

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.speed.results import environment

from . import shared, sweeps, trainings
from .estimate import estimate

Part = Callable[[Path, argparse.Namespace], Any]
PARTS: dict[str, Part] = {
    "cells": lambda folder, _: sweeps.cells(folder),
    "table": lambda folder, _: sweeps.table(folder),
    "workers": lambda folder, args: sweeps.workers(folder, args.rounds, args.codes, args.snapshots),
    "shared": lambda folder, _: shared.shared(folder),
    "large": lambda folder, _: sweeps.large(folder),
    "length": lambda folder, args: trainings.length(folder, args.kimg, args.stop_sec),
    "resume": lambda folder, _: trainings.resume(folder),
    "estimate": lambda _, args: estimate(json.loads(args.record.read_text())),
}


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--kimg", type=float, default=200, help="length of the training")
    parser.add_argument("--stop-sec", type=float, help="of the clock, after which it is stopped before its end")
    parser.add_argument("--rounds", type=int, default=1, help="of one worker and two")
    parser.add_argument("--snapshots", type=int, default=5, help="that they sweep, at 3 resolutions")
    parser.add_argument("--codes", type=int, default=64, help="that the workers' cells are rendered with")
    parser.add_argument("--record", type=Path, help="a JSON file whose parts are replaced by those that are measured")
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    for part in args.parts:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            measured = PARTS[part](Path(name), args)
        result = {part: {"environment": environment("cpu"), "rows": measured}}
        result[part]["took_sec"] = round(time.monotonic() - started)
        print(json.dumps(result), flush=True)
        if args.record:
            known = json.loads(args.record.read_text()) if args.record.exists() else {}
            text = re.sub(r"\n {4,}", " ", json.dumps(known | result, indent=1))  # a row a line
            args.record.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
