"""What the tests of downloads fetch, and how."""

import hashlib

import numpy as np
import pytest

from src.errors import UserError
from src.fetch import RemoteFile, fetch_file

DATA = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
NAME = "net.pkl"


def fetch(*urls, **facts):
    return fetch_file(RemoteFile(NAME, urls, "CC0", **facts), progress=False)


def refusal(*urls, **facts):
    with pytest.raises(UserError) as error:
        fetch(*urls, **facts)
    assert "\n" not in str(error.value)
    return str(error.value)


def names(folder):
    return sorted(path.name for path in folder.iterdir())
