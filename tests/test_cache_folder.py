"""One rule for what can be made again: the user's cache folder, or the one that `CARICATURE_CACHE` names."""

import sys
from pathlib import Path

import pytest

from src.files import CACHE_VARIABLE, cache_folder


@pytest.mark.skipif(sys.platform == "win32", reason="its cache folder is named by the system")
@pytest.mark.parametrize("name", ["ops", "features", "portraits"])
def test_the_users_cache_or_the_named_one(name, monkeypatch, tmp_path):
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(name) == tmp_path / "caricature" / name
    monkeypatch.setenv(CACHE_VARIABLE, "~/mine")
    assert cache_folder(name) == Path.home() / "mine" / name
