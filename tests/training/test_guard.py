"""The guard against divergence on a device that is not waited for."""

from types import SimpleNamespace

import pytest
import torch

from src.errors import UserError
from src.training.callbacks import LOOK_BACK, FiniteGuard, KimgCallback


class Writer(KimgCallback):
    def __init__(self, at):
        self.at = at

    def due(self, module):
        return module.nimg == self.at


def iterations(guard, nimgs, bad, device="cuda"):
    for nimg in nimgs:
        step = SimpleNamespace(pl_mean=SimpleNamespace(device=SimpleNamespace(type=device)))
        loss = torch.tensor(float("nan") if nimg == bad else 1.0)
        guard.after(None, SimpleNamespace(nimg=nimg, step=step), {"loss/G": torch.tensor(1.0), "loss/D": loss})
        yield nimg


def looked_after(guard, bad, device="cuda"):
    """How many iterations went by before a bad loss was noticed."""
    passed = []
    with pytest.raises(UserError, match=rf"diverged at {bad / 1000:.2f} kimg: loss/D is not a number"):
        passed.extend(iterations(guard, range(1000, 10**6, 1000), bad, device))
    return len(passed) + 1


def test_a_processor_is_looked_at_every_time(tmp_path):
    assert looked_after(FiniteGuard(tmp_path), 3000, "cpu") == 3


def test_a_device_is_looked_at_now_and_then(tmp_path):
    assert looked_after(FiniteGuard(tmp_path), 3000) == LOOK_BACK
    assert looked_after(FiniteGuard(tmp_path), 1000 * (LOOK_BACK + 1)) == 2 * LOOK_BACK


def test_nothing_is_written_unseen(tmp_path):
    assert looked_after(FiniteGuard(tmp_path, [Writer(1000), Writer(5000)]), 4000) == 5
