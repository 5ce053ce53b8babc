"""A weights folder of its own for each test, servers on this machine, and what the tests fetch from them."""

import pytest

from src.fetch import configure
from src.fetch.remote import Patience
from tests.fetch.server import serving


@pytest.fixture
def waits():
    return []


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, waits):
    """The configured weights folder; servers are waited for briefly, pauses are only noted."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "weights"
    configure(folder=folder, patience=Patience(timeout_sec=0.4, attempts=3, sleep=waits.append))
    yield folder
    configure()


@pytest.fixture
def server():
    with serving() as server:
        yield server
