"""Costs of sweeps: of their cells, of what cells share, of workers."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.faults.victims import write_run
from experiments.speed.peers import frozen
from experiments.speed.shapes import PRESETS, our_generator
from src import sweep as steps
from src.cli import compose_config
from src.files import copy_file
from src.networks import Generator
from src.runs import BlendSettings, recipes_of
from src.sweep.features import load_pseudo, save_arrays
from src.sweep.finish import finish_sweep
from src.sweep.pictures import UNBLENDED, render_snapshot
from src.weights import load_network, save_network

from .clock import Place, profiled, read_and_written, rounded, run_script

WIDTH = 16  # maps at 64 px, where the shipped network ends, and above it
BASE = "kimg-000000.00"
WORKERS = ((1, 1), (1, 2), (2, 1))  # on two cores: how many, with how many threads each
#: Functions that a snapshot's cells go through.
PIECES: dict[str, Place | list[Place]] = {
    "render": ("sweep/pictures.py", "render_snapshot"),
    "features": ("sweep/features.py", "add"),
    "judge": ("cariscore/references.py", "judged"),
    "write": [("sweep/features.py", "save_arrays"), ("sweep/features.py", "show"), ("sweep/table.py", "append")],
    "load": [("weights/load.py", "load_network"), ("networks/kinship.py", "kinship")],
    "look": ("sweep/run.py", "_next_look"),
}
#: And of what comes after the last one.
ENDING: dict[str, Place | list[Place]] = {
    "rank": ("sweep/finish.py", "rank_sweep"),
    "page": ("tracking/report.py", "write_sweep_report"),
}


def wide_network(px: int) -> Generator:
    """The shipped network, continued above its 64 px by layers of as many maps that add nothing to its pictures."""
    G = load_network("demo").G_ema
    channels = G.config["channels"] | {r: WIDTH for r in (2**k for k in range(7, 11)) if r <= px}
    assert channels[64] == WIDTH
    torch.manual_seed(0)
    wide = Generator(**G.config | {"resolution": px, "channels": channels})
    wide.load_state_dict(G.state_dict(), strict=False)
    with torch.no_grad():
        for r in (r for r in channels if r > G.resolution):
            getattr(wide.synthesis, f"b{r}").torgb.weight.zero_()
    return wide


def opened(run_dir: Path, sizes: Sequence[int], codes: int, *more: str) -> steps.Sweep:
    """Open a sweep without racing."""
    return steps.open_configured_sweeps(compose_config("sweep", options(run_dir, sizes, codes, *more)))[0]


def options(run_dir: Path, sizes: Sequence[int], codes: int, *more: str) -> list[str]:
    """Its command line."""
    asked = f"blend.res=[{','.join(map(str, sizes))}]"
    fixed = ["race=false", "gates=false", "landmarks=network", "tracker=none", "device=cpu"]
    return [f"run={run_dir}", asked, f"n_latents={codes}", *fixed, *more]


def measured_sweep(run_dir: Path, sizes: Sequence[int], codes: int) -> dict[str, Any]:
    """Carry out a sweep step by step; seconds of each, and bytes of its files."""
    sweep, opening = profiled(lambda: opened(run_dir, sizes, codes), {})
    check: dict[str, Place | list[Place]] = {"check": ("cariscore/trust.py", "check_detector")}
    reused, preparing = profiled(lambda: steps.prepare(sweep), check)
    assert not reused
    first, *rest = sweep.snapshots
    _, scoring = profiled(lambda: [steps.score_snapshot(sweep, s, sizes, codes) for s in (first, *rest)], PIECES)
    _, ending = profiled(lambda: finish_sweep(sweep), ENDING)
    return {
        **{"px": sweep.base.G.resolution, "snapshots": len(sweep.snapshots), "resolutions": len(sizes), "codes": codes},
        **rounded(
            {"open": opening["total"], "prepare": preparing.pop("total"), **preparing, "score": scoring.pop("total")}
        ),
        **rounded({**scoring, "conclude": ending.pop("total"), **ending}),
        "bytes": sizes_of(sweep),
    }


def sizes_of(sweep: steps.Sweep) -> dict[str, int]:
    """Bytes of the files: a cell's features, its picture and its row; the references; a snapshot."""
    row, table = sweep.rows()[0], sweep.table
    return {
        "features": table.features_path(row["key"]).stat().st_size,
        "picture": table.picture_path(row["key"]).stat().st_size,
        "row": round(table.kept_path.stat().st_size / len(sweep.rows())),
        "references": table.features_path(sweep.base_key).stat().st_size,
        "snapshot": sweep.snapshots[0].path.stat().st_size,
    }


