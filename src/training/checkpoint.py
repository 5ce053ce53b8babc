"""Full-state checkpoints that are whole or absent: written beside the target, fsynced, renamed; the last two are kept.

Each holds checksums of its parts, as `torch.save` writes them, and is read after these have been compared: where the
last one is damaged the one before serves.
Lightning's own writer goes through the system's temporary folder, from where a move to another file system is a copy.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..device import on_host
from ..errors import UserError
from ..files import atomic_write, damage_of_zip
from ..lock import Claim

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


@dataclass
class Checkpoint:
    """A checkpoint that was read."""

    path: Path
    nimg: int  # real images shown when it was saved
    _state: dict[str, Any]

    def take(self) -> dict[str, Any]:
        """Hand over the content, once: it is as large as the networks and their optimisers."""
        state, self._state = self._state, {}
        return state


class AtomicCheckpointIO(CheckpointIO):
    """Writes `last.ckpt` atomically, turning the one before into `previous.ckpt`.

    `saved` is called when the first one of this sitting is whole. `found` is the checkpoint from which Lightning goes
    on, already read: where that is `previous.ckpt` the last one is damaged, and never takes its place. `claim`, on the
    run's folder, is seen to before a checkpoint takes its place.
    """

    def __init__(self, saved: Callable[[], None], found: Checkpoint | None, claim: Claim | None = None) -> None:
        self._saved, self._told, self._found, self._claim = saved, False, found, claim
        self._last_is_whole = found is None or found.path.name == LAST

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`."""
        path = Path(path)
        with atomic_write(path) as partial:
            torch.save(_on_host(checkpoint), partial)
            if self._claim is not None:
                self._claim.check()
            if path.exists() and self._last_is_whole:
                os.replace(path, path.with_name(PREVIOUS))
        self._last_is_whole = True
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


def _on_host(checkpoint: dict[str, Any]) -> dict[str, Any]:
    leaves, structure = tree_flatten(checkpoint)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    for i, tensor in zip(places, on_host([leaves[i] for i in places]), strict=True):
        leaves[i] = tensor
    return tree_unflatten(leaves, structure)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint of a run, readable or not."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def find_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest whole checkpoint of a run: `last.ckpt`, else `previous.ckpt`, and say so, else None.

    Tensors and plain data only: nothing in a checkpoint is executed.
    """
    damaged: list[str] = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            found = _read(path)
        except ValueError as error:
            damaged.append(f"{path} ({error})")
            continue
        if damaged:
            print(f"note       damaged: {damaged[0]}; {name}, at {found.nimg / 1000:g} kimg, serves", flush=True)
        return found
    if damaged:
        raise UserError(
            f"no readable checkpoint: {', '.join(damaged)}; restore one, take another run=NAME, or remove the folder"
        )
    return None


def _read(path: Path) -> Checkpoint:
    """Read a checkpoint; a ValueError says how it is damaged."""
    damage = damage_of_zip(path)
    if damage is not None:
        raise ValueError(damage)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(path, int(state["nimg"]), state)
    except Exception as error:
        raise ValueError(type(error).__name__) from error
