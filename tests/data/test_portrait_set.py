"""The built-in portraits as a data set: drawn once, kept, never mixed with held-out ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import (
    HELD_OUT_SEED,
    DatasetSettings,
    open_configured_dataset,
    open_portraits,
    portrait_set as demo_module,
)
from src.errors import UserError
from src.files import CACHE_VARIABLE
from src.portraits import render_portraits


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "portraits"


def test_portraits_are_those_of_their_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "_CHUNK", 2)  # several chunks, the last one short
    dataset = open_portraits("people", 5, 32, first_seed=7)
    expected = torch.from_numpy(render_portraits("people", range(7, 12), 32)).permute(0, 3, 1, 2)
    assert torch.equal(dataset.images, expected)
    assert (len(dataset), dataset.resolution, dataset.name, dataset.labels) == (5, 32, "people", None)
    assert "seeds 7..11" in dataset.report.summary()


def test_drawn_once_then_loaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_portraits("cartoons", 3, 32)
    assert len(list(cache.iterdir())) == 1

    def never(*_: object, **__: object) -> np.ndarray:
        raise AssertionError("drawn again")

    monkeypatch.setattr(demo_module, "render_portraits", never)
    again = open_portraits("cartoons", 3, 32, name="other")
    assert torch.equal(first.images, again.images) and first.fingerprint == again.fingerprint
    with pytest.raises(AssertionError, match="drawn again"):
        open_portraits("cartoons", 3, 32, first_seed=1)


@pytest.mark.parametrize("damage", [lambda data: data[:500], lambda data: b"", lambda data: b"junk" * 100])
def test_a_damaged_cache_file_is_drawn_again(damage: object, cache: Path) -> None:
    first = open_portraits("people", 2, 32)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert torch.equal(open_portraits("people", 2, 32).images, first.images)
    assert file.read_bytes() == whole and len(list(cache.iterdir())) == 1


def test_training_and_held_out_seeds_stay_apart() -> None:
    held_out = open_portraits("people", 2, 32, first_seed=HELD_OUT_SEED)
    assert not torch.equal(held_out.images, open_portraits("people", 2, 32).images)
    with pytest.raises(UserError, match="held out, ask for at most 1"):
        open_portraits("people", 2, 32, first_seed=HELD_OUT_SEED - 1)


def test_errors_name_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"dataset\.num_images=0"):
        open_portraits("people", 0, 32)
    with pytest.raises(UserError, match="dogs"):
        open_portraits("dogs", 2, 32)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(UserError, match="set CARICATURE_CACHE to another folder"):
        open_portraits("people", 2, 32)


def test_backgrounds_are_kept_apart(cache: Path) -> None:
    usual, black, own = (open_portraits("cartoons", 2, 32, background=b) for b in (None, "black", "own"))
    assert torch.equal(usual.images, black.images) and not torch.equal(black.images, own.images)
    assert len(list(cache.iterdir())) == 3
    with pytest.raises(UserError, match="background 'white': expected one of own, black"):
        open_portraits("cartoons", 2, 32, background="white")


def test_configured_portraits() -> None:
    settings = DatasetSettings(name="demo", kind="portraits", domain="cartoons", num_images=2, mirror=False)
    dataset = open_configured_dataset(settings)
    assert (dataset.name, dataset.resolution, len(dataset)) == ("demo", 64, 2)
