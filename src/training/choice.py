"""When to stop: the sweep's recommendation after each snapshot, until snapshots have not moved it for some time.

The cells are those of `python sweep.py`, in the run's own folder, which so finds them made. Snapshots that were pruned
count, and the one that is the choice is not pruned: what is left to sweep later is judged beside it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import UserError
from ..fetch import WeightsFolder
from ..runs import find_snapshots
from ..sweep import SweepSettings, open_sweep, prepare, rank_sweep, score_all


class ChoiceWatch:
    """Sweeps a run while it trains, until `patience` snapshots have brought no better choice."""

    def __init__(self, run_dir: Path, patience: int, *, device: str, weights: WeightsFolder) -> None:
        self.run_dir, self.patience = run_dir, patience
        self.settings = SweepSettings(run=str(run_dir), device=device, weights=weights)
        self._newest = ""  # snapshot of the last look
        self._choice: Mapping[str, Any] | None = None  # what was recommended then

    def over(self) -> bool:
        """Whether `patience` snapshots have been taken after the one that the recommended blend is made of."""
        choice = self._look()
        if choice is None:
            return False
        files = (*self.run_dir.glob("snapshots/kimg-*.safetensors"), *self.run_dir.glob("samples/kimg-*.jpg"))
        taken = {path.stem for path in files}  # of each its samples stay; names are in the order of training
        if sum(name > choice["snapshot"] for name in taken) < self.patience:
            return False
        tqdm.write(f"snapshot.stop={self.patience}: {choice['label']} is still the choice, so training ends here")
        return True

    def chosen(self) -> str | None:
        """Name of the snapshot that the recommended blend is made of; None without one.

        It is that of the last look; where there was none yet, the run is swept now.
        """
        choice = self._choice if self._newest else self._look()
        return None if choice is None else str(choice["snapshot"])

    def _look(self) -> Mapping[str, Any] | None:
        """The recommended blend, swept anew when there is a new snapshot."""
        if not any(self.run_dir.glob("snapshots/kimg-*.safetensors")):
            return None
        newest = find_snapshots(self.run_dir)[-1]
        if newest.name != self._newest:
            self._choice = self._swept() if newest.kimg > 0 else None
            self._newest = newest.name
        return self._choice

    def _swept(self) -> Mapping[str, Any] | None:
        try:
            sweep = open_sweep(self.run_dir, self.settings)
            prepare(sweep)
            score_all(sweep)
        except UserError as error:
            raise UserError(f"snapshot.stop={self.patience}: {error}") from error
        recommended: Mapping[str, Any] | None = rank_sweep(sweep)[1]["recommended"]
        return recommended
