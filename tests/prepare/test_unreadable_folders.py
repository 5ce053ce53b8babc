"""Subfolders that cannot be listed are named in every report with the reason; nothing else is lost."""

import os

import pytest

from src.data import open_dataset
from src.data.sources import FolderSource
from src.errors import UserError
from src.faces.photos import open_photos, picture_names

from .trees import encoded, ferg_tree, left_out, noise, run_prepare, write_files

REASON = "a folder that cannot be read (Permission denied)"


@pytest.fixture
def lock(monkeypatch):
    """Make folders unreadable for this process, also for root: `lock(path)`."""
    locked = set()
    for function in ("scandir", "listdir"):
        real = getattr(os, function)

        def refusing(path=".", real=real):
            if not isinstance(path, int) and os.path.realpath(path) in locked:
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return real(path)

        monkeypatch.setattr(os, function, refusing)
    return lambda path: locked.add(os.path.realpath(path))


def test_prepare_names_the_folder(tmp_path, lock):
    files = {f"{i}.png": encoded(noise(i)) for i in range(3)} | {"sub/deep.txt/x.png": encoded(noise(9))}
    source = write_files(tmp_path / "in", files)
    lock(source / "sub" / "deep.txt")
    assert FolderSource(source).names() == ["0.png", "1.png", "2.png", "sub/deep.txt/"]
    out = run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=16")
    assert left_out(out) == {"sub/deep.txt/": REASON} and len(open_dataset(out)) == 3


def test_a_labelled_set_gives_the_same_reason(tmp_path, lock):
    files = {f"{i}.png": encoded(noise(i)) for i in range(3)} | {"sub/x.png": encoded(noise(9))}
    files["dataset.json"] = b'{"labels": [["0.png", 0], ["1.png", 1]]}'
    source = write_files(tmp_path / "in", files)
    lock(source / "sub")
    out = run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=16")
    assert left_out(out) == {"2.png": "no label in dataset.json", "sub/": REASON}


def test_ferg_names_the_folder(tmp_path, lock):
    source = ferg_tree(tmp_path / "in", 2)
    lock(source / "aia" / "aia_joy")
    out = run_prepare("dataset=ferg", f"source={source}", f"out={tmp_path}/o.zip", "resolution=16", "count=42")
    assert left_out(out)["aia/aia_joy/"] == "a folder that cannot be read"


def test_training_and_photographs_name_it_too(tmp_path, lock):
    source = write_files(tmp_path / "in", {f"{n}.png": encoded(noise(i)) for i, n in enumerate(("a", "b", "sub/c"))})
    lock(source / "sub")
    assert open_dataset(source, resolution=16).report.skipped == {"sub/": REASON}
    with pytest.raises(UserError, match=r"sub/: a folder that cannot be read"):
        open_dataset(source, resolution=16, on_bad="error")
    assert "sub/" in picture_names(open_photos(source))


def test_the_source_itself(tmp_path, lock):
    source = write_files(tmp_path / "in", {"a.png": encoded(noise(1))})
    lock(source)
    with pytest.raises(UserError, match=r"^source=.*in: cannot be read \(Permission denied\)"):
        run_prepare(f"source={source}", f"out={tmp_path}/o.zip")
