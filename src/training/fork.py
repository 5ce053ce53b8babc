"""`resume=fork`: a run of its own that goes on from another's state with other options, and says where it came from.

The new folder is made from the other run's checkpoint and base network; from there on it is a run like any other, and
needs the other no more.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import atomic_write
from ..runs import BASE
from .checkpoint import LAST, Checkpoint, find_checkpoint

#: Options that decide which tensors there are, and which are trained: the state fits no others.
FIXED = ("model.", "pretrained.", "dataset.resolution", "loss.freeze_")


@dataclass(frozen=True)
class Fork:
    """A fork that is to be, or is there already."""

    source: Path  # folder of the run that it goes on from
    folder: Path  # its own
    changed: list[str]  # the options that differ, in words

    @classmethod
    def of(cls, source: Path, digest: str, changed: Mapping[str, str]) -> "Fork":
        """The fork of a run with options changed, in words by option; `digest` is of what identifies it.

        Raises:
            UserError: when nothing has changed, or something that the run's state does not fit.
        """
        if not changed:
            raise UserError(f"resume=fork: no option differs from those of run {source}; leave it out to go on with it")
        fixed = [words for name, words in changed.items() if name.startswith(FIXED)]
        if fixed:
            raise UserError(f"resume=fork keeps the networks of run {source}, and what of them is trained: {fixed[0]}")
        return cls(source, source.with_name(f"{source.name}-fork-{digest}"), list(changed.values()))

    def read(self) -> Checkpoint:
        """The state that it starts from."""
        found = find_checkpoint(self.source / "checkpoints")
        if found is None:
            raise UserError(f"run {self.source} has saved no state to go on from: train it first")
        return found

    def facts(self, found: Checkpoint) -> dict[str, Any]:
        """Where it came from, for `run.json`."""
        return {"run": self.source.name, "kimg": found.nimg / 1000, "changed": self.changed}

    def carry_over(self, found: Checkpoint) -> None:
        """Copy what it starts from into its folder, the state last."""
        if (self.source / BASE).is_file():
            with atomic_write(self.folder / BASE) as partial:
                shutil.copyfile(self.source / BASE, partial)
        with atomic_write(self.folder / "checkpoints" / LAST) as partial:
            torch.save(found.take(), partial)


def fork_line(facts: Mapping[str, Any]) -> Sequence[str]:
    """Where a run came from, a line for its header; none where it began by itself."""
    forked = facts.get("forked")
    if not isinstance(forked, Mapping):
        return []
    return [
        f"forked     from {forked.get('run')} at {forked.get('kimg'):g} kimg: {'; '.join(forked.get('changed', []))}"
    ]
