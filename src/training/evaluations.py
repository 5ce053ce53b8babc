"""The evaluations of a run so far, and what a new one says beside them.

`evaluations/<snapshot>.npy` holds KID's pseudo-values. All snapshots render the same codes, so differences of snapshots
are judged in pairs: which may be the lowest, and when the lowest is surely past. Which is the lowest so far is a matter
of the rows' KIDs alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_write
from ..metrics import MetricsSettings, error_of, lowest
from ..tracking import read_rows
from .checkpoint import has_checkpoint


class Evaluations:
    """Those of one run that were measured in the same way: as `metrics` says, with nothing left to `auto`."""

    def __init__(self, run_dir: Path, metrics: MetricsSettings, *, seed: int) -> None:
        self.run_dir, self.metrics, self.seed = run_dir, metrics, seed
        self.kids: dict[str, float] = {}  # KID by file name of the snapshot
        self._pseudo: dict[str, NDArray[np.float64]] = {}  # pseudo-values of KID, as far as they are there

    def restore(self, kids: Mapping[str, float]) -> None:
        """Take up the evaluations made before a resume, in the order of the run.

        A note says which of them cannot be compared in pairs.
        """
        self.kids, self._pseudo = dict(kids), {}
        for snapshot, kid in kids.items() if self.metrics.extractor is not None else ():
            path = self._path(snapshot)
            try:
                self._pseudo[snapshot] = _read(path, kid, self.metrics.num_fakes)
            except ValueError as error:
                print(f"note       {path} {error}: no later snapshot is compared in pairs with this one", flush=True)

    def add(self, snapshot: str, pseudo: NDArray[np.float64]) -> dict[str, Any]:
        """Keep an evaluation, pseudo-values `[N]` of its KID, and compare it with those before it.

        An earlier one of the same snapshot is forgotten.

        Returns:
            `best` (its KID is the lowest so far), and what `compared` says of those whose pseudo-values are there.
        """
        with atomic_write(self._path(snapshot)) as partial, open(partial, "wb") as file:
            np.save(file, pseudo)
        for known in (self.kids, self._pseudo):
            known.pop(snapshot, None)
        kid = float(pseudo.mean())
        best = kid < min(self.kids.values(), default=np.inf)
        self.kids[snapshot], self._pseudo[snapshot] = kid, pseudo
        history = list(self._pseudo.values())
        return {"best": best, **compared(history, patience=self.metrics.patience, seed=self.seed)}

    def _path(self, snapshot: str) -> Path:
        return self.run_dir / "evaluations" / f"{Path(snapshot).stem}.npy"


def measured_on(run_dir: Path) -> dict[str, Any] | None:
    """Protocol of the newest evaluation of a run that goes on; None where there is none.

    Without a checkpoint it starts again, and its evaluations with it.
    """
    if not has_checkpoint(run_dir / "checkpoints"):
        return None
    protocols = (row.get("protocol") for row in reversed(read_rows(run_dir / "metrics.jsonl")))
    return next((protocol for protocol in protocols if protocol), None)


def compared(history: Sequence[NDArray[np.float64]], *, patience: int, seed: int) -> dict[str, Any]:
    """What the newest snapshot's KID says beside those before it, from pseudo-values of common codes.

    Args:
        history: pseudo-values `[N]` of each evaluation, the newest last.
        patience: evaluations that are all surely above the lowest KID before it is past.

    Returns:
        `kid_change` to the lowest of those before with `kid_change_error`, its paired standard error (None for the
        first), `past_best`.
    """
    *before, newest = history
    first = min(before, key=np.mean, default=None)
    change = None if first is None else newest - first
    candidates = np.flatnonzero(lowest(np.stack(history, axis=1), seed=seed).candidate)
    return {
        "kid_change": None if change is None else float(change.mean()),
        "kid_change_error": None if change is None else error_of(change),
        "past_best": bool(len(history) - 1 - candidates.max() >= patience),
    }


def _read(path: Path, kid: float, count: int | None) -> NDArray[np.float64]:
    """Pseudo-values of a row's KID; a ValueError says what is wrong with the file."""
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise ValueError("is missing") from None
    except (OSError, ValueError, EOFError, TypeError):
        raise ValueError("is damaged") from None
    if values.shape != (count,) or not np.isclose(values.mean(), kid, rtol=1e-9, atol=0):
        raise ValueError("does not hold the KID of its row")
    return np.asarray(values, dtype=np.float64)
