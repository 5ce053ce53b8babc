"""Long trainings: whether memory grows, what the logs take, and what going on with them costs."""

from pathlib import Path
from typing import Any

from experiments.faults.victims import PX, write_pictures
from src.cli import compose_config
from src.tracking import open_tracker, read_rows
from src.training import train

from .clock import profiled, rounded, run_script

BATCH = 128
LOOKS_KIMG = (1, 2, 5, 10, 20, 50, 100, 150, 200)
LENGTHS_KIMG = (20, 200, 2000, 25_000)  # the last is that of a training from scratch in the StyleGAN2 paper
SNAPSHOT_KIMG, LOG_KIMG = 20, 0.2  # as train.py has them on long runs


def options(folder: Path, *more: str) -> list[str]:
    """Command line of a training of the smallest networks; logs, checkpoints and ADA as they are by default."""
    sizes = ("z_dim=8", "w_dim=8", "channel_base=64", "channel_max=4", "num_mapping_layers=2")
    return [
        *("pretrained=none", "model=tiny", *(f"model.{size}" for size in sizes), "loss=scratch"),
        *("dataset=folder", f"dataset.path={folder / 'pictures'}"),
        *(f"dataset.resolution={PX}", f"batch={BATCH}", "tracker=none", "trainer.progress=false"),
        *("trainer.accelerator=cpu", f"paths.runs={folder}", "run=run", *more),
    ]


def length(folder: Path, kimg: float, stop_sec: float | None) -> list[dict[str, Any]]:
    """Train without metrics, at most so long; peaks of memory on the way, bytes of the logs."""
    write_pictures(folder / "pictures")
    asked = options(folder, "metrics=none", "snapshot.kimg=early", f"total_kimg={kimg}")
    took = run_script("train.py", *asked, stop_sec=stop_sec)
    log = read_rows(folder / "run" / "log.jsonl")
    peaks = {row["kimg"]: row["memory/peak_gb"] * 2**30 / 1e6 for row in log}
    marks = [max((k for k in peaks if k <= look), default=None) for look in (*LOOKS_KIMG, kimg)]
    return [
        {
            "kimg": log[-1]["kimg"],
            **rounded(took, 1),
            "img_per_cpu_sec": round(log[-1]["nimg"] / took["cpu_sec"]),
            "peak_mb": {f"{mark:g}": round(peaks[mark], 1) for mark in sorted({*marks} - {None})},
            "log_rows": len(log),
            "log_bytes": (folder / "run" / "log.jsonl").stat().st_size,
        }
    ]


def resume(folder: Path) -> list[dict[str, Any]]:
    """Go on for two iterations with logs of several lengths, which the run's own writer has written."""
    write_pictures(folder / "pictures")
    run, nimg = folder / "run", 0
    rows = []
    for kimg in (0, *LENGTHS_KIMG):
        logs = _lengthen(run, kimg, nimg) if kimg else {}
        nimg += 2 * BATCH
        more = ("metrics=embedded", "metrics.num_fakes=8", f"total_kimg={nimg / 1000}", "snapshot.kimg=[0,0.032]")
        config = compose_config("train", options(folder, *more))
        places = {"logs": ("tracking/tracker.py", "go_on_at"), "page": ("tracking/report.py", "write_run_report")}
        _, took = profiled(lambda config=config: train(config), places)
        page = (run / "report.html").stat().st_size
        rows.append({"kimg": kimg, **logs, **rounded(took, 3), "page_bytes": page})
        print(rows[-1], flush=True)
    return rows[1:]


def _lengthen(run: Path, kimg: float, nimg: int) -> dict[str, int]:
    """Replace the logs of a run by longer ones, of copies of its own rows."""
    paths = {name: run / f"{name}.jsonl" for name in ("log", "metrics")}
    samples = {name: read_rows(path)[-1] for name, path in paths.items()}
    counts = {"log": round(kimg / LOG_KIMG), "metrics": max(round(kimg / SNAPSHOT_KIMG), 1)}
    for path in paths.values():
        path.unlink()
    tracker = open_tracker(run, config={}, mode="disabled")
    for name, write in (("log", tracker.log), ("metrics", tracker.snapshot)):
        row = {k: v for k, v in samples[name].items() if k not in ("kimg", "nimg")}
        for i in range(counts[name]):
            at = (i + 1) * nimg // counts[name]
            write(row, at / 1000, at)
    found = {f"{name}_bytes": path.stat().st_size for name, path in paths.items()}
    return {f"{name}_rows": count for name, count in counts.items()} | found
