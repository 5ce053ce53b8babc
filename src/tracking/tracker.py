"""Numbers and pictures of a run: local JSONL files are the truth, Weights & Biases shows the same.

A failing network never stops a run. The x axis is kimg: nothing is ever logged with W&B's own step.
"""

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import unwritable, write_text
from .wandb_run import open_wandb_run, shortened

MODES = ("auto", "online", "offline", "disabled")


class Tracker:
    """One run's log. Made by `open_tracker`.

    Attributes:
        run_dir: where `log.jsonl` and `metrics.jsonl` are written.
        status: one line for the run header: where W&B's copy goes, and why.
    """

    def __init__(self, run_dir: Path, wandb_run: Any, status: str) -> None:
        self.run_dir, self._wandb_run, self.status = run_dir, wandb_run, status
        self._warned = False

    def log(self, values: Mapping[str, float], kimg: float, nimg: int) -> None:
        """Append a row of training numbers to `log.jsonl`."""
        row = {"kimg": kimg, "nimg": nimg, **values}
        _append(self.run_dir / "log.jsonl", row)
        self._mirror(lambda run: run.log(_finite(row)))

    def metrics(self, row: Mapping[str, Any], kimg: float, nimg: int) -> None:
        """Append an evaluation to `metrics.jsonl`; its numbers go to W&B as `metrics/<name>`."""
        row = {"kimg": kimg, "nimg": nimg, **row}
        _append(self.run_dir / "metrics.jsonl", row)
        numbers = {
            f"metrics/{k}": v for k, v in row.items() if isinstance(v, int | float) and k not in ("kimg", "nimg")
        }
        self._mirror(lambda run: run.log({"kimg": kimg, "nimg": nimg, **_finite(numbers)}))

    def images(self, key: str, path: Path, *, caption: str, kimg: float) -> None:
        """Show a picture file."""
        self._mirror(lambda run: run.log({"kimg": kimg, key: _wandb().Image(str(path), caption=caption)}))

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table; a `Path` in it is shown as the picture that it names."""

        def show(run: Any) -> None:
            data = [[_wandb().Image(str(v)) if isinstance(v, Path) else v for v in row] for row in rows]
            run.log({key: _wandb().Table(columns=list(columns), data=data)})

        self._mirror(show)

    def artifact(
        self, path: Path, *, name: str, type: str, aliases: Sequence[str], metadata: Mapping[str, Any]
    ) -> None:
        """Store a file as an artifact version with `aliases`."""

        def store(run: Any) -> None:
            clean = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
            artifact = _wandb().Artifact(clean, type=type, metadata=_finite(metadata))
            artifact.add_file(str(path), policy="immutable")  # no copy in the user's home
            run.log_artifact(artifact, aliases=list(aliases))

        self._mirror(store)

    def summary(self, values: Mapping[str, Any]) -> None:
        """Set summary values of the run."""
        self._mirror(lambda run: run.summary.update(_finite(values)))

    def truncate_after(self, nimg: int) -> None:
        """Drop the local rows after `nimg`: a resumed run writes them again."""
        for name in ("log.jsonl", "metrics.jsonl"):
            path = self.run_dir / name
            if path.exists():
                kept = [row for row in read_rows(path) if row.get("nimg", 0) <= nimg]
                write_text(path, "".join(json.dumps(row) + "\n" for row in kept))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The evaluations so far."""
        return read_rows(self.run_dir / "metrics.jsonl")

    def finish(self) -> None:
        """Close W&B's copy."""
        self._mirror(lambda run: run.finish())
        self._wandb_run = None

    def _mirror(self, call: Callable[[Any], None]) -> None:
        """Do the same in W&B, if there is one; when that fails, say so once and go on."""
        if self._wandb_run is None:
            return
        try:
            call(self._wandb_run)
        except Exception as error:
            if not self._warned:
                self._warned = True
                print(f"tracker: Weights & Biases failed ({shortened(error)}); the local files go on", flush=True)


def open_tracker(
    run_dir: Path,
    *,
    config: Mapping[str, Any],
    mode: str = "auto",
    project: str | None = None,
    name: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
) -> Tracker:
    """Open the log of a run.

    Args:
        run_dir: the run's folder.
        config: resolved configuration, shown in W&B.
        mode: `"auto"` (as set for W&B; online with a key and an answering server, else offline), `"online"`,
            `"offline"`, or `"disabled"` (local files alone).
        project: W&B project; None for what is set for W&B, or `caricature`.
        name: display name, unless one is set for W&B, as the two below.
        group: runs that belong together (the sittings of one training).
        tags: labels.

    Returns:
        The tracker.

    Raises:
        UserError: for another mode, or when `mode="online"` cannot be had.
    """
    if mode not in MODES:
        raise UserError(f"tracker.mode={mode}: choose one of {', '.join(MODES)}")
    if mode == "disabled":
        return Tracker(run_dir, None, "local files alone")
    defaults = {"name": name, "group": group, "tags": list(tags), "config": dict(config)}
    try:
        run, status = open_wandb_run(run_dir, mode=mode, project=project, **defaults)
    except UserError:
        raise
    except Exception as error:
        run, status = None, f"local files alone (Weights & Biases does not start: {shortened(error)})"
    return Tracker(run_dir, run, status)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file; what is no row, such as a last line that a crash cut short, is left out. No file: no rows."""
    rows = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def _wandb() -> Any:
    """The wandb module, imported when it is first needed: it takes seconds."""
    import wandb

    return wandb


def _append(path: Path, row: Mapping[str, Any]) -> None:
    clean = _finite(row)
    bad = [k for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)]
    if bad:
        clean = {**clean, "nonfinite": bad}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(clean, allow_nan=False) + "\n")
    except OSError as error:
        raise unwritable(path, error) from error


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
