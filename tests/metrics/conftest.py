"""Random-weight files in place of the published ones, pinned by their own sha256."""

import dataclasses

import pytest
import torch

from experiments.fid.random_weights import random_state
from src.files import file_sha256
from src.metrics import published
from src.metrics.extractors import get_extractor
from src.metrics.lpips import load_lpips


@pytest.fixture(autouse=True)
def forget_networks():
    """Networks loaded from a test's files are not handed to the next test."""
    yield
    get_extractor.cache_clear()
    load_lpips.cache_clear()


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """An empty folder of weight files, where they are looked for."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory):
    """A state dict with random weights under the published names."""
    path = tmp_path_factory.mktemp("inception") / "weights" / published.INCEPTION.name
    path.parent.mkdir()
    torch.save(random_state(), path)
    return path


@pytest.fixture
def inception(inception_file, monkeypatch):
    """`inception` takes the random weights for the published ones; gives their file."""
    pinned = dataclasses.replace(published.INCEPTION, size=None, sha256=file_sha256(inception_file))
    monkeypatch.chdir(inception_file.parents[1])
    monkeypatch.setattr(published, "INCEPTION", pinned)
    return inception_file


@pytest.fixture
def pin(monkeypatch):
    """Write a file and pin one of the constants of `published` to it: pin("VGG16", folder, state)."""

    def write(constant, folder, state):
        file = getattr(published, constant)
        torch.save(state, folder / file.name)
        sha256 = file_sha256(folder / file.name)
        monkeypatch.setattr(published, constant, dataclasses.replace(file, size=None, sha256=sha256))
        return folder / file.name

    return write
