"""FID and KID beside torch-fidelity's own, where its files can be found (installed, or TORCH_FIDELITY=FOLDER)."""

import pytest

from experiments.fid.peer import Peer, find_peer
from experiments.fid.random_weights import random_pictures
from src.metrics import Evaluator

ROOT = find_peer()
COUNT = 10


@pytest.mark.skipif(ROOT is None, reason="torch-fidelity is not installed, and TORCH_FIDELITY does not name its folder")
def test_fid_and_kid_are_torch_fidelitys(inception):
    peer = Peer(ROOT, inception)
    fakes, reals = (random_pictures(COUNT, 64, seed=seed, grain=grain) for seed, grain in ((1, 6), (2, 4)))
    row = Evaluator("inception", [(real, None) for real in reals], seed=0).evaluate([fakes], psi=1).row
    theirs = peer.features(fakes).double(), peer.features(reals).double()
    assert row["fid"] == pytest.approx(peer.fid(*theirs), rel=1e-4)
    assert row["kid"] == pytest.approx(peer.kid(*theirs), rel=1e-4)
