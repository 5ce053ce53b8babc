"""When to stop: the sweep's recommendation after each snapshot, until it has not moved for some snapshots.

The cells are those of `python sweep.py`, in the run's own folder, which so finds them made.
"""

from pathlib import Path

from tqdm import tqdm

from ..errors import UserError
from ..fetch import WeightsFolder
from ..runs import find_snapshots
from ..sweep import SweepSettings, open_sweep, prepare, rank_sweep, score_all


class ChoiceWatch:
    """Sweeps a run while it trains.

    Args:
        run_dir: the run.
        patience: snapshots without a better choice before it is over.
        device: where the sweep computes.
        weights: where published networks lie and come from.
    """

    def __init__(self, run_dir: Path, patience: int, *, device: str, weights: WeightsFolder) -> None:
        self.run_dir, self.patience = run_dir, patience
        self.settings = SweepSettings(run=str(run_dir), device=device, weights=weights)

    def over(self) -> bool:
        """Sweep what is new, and tell whether the recommended blend has been the same one for `patience` snapshots.

        Raises:
            UserError: when the run's pictures cannot be scored.
        """
        if not any(snapshot.kimg > 0 for snapshot in find_snapshots(self.run_dir)):
            return False
        try:
            sweep = open_sweep(self.run_dir, self.settings)
            prepare(sweep)
            score_all(sweep)
        except UserError as error:
            raise UserError(f"snapshot.stop={self.patience}: {error}") from error
        choice = rank_sweep(sweep)[1]["recommended"]
        if choice is None or sum(s.kimg > choice["kimg"] for s in sweep.snapshots) < self.patience:
            return False
        tqdm.write(f"snapshot.stop={self.patience}: {choice['label']} is still the choice, so training ends here")
        return True
