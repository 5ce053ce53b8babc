"""Numbers and pictures of a run: local JSONL files are the truth, Weights & Biases shows the same.

A failing network never stops a run. The x axis is kimg: nothing is ever logged with W&B's own step.
"""

import contextlib
import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import append_lines, write_text
from ..metrics import FRECHET_NAMES, MEASURE
from ..runs import RUN_JSON
from .artifacts import snapshot_alias, snapshots_artifact
from .wandb_record import TRAINING, WandbRecord, known_run
from .wandb_run import WandbRun, finite, open_wandb_run

MODES = ("auto", "online", "offline", "disabled")
LOG, METRICS = "log.jsonl", "metrics.jsonl"
#: Columns of W&B's table of snapshots beside the picture, by what a row of `metrics.jsonl` calls them.
COLUMNS = {
    "kimg": "kimg",
    **FRECHET_NAMES,
    **{f"{key}_bias": f"bias of {name}" for key, name in FRECHET_NAMES.items()},
    "kid": "KID",
    "kid_error": "KID ±",
    "precision": "precision",
    "recall": "recall",
    "memorisation": "memorisation",
}
FLAGS = ("best", "past_best")


def kid_band(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """KID of a row of `metrics.jsonl` less and plus its standard error; None where it has none."""
    kid, error = row.get("kid"), row.get("kid_error")
    return None if kid is None or error is None else (kid - error, kid + error)


class Tracker:
    """One training's log. Made by `open_tracker`.

    Attributes:
        run_dir: where `log.jsonl` and `metrics.jsonl` are written.
        artifact: name under which W&B has the snapshots.
        status: one line for the run header: where W&B's copy goes, and why.
    """

    def __init__(self, run_dir: Path, wandb_run: WandbRun) -> None:
        self.run_dir, self._wandb_run = run_dir, wandb_run
        self.artifact, self.status = snapshots_artifact(run_dir), wandb_run.status
        self._resumed_at = -1

    def log(self, values: Mapping[str, float], kimg: float, nimg: int) -> None:
        """Append a row of training numbers to `log.jsonl`."""
        row = {"kimg": kimg, "nimg": nimg, **values}
        _append(self.run_dir / LOG, row)
        self._wandb_run.log(row, nimg)

    def snapshot(self, row: Mapping[str, Any], kimg: float, nimg: int) -> None:
        """Show a snapshot; one that was measured is appended to `metrics.jsonl`.

        Args:
            row: `snapshot` and `sample`, its files in the run's folder, and what was measured.
            kimg: when it was taken.
            nimg: the same in images.
        """
        row = {"kimg": kimg, "nimg": nimg, **row}
        if "protocol" in row:
            _append(self.run_dir / METRICS, row)
        self._show_snapshot(row, missed=nimg == self._resumed_at)  # when it was due, the program was stopped

    def store(self, path: Path, row: Mapping[str, Any], *, metadata: Mapping[str, Any]) -> None:
        """Store a snapshot's file in W&B, under the names `kimg-16`, `latest`, and `best` where it is.

        Args:
            path: of the file.
            row: its `kimg` and `best`.
            metadata: what is to be known of it.
        """
        aliases = [snapshot_alias(row["kimg"]), "latest", *(["best"] if row.get("best") else [])]
        self._wandb_run.store(path, name=self.artifact, aliases=aliases, metadata=metadata)

    def keep_only(self, kimgs: Collection[float]) -> None:
        """Delete from W&B the snapshots of this run that are not of these kimg."""
        self._wandb_run.keep_only(self.artifact, {snapshot_alias(kimg) for kimg in kimgs})

    def go_on_at(self, nimg: int) -> list[dict[str, Any]]:
        """Take up the log where a resumed run goes on: later rows are dropped, they will be written again.

        W&B is sent the rows before that it lacks, and will not be sent again what it has.

        Args:
            nimg: where; -1 for the beginning.

        Returns:
            Evaluations that W&B lacked.
        """
        self._resumed_at = nimg
        for name in (LOG, METRICS):
            path = self.run_dir / name
            if path.exists():
                kept = [row for row in read_rows(path) if row.get("nimg", 0) <= nimg]
                write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        if not self._wandb_run.is_open:
            return []
        log, metrics = (
            [row for row in read_rows(self.run_dir / name) if row.get("nimg", -1) >= self._wandb_run.first]
            for name in (LOG, METRICS)
        )
        for row in sorted(log + metrics, key=lambda row: row["nimg"]):  # at one moment the log's comes first
            self._show_snapshot(row) if "protocol" in row else self._wandb_run.log(row, row["nimg"])
        return metrics

    def read_metrics(self) -> list[dict[str, Any]]:
        """The evaluations so far."""
        return read_rows(self.run_dir / METRICS)

    def finish(self) -> None:
        """Close W&B's copy."""
        self._wandb_run.finish()

    def _show_snapshot(self, row: Mapping[str, Any], *, missed: bool = False) -> None:
        nimg = int(row["nimg"])
        numbers = {
            f"metrics/{k}": v for k, v in row.items() if isinstance(v, int | float) and k not in ("kimg", "nimg")
        }
        band = kid_band(row)
        numbers |= {} if band is None else dict(zip(("metrics/kid_low", "metrics/kid_high"), band, strict=True))
        sample = self.run_dir / row.get("sample", "")
        table = {
            "picture": sample if sample.is_file() else None,
            **{title: row.get(key) for key, title in COLUMNS.items()},
            "flags": ", ".join(flag.replace("_", " ") for flag in FLAGS if row.get(flag)),
            "artifact": f"{self.artifact}:{snapshot_alias(row['kimg'])}",
        }
        shown = {"samples": sample} if sample.is_file() else {}
        values = {"kimg": row["kimg"], "nimg": nimg, **numbers, **shown}
        self._wandb_run.log(values, nimg, tables={"snapshots": table}, missed=missed)


def open_tracker(
    run_dir: Path,
    *,
    config: Mapping[str, Any],
    mode: str = "auto",
    project: str | None = None,
    tags: Sequence[str] = (),
) -> Tracker:
    """Open the log of a training.

    Args:
        run_dir: the run's folder; its name is that of W&B's run and of the group that sweeps join.
        config: resolved configuration, shown in W&B.
        mode: `"auto"` (as set for W&B; online with a key and an answering server, else offline), `"online"`,
            `"offline"`, or `"disabled"` (local files alone).
        project: W&B project; None for what is set for W&B, or `caricature`.
        tags: labels.

    Returns:
        The tracker.

    Raises:
        UserError: for another mode, or when `mode="online"` cannot be had.
    """
    if mode not in MODES:
        raise UserError(f"tracker.mode={mode}: choose one of {', '.join(MODES)}")
    run_dir.mkdir(parents=True, exist_ok=True)
    run = open_wandb_run(
        run_dir,
        mode=mode,
        project=project,
        record=lambda given: WandbRecord(run_dir / RUN_JSON, TRAINING, given_id=given),
        name=run_dir.name,
        config=config,
        job_type="train",
        tags=list(tags),
    )
    return Tracker(run_dir, run)


def lacks_rows(run_dir: Path) -> bool:
    """Whether W&B lacks rows of a run, as far as the run's folder knows; its server is not asked."""
    known = known_run(run_dir / RUN_JSON)
    last = max((row.get("nimg", 0) for name in (LOG, METRICS) for row in read_rows(run_dir / name)), default=-1)
    return last >= known.get("first", 0) or os.environ.get("WANDB_RUN_ID", known.get("id")) != known.get("id")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file; what is no row, such as a last line that a crash cut short, is left out. No file: no rows."""
    rows = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def comparable(metrics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of `metrics.jsonl` measured in the way of the newest: numbers of different features are no series."""
    measures = [tuple((row.get("protocol") or {}).get(key) for key in MEASURE) for row in metrics]
    return [row for row, measure in zip(metrics, measures, strict=True) if measure == measures[-1]]


def lowest_kid(run_dir: Path) -> float | None:
    """The lowest KID of a run's snapshots, of those that compare with the newest; None where none was measured."""
    rows = comparable(read_rows(run_dir / METRICS))
    return min((float(row["kid"]) for row in rows if row.get("kid") is not None), default=None)


def _append(path: Path, row: Mapping[str, Any]) -> None:
    clean = finite(row)
    bad = [k for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)]
    if bad:
        clean = {**clean, "nonfinite": bad}
    append_lines(path, [json.dumps(clean, allow_nan=False)])
