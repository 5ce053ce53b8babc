"""Full-state checkpoints that are whole or absent: written beside the target, fsynced, renamed; the last two are kept.

Lightning's own writer goes through the system's temporary folder, from where a move to another file system is a copy.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from ..errors import UserError
from ..files import atomic_write

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


@dataclass
class Checkpoint:
    """A checkpoint that was read.

    Attributes:
        path: its file.
        nimg: real images shown when it was saved.
    """

    path: Path
    nimg: int
    _state: dict[str, Any]

    def take(self) -> dict[str, Any]:
        """Hand over the content, once: it is as large as the networks and their optimisers."""
        state, self._state = self._state, {}
        return state


class AtomicCheckpointIO(CheckpointIO):
    """Writes `last.ckpt` atomically, turning the one before into `previous.ckpt`.

    Args:
        saved: called when the first one of this sitting is whole.
        found: the checkpoint from which Lightning goes on, already read.
    """

    def __init__(self, saved: Callable[[], None], found: Checkpoint | None) -> None:
        self._saved, self._told, self._found = saved, False, found

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`."""
        path = Path(path)
        with atomic_write(path) as partial:
            torch.save(checkpoint, partial)
            if path.exists():
                os.replace(path, path.with_name(PREVIOUS))
        if not self._told:
            self._saved()
            self._told = True

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Hand over the checkpoint that was found, without reading it again."""
        assert self._found is not None
        assert Path(path) == self._found.path
        return self._found.take()

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint of a run, readable or not."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def find_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest readable checkpoint of a run: `last.ckpt`, else `previous.ckpt`, else None.

    Tensors and plain data only: nothing in a checkpoint is executed.

    Raises:
        UserError: when there are checkpoints and none can be read.
    """
    problems = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if path.exists():
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
                return Checkpoint(path, int(state["nimg"]), state)
            except Exception as error:
                problems.append(f"{path} ({type(error).__name__})")
    if problems:
        raise UserError(
            f"no readable checkpoint: {', '.join(problems)}; restore one, take another run=NAME, or remove the folder"
        )
    return None
