"""A weights folder of its own for each test, servers on this machine, and how the tests fetch from them."""

import pytest

from src.errors import UserError
from src.fetch import Patience, RemoteFile, WeightsFolder
from tests.fetch.fetching import NAME
from tests.fetch.server import serving


@pytest.fixture
def waits():
    return []


@pytest.fixture
def weights_folder(tmp_path, monkeypatch, waits):
    """Servers are waited for briefly, pauses are only noted."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return WeightsFolder(tmp_path / "weights", patience=Patience(timeout_sec=0.4, attempts=3, sleep=waits.append))


@pytest.fixture
def folder(weights_folder):
    return weights_folder.folder


@pytest.fixture
def fetch(weights_folder):
    return lambda *urls, **facts: weights_folder.fetch(RemoteFile(NAME, urls, "CC0", **facts))


@pytest.fixture
def refusal(fetch):
    """The message of a fetch that fails."""

    def refused(*urls, **facts):
        with pytest.raises(UserError) as error:
            fetch(*urls, **facts)
        assert "\n" not in str(error.value)
        return str(error.value)

    return refused


@pytest.fixture
def server():
    with serving() as server:
        yield server