def cells(folder: Path) -> list[dict[str, Any]]:
    """Grow one thing at a time from 3 snapshots x 2 resolutions x 64 codes at 64 px."""
    plans: list[tuple[int, int, Sequence[int], int]] = [(64, 1, (8,), 16)]  # warms up
    plans += [(64, n, (8, 16), 64) for n in (2, 3, 5, 9)]
    plans += [(64, 3, (8, 16, 32)[:n], 64) for n in (1, 3)]
    plans += [(64, 3, (8, 16), n) for n in (128, 256)]
    plans += [(px, 3, (8, 16), 64) for px in (128, 256)]
    rows = []
    for i, (px, snapshots, sizes, codes) in enumerate(plans):
        write_run(folder / str(i), wide_network(px), range(max(snapshots, 2)))
        rows.append(measured_sweep(folder / str(i), sizes, codes))
        print(rows[-1], flush=True)
        shutil.rmtree(folder / str(i))
    return rows[1:]


def table(folder: Path, counts: Sequence[int] = (96, 288, 960)) -> list[dict[str, Any]]:
    """A sweep whose cells are copies of a few, with noise on their values: what grows with their number alone."""
    sizes, codes, run_dir = (8, 16, 32), 256, folder / "run"
    write_run(run_dir, load_network("demo").G_ema, (0, 1))
    sweep = opened(run_dir, sizes, codes)
    steps.prepare(sweep)
    steps.score_all(sweep)
    rows, draws = [], np.random.default_rng(0)
    for count in counts:
        _copy_cells(sweep, count // len(sizes), draws)
        many, opening = profiled(lambda: opened(run_dir, sizes, codes), {})
        reused, preparing = profiled(lambda many=many: steps.prepare(many), {})
        assert reused == count, (reused, count)
        _, job = profiled(lambda: _job(run_dir, sizes, codes), {})
        _, ending = profiled(lambda many=many: finish_sweep(many), ENDING)
        rows.append(
            {
                "cells": count,
                **rounded({"open": opening["total"], "prepare": preparing["total"], "idle_job": job["total"]}),
                **rounded({"conclude": ending.pop("total"), **ending}),
                "page_bytes": (many.folder / "report.html").stat().st_size,
                "rows_bytes": many.table.kept_path.stat().st_size,
            }
        )
        print(rows[-1], flush=True)
    started = run_script("sweep.py", *options(run_dir, sizes, codes))
    return [*rows, {"cells": counts[-1], "command with nothing to score": rounded(started)}]


def _job(run_dir: Path, sizes: Sequence[int], codes: int) -> None:
    """A worker's job in which nothing is missing."""
    sweep = opened(run_dir, sizes, codes, f"snapshot=[{BASE}]")
    assert not steps.score_snapshot(sweep, sweep.snapshots[0], sizes, codes)


def _copy_cells(sweep: steps.Sweep, snapshots: int, draws: np.random.Generator) -> None:
    """Add snapshots with the cells of the last one, until there are so many."""
    *_, last = sweep.snapshots
    G, files = load_network(last.path, parts=("G_ema",)).G_ema, sweep.run_dir / "snapshots"
    for kimg in range(len(list(files.iterdir())), snapshots):
        path = files / f"kimg-{kimg:09.2f}.safetensors"
        save_network(path, G_ema=G, meta={"kimg": float(kimg)}, dtype=torch.float16)
        copy = type(last)(path, float(kimg))
        for r in (UNBLENDED, *sweep.recipes):
            old, new = (sweep.key(s, r, sweep.protocol["n_latents"]) for s in (last, copy))
            pseudo = load_pseudo(sweep.table.features_path(old))
            save_arrays(sweep.table.features_path(new), pseudo=pseudo + draws.normal(0, 0.02, pseudo.shape[1:]))
            copy_file(sweep.table.picture_path(old), sweep.table.picture_path(new))
            if r != UNBLENDED:
                row = sweep.table.rows([old])[old] | {"key": new, "snapshot": copy.name, "kimg": copy.kimg}
                more = {"label": f"{copy.name}/{r}", "picture": f"cells/{copy.name}-res{r:03d}.jpg"}
                sweep.table.append(row | more)


def workers(folder: Path, rounds: int, codes: int, snapshots: int) -> list[dict[str, Any]]:
    """The same sweep by one worker with one thread and with two, and by two with one each, in turn.

    And what one job reads and writes.
    """
    sizes, rows = (8, 16, 32), []
    write_run(folder / "run", load_network("demo").G_ema, range(snapshots))
    for turn in range(rounds):
        for n, threads in WORKERS if turn % 2 == 0 else WORKERS[::-1]:
            shutil.rmtree(folder / "run" / "sweeps", ignore_errors=True)
            launched = [*options(folder / "run", sizes, codes), "hydra/launcher=joblib", f"hydra.launcher.n_jobs={n}"]
            took = run_script("sweep.py", *launched, threads=threads)
            row = {"workers": n, "threads": threads, "cells": snapshots * len(sizes), "codes": codes}
            rows.append(row | {**rounded(took, 2), "cells_per_min": round(_pace(folder / "run"), 1)})
            print(rows[-1], flush=True)
    shutil.rmtree(folder / "run" / "sweeps")
    shared = opened(folder / "run", sizes, codes)
    steps.prepare(shared)
    for kimg in (1, 2):  # the first one also reads what later ones find in memory
        before = read_and_written()
        sweep = opened(folder / "run", sizes, codes, f"snapshot=[{kimg}]")
        steps.score_snapshot(sweep, sweep.snapshots[0], sizes, codes)
        moved = {name: count - before[name] for name, count in read_and_written().items()}
    return [*rows, {"one job": {"cells": len(sizes), **moved}, "files": sizes_of(shared)}]


def _pace(run_dir: Path) -> float:
    """Cells a minute while a sweep was under way: those finished after its first fifth and before its last."""
    moments = sorted(path.stat().st_mtime for path in run_dir.glob("sweeps/*/features/*-res*.npz"))
    first, last = len(moments) // 5, 4 * len(moments) // 5
    return 60 * (last - first) / (moments[last] - moments[first])


def large(folder: Path) -> list[dict[str, Any]]:
    """Rendering of config-f at 1024 px; and a sweep of narrow networks of that size for all else."""
    base, snapshot = (frozen(our_generator(PRESETS["1024f"], "cpu", seed=seed)) for seed in (0, 1))
    recipes = recipes_of(BlendSettings(res="all"), base)
    ws = torch.randn([1, base.num_ws, base.w_dim])
    for _ in render_snapshot(snapshot, base, ws, recipes[-1:]):  # warms up
        pass
    started = time.process_time()
    count = sum(len(pictures) for _, pictures in render_snapshot(snapshot, base, ws, recipes))
    seconds = time.process_time() - started
    path = save_network(folder / "snapshot.safetensors", G_ema=snapshot, meta={"kimg": 1.0})
    whole = {"pictures": count, "resolutions": [r.resolution for r in recipes], "render_sec": round(seconds, 2)}
    print(whole, flush=True)
    write_run(folder / "run", wide_network(1024), range(2))
    return [whole | {"snapshot_bytes": path.stat().st_size}, measured_sweep(folder / "run", (8, 16), 16)]
