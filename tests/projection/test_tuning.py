"""Pivotal tuning: the network moves to the pictures, the codes and the base stay, a blend gets what was learnt."""

import copy

import pytest
import torch

from src.data import HELD_OUT_SEED, open_portraits
from src.errors import UserError
from src.networks import blend
from src.projection import ProjectionSettings, project
from src.projection.tuning import handed_on, tune
from src.weights import load_network

from ..sweep.conftest import drifted


@pytest.fixture(scope="module")
def base():
    return load_network("demo").G_ema


@pytest.fixture(scope="module")
def projected(base):
    pictures = open_portraits("people", 2, 64, first_seed=HELD_OUT_SEED).images
    return pictures, project(base, pictures, settings=ProjectionSettings(steps=20), progress=False).codes


def test_reconstructions_come_closer_and_the_base_stays(base, projected):
    pictures, codes = projected
    kept = copy.deepcopy(base.state_dict())
    tuned = tune(base, pictures, codes, steps=15, stop=0, progress=False)
    assert (tuned.after < 0.8 * tuned.before).all()
    assert tuned.steps == 15
    assert all(torch.equal(value, kept[key]) for key, value in base.state_dict().items())
    changed = tuned.G.state_dict()
    assert all(torch.equal(changed[k], kept[k]) for k in kept if k.startswith("mapping.") or "noise_const" in k)
    assert not any(p.requires_grad for p in tuned.G.parameters())
    assert tune(base, pictures, codes, steps=15, stop=100.0, progress=False).steps == 0


def test_a_blend_gets_what_was_learnt(base, projected):
    pictures, codes = projected
    tuned = tune(base, pictures, codes, steps=5, stop=0, progress=False).G
    low = drifted(base, 0.1)
    ours = handed_on(blend(low, base, 16), base, tuned).state_dict()
    theirs = blend(handed_on(low, base, tuned), tuned, 16).state_dict()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, atol=1e-5, rtol=1e-4)
    same = handed_on(base, base, tuned).state_dict()
    assert all(torch.allclose(same[k], v, atol=1e-6) for k, v in tuned.state_dict().items())


def test_what_does_not_belong_together_is_refused(base, projected):
    pictures, codes = projected
    with pytest.raises(UserError, match="tuning takes a code for each 64 px picture, not 1 for 2"):
        tune(base, pictures, codes[:1])
