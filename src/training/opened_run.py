"""One run, opened: the objects that its parts hand to each other, in one of its processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import PictureDataset
from ..lock import Claim
from .checkpoint import Checkpoint, find_checkpoint
from .device import Acceleration, Compute
from .module import GanModule
from .processes import Processes
from .schedule import run_length, snapshot_marks
from .settings import TrainSettings
from .setup import Start
from .snapshots import is_taken


@dataclass
class Run:
    """The objects of one run, in one of its processes."""

    config: Mapping[str, Any]
    settings: TrainSettings
    dataset: PictureDataset
    start: Start
    module: GanModule
    compute: Compute
    acceleration: Acceleration
    processes: Processes
    measures: str  # which metrics, and why
    folder: Path = Path()
    claim: Claim | None = None  # on the folder; the first process's
    checkpoint: Checkpoint | None = None

    @property
    def marks(self) -> list[float]:
        """When snapshots are taken, in kimg."""
        return snapshot_marks(self.settings.snapshot.kimg, self.settings.total_kimg)

    @property
    def total_kimg(self) -> float:
        """The end."""
        return run_length(self.settings.snapshot.kimg, self.settings.total_kimg)

    @property
    def nimg(self) -> int:
        """Where it goes on; -1 for a run that begins."""
        return -1 if self.checkpoint is None else self.checkpoint.nimg

    def find_state(self) -> None:
        """Read the state from which it goes on, once the folder is known."""
        self.checkpoint = find_checkpoint(self.folder / "checkpoints") if self.settings.resume else None

    def is_taken(self, kimg: float) -> bool:
        """Whether the snapshot of a mark is there."""
        return is_taken(self.folder, kimg, measured=self.settings.metrics.extractor is not None)
