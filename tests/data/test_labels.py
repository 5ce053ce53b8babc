"""Labels follow their pictures wherever `dataset.json` lies; what is no class is a note, never a wrong class."""

import json

import numpy as np
import pytest

from src.cli import compose_config
from src.data import open_dataset
from src.errors import UserError
from src.options import read
from src.training.settings import TrainSettings
from src.training.setup import build_dataset, build_networks

from ..prepare.trees import encoded, left_out, noise, run_prepare, write_files
from .zips import write_zip

PICTURES = {f"0000{i}/img{i}.png": encoded(noise(i)) for i in range(4)}
NAMES = list(PICTURES)


def labels(rows):
    return json.dumps({"labels": rows}).encode()


def open_with(folder, rows, pictures=PICTURES):
    return open_dataset(write_files(folder, pictures | {"dataset.json": labels(rows)}))


@pytest.mark.parametrize("write", [write_files, write_zip], ids=["folder", "zip"])
def test_a_set_that_was_packed_with_its_folder_keeps_its_labels(tmp_path, write):
    """At 18fbb5f the labels of a folder that was zipped whole were passed over without a word."""
    below = {f"set/{name}": data for name, data in PICTURES.items()}
    table = labels([[name, 3 - i] for i, name in enumerate(NAMES)])
    assert open_dataset(write(tmp_path / "a.zip", below | {"set/dataset.json": table})).labels == [3, 2, 1, 0]


def test_each_folder_may_have_labels_of_its_own_and_the_uppermost_count(tmp_path):
    pictures = {f"{part}/{i}.png": encoded(noise(i)) for part in ("train", "val") for i in range(2)}
    tables = {
        f"{part}/dataset.json": labels([["0.png", k], ["1.png", k + 1]]) for k, part in enumerate(("train", "val"))
    }
    deeper = {"val/raw/dataset.json": b"something else"}
    dataset = open_dataset(write_files(tmp_path / "two", pictures | tables | deeper))
    assert dataset.labels == [0, 1, 1, 2] and dataset.report.labels_problem is None
    above = {"dataset.json": labels([[name, 5] for name in pictures])}
    assert open_dataset(write_files(tmp_path / "above", pictures | tables | above)).labels == [5] * 4


@pytest.mark.parametrize("form", ["./{}", "{}", "a/../{}", "./././{}"])
def test_names_are_compared_as_paths(tmp_path, form):
    rows = [[form.format(name), i] for i, name in enumerate(NAMES)]
    rows[1][0] = rows[1][0].replace("/", "\\")
    assert open_with(tmp_path, rows).labels == [0, 1, 2, 3]


def test_names_in_another_form_of_unicode_match(tmp_path):
    """macOS writes an umlaut as two characters, other systems as one."""
    pictures = {"u\u0308.png": encoded(noise(0)), "b.png": encoded(noise(1))}
    assert open_with(tmp_path, [["\u00fc.png", 1], ["b.png", 0]], pictures).labels == [0, 1]


@pytest.mark.parametrize("number", [1, 1.0, "1"])
def test_whole_numbers_are_classes_however_they_are_written(tmp_path, number):
    assert open_with(tmp_path, [[name, number] for name in NAMES]).labels == [1] * 4


BAD = {
    "half": ([[name, 0.5] for name in NAMES], "gives 00000/img0.png the label 0.5: only whole numbers"),
    "more than one": ([[name, 1.7] for name in NAMES], "the label 1.7"),
    "vectors": ([[name, [0.1, 0.2]] for name in NAMES], "the label [0.1, 0.2]"),
    "texts": ([[name, "cat"] for name in NAMES], "the label cat"),
    "truths": ([[name, True] for name in NAMES], "the label True"),
    "negative": ([[name, -1] for name in NAMES], "the class -1; classes count from 0"),
    "huge": ([[name, 10**30] for name in NAMES], "classes count from 0 to at most 9999"),
    "twice": ([[name, 0] for name in NAMES] + [[f"./{NAMES[2]}", 1]], "two classes, 0 and 1"),
    "partial": ([[name, 0] for name in NAMES[:2]], "no label for 00002/img2.png and 1 more"),
    "no rows": (7, "dataset.json is not"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_class_is_a_note_and_never_a_wrong_class(tmp_path, case):
    """At 18fbb5f 0.5 was class 0, 1.7 class 1, of two classes the last one, and the others stopped everything."""
    rows, words = BAD[case]
    dataset = open_with(tmp_path, rows)
    assert len(dataset) == 4 and dataset.labels is None and dataset[0][1] is None
    assert words in dataset.report.labels_problem and "\n" not in dataset.report.labels_problem
    assert f"labels not used: {dataset.report.labels_problem}" in dataset.report.summary()


def test_a_name_that_is_there_twice_with_one_class_is_fine(tmp_path):
    rows = [[name, 2] for name in NAMES]
    assert open_with(tmp_path, rows + rows).labels == [2] * 4


def test_damaged_labels_are_a_note_too(tmp_path):
    for i, text in enumerate((b"{", b"[]", b"\xff\xfe", b"[" * 100_000)):
        dataset = open_dataset(write_files(tmp_path / str(i), PICTURES | {"dataset.json": text}))
        assert dataset.labels is None and "dataset.json is not" in dataset.report.labels_problem


def test_training_without_classes_goes_on_and_with_classes_says_why_not(tmp_path):
    source = write_files(tmp_path / "in", PICTURES | {"dataset.json": labels(BAD["vectors"][0])})
    options = ["dataset=folder", f"dataset.path={source}", "dataset.resolution=16", "model=tiny", "pretrained=none"]
    settings, conditional = (
        read(TrainSettings, compose_config("train", [*options, *more])) for more in ([], ["model.conditional=true"])
    )
    dataset = build_dataset(settings, None)
    assert build_networks(settings, dataset, None).G.c_dim == 0
    with pytest.raises(UserError, match=r"has no labels \(dataset.json gives .* the label \[0\.1, 0\.2\]"):
        build_networks(conditional, dataset, None)


def test_prepare_makes_the_set_without_them_and_says_so(tmp_path, capsys):
    source = write_files(tmp_path / "in", PICTURES | {"dataset.json": labels(BAD["vectors"][0])})
    dataset = open_dataset(run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=16"))
    assert len(dataset) == 4 and dataset.labels is None and dataset.report.labels_problem is None
    assert "labels not used, the set will have none: dataset.json gives" in capsys.readouterr().out


def test_prepare_keeps_the_labels_of_a_folder_below(tmp_path):
    files = {f"set/{name}": data for name, data in PICTURES.items()}
    files["set/dataset.json"] = labels([[name, i] for i, name in enumerate(NAMES[:3])])
    out = run_prepare(f"source={write_files(tmp_path / 'in', files)}", f"out={tmp_path}/o.zip", "resolution=16")
    assert open_dataset(out).labels == [0, 1, 2] and left_out(out) == {f"set/{NAMES[3]}": "no label in dataset.json"}
    assert np.array_equal(open_dataset(out).images, open_dataset(tmp_path / "in", resolution=16).images[:3])
