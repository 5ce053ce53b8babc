"""What the tests of downloads fetch."""

import hashlib

import numpy as np

DATA = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
NAME = "net.pkl"


def names(folder):
    return sorted(path.name for path in folder.iterdir())
