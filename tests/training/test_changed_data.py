"""Data that changed under a run: the message names the pictures."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from src.data import open_dataset
from src.errors import UserError
from tests.training.conftest import run


def picture(path, seed):
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, [16, 16, 3], dtype=np.uint8)).save(path)


@pytest.fixture
def own(options, picture_folder, tmp_path):
    """Options of a run whose pictures may be changed, and their folder."""
    folder = shutil.copytree(picture_folder, tmp_path / "pictures")
    return [*(o for o in options if not o.startswith("dataset.path")), f"dataset.path={folder}", "run=mine"], folder


def refused(options):
    with pytest.raises(UserError) as error:
        run(options, "snapshot.kimg=[0.04]")
    assert "\n" not in str(error.value) and "fingerprint" not in str(error.value)
    return str(error.value)


def test_pictures_that_are_changed_gone_and_new_are_named(own):
    """At 18fbb5f: dataset.fingerprint was '79b…', now '1c0…'."""
    options, folder = own
    made = run(options, "snapshot.kimg=[0.02]")
    assert set(json.loads((made / "pictures.json").read_text())) == {f"{i}.png" for i in range(24)}
    picture(folder / "3.png", 3)
    for i in range(4, 9):
        (folder / f"{i}.png").unlink()
    picture(folder / "new.png", 9)
    message = refused(options)
    words = "of the data set's 24 pictures 1 changed (3.png), 5 gone (4.png, 5.png, 6.png, …), 1 new (new.png)"
    assert f"{words}: put them back; give another run=NAME" in message


def test_labels_alone_and_runs_of_before(own):
    options, folder = own
    (folder / "dataset.json").write_text(json.dumps({"labels": [[f"{i}.png", 0] for i in range(24)]}))
    made = run(options, "snapshot.kimg=[0.02]")
    (folder / "dataset.json").write_text(json.dumps({"labels": [[f"{i}.png", i % 2] for i in range(24)]}))
    assert "the data set's labels, or how its pictures are read, have changed" in refused(options)
    (made / "pictures.json").unlink()
    assert "pictures or labels have changed (which ones was not recorded)" in refused(options)


@pytest.mark.parametrize("kind", ["other", "cut", "gone"])
def test_a_picture_that_changes_while_a_run_reads_it_is_named(tmp_path, kind):
    """At 18fbb5f a set that does not fit into memory went on with the other picture."""
    for i in range(3):
        picture(tmp_path / f"{i}.png", i)
    dataset = open_dataset(tmp_path, memory_limit_mb=0)
    whole = (tmp_path / "1.png").read_bytes()
    if kind == "other":
        picture(tmp_path / "1.png", 7)
    elif kind == "cut":
        (tmp_path / "1.png").write_bytes(whole[:-40])
    else:
        (tmp_path / "1.png").unlink()
    assert dataset[0][0].shape == (3, 16, 16)
    with pytest.raises(UserError, match=r"^1\.png: "):
        dataset[1]
    (tmp_path / "1.png").write_bytes(whole)
    assert dataset[1][0].shape == (3, 16, 16)
