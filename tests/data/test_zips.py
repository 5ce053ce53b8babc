"""Zips as people have them: repeated names, names of Windows, passwords, zips in zips; nothing is lost unsaid."""

import json
import pickle
import zipfile

import pytest
import torch

from src.data import open_dataset
from src.data.sources import ZipSource
from src.errors import UserError
from src.faces import FaceSettings, find_faces, open_photos

from ..prepare.trees import encoded, noise, run_prepare, write_files
from .zips import with_password, write_zip

A, B, C = (encoded(noise(i)) for i in range(3))


def test_members_of_one_name_are_pictures_of_their_own(tmp_path):
    """At 18fbb5f the last of them was there three times and the others were lost."""
    path = write_zip(tmp_path / "a.zip", [("a.png", A), ("a.png", B), ("b.png", A), ("a.png", C)])
    source = ZipSource(path)
    assert source.names() == ["a (1).png", "a (2).png", "a.png", "b.png"]
    assert [source.read(name) for name in source.names()] == [A, B, C, A]
    dataset, memory = open_dataset(path, memory_limit_mb=0), open_dataset(path)
    assert len(dataset) == 4 and torch.equal(torch.stack([image for image, _ in dataset]), memory.images)
    assert pickle.loads(pickle.dumps(source)).read("a (1).png") == A


def test_a_name_of_their_own_is_not_another_members(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("a.png", A), ("a.png", B), ("a (1).png", C)])
    source = ZipSource(path)
    assert {name: source.read(name) for name in source.names()} == {"a.png": B, "a (1).png": C, "a (2).png": A}


def test_members_of_one_name_share_its_label(tmp_path):
    rows = {"labels": [["a.png", 2], ["b.png", 0]]}
    members = [
        ("a.png", A),
        ("a.png", B),
        ("b.png", C),
        ("dataset.json", b"{}"),
        ("dataset.json", json.dumps(rows).encode()),
    ]
    assert open_dataset(write_zip(tmp_path / "a.zip", members)).labels == [2, 2, 0]


def test_prepare_and_photographs_take_them_too(tmp_path):
    path = write_zip(tmp_path / "in.zip", [("a.png", A), ("a.png", B), ("b.png", C)])
    assert len(open_dataset(run_prepare(f"source={path}", f"out={tmp_path}/o.zip", "resolution=16"))) == 3
    faces = [f.name for _, found, _ in find_faces(open_photos(path), None, FaceSettings(), 32) for f in found]
    assert faces == ["a (1)", "a", "b"]


def test_names_of_windows_are_paths(tmp_path):
    """At 18fbb5f the labels of `sub\\a.png` were not found."""
    rows = {"labels": [["sub/a.png", 1], ["sub/b.png", 0]]}
    members = {"sub\\": b"", "sub\\a.png": A, "sub\\b.png": B, "dataset.json": json.dumps(rows).encode()}
    path = write_zip(tmp_path / "a.zip", members)
    assert ZipSource(path).names() == ["dataset.json", "sub/a.png", "sub/b.png"]
    assert open_dataset(path).labels == [1, 0]
    inside = {f"set\\{name}": data for name, data in members.items()}
    assert open_dataset(write_zip(tmp_path / "b.zip", inside)).labels == [1, 0]
    hidden = write_zip(tmp_path / "c.zip", {"a.png": A, "__MACOSX\\._a.png": b"", ".x\\b.png": B})
    assert ZipSource(hidden).names() == ["a.png"]


def test_members_above_the_zip_are_read_like_others(tmp_path):
    """At 18fbb5f `../` counted as hidden: "no files in it"."""
    path = write_zip(tmp_path / "a.zip", {"../a.png": A, "../../x/b.png": B, "/c.png": C})
    assert ZipSource(path).names() == ["a.png", "c.png", "x/b.png"] and len(open_dataset(path)) == 3


def test_a_password_is_one_reason_for_all(tmp_path):
    path = with_password(write_zip(tmp_path / "a.zip", {"a.png": A, "b.png": B, "c.png": C}))
    with pytest.raises(UserError, match=r"3 skipped: protected by a password: unpack the zip first\)"):
        open_dataset(path)
    refused = [report.refused for report, _, _ in find_faces(open_photos(path), None, FaceSettings(), 32)]
    assert refused == [["protected by a password: unpack the zip first"]] * 3


@pytest.mark.parametrize("outer", [write_files, write_zip], ids=["folder", "zip"])
def test_zips_inside_say_what_they_are(tmp_path, outer):
    inner = {f"{i}.zip": write_zip(tmp_path / "inner", {"a.png": A}).read_bytes() for i in range(3)}
    path = outer(tmp_path / "outer", inner)
    with pytest.raises(UserError, match=r"3 skipped: a zip, not a picture: unpack it, or give its own path"):
        open_dataset(path)
    report = open_dataset(outer(tmp_path / "more", inner | {"a.png": A, "b.png": B})).report
    assert report.used == 2 and set(report.skipped) == set(inner)


def test_a_method_that_is_not_read_here_is_one_reason(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.png": A, "b.png": B})
    data = path.read_bytes()
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # Deflate64, as Windows packs large files
        parts = data.split(signature)
        data = signature.join([parts[0], *(p[: offset - 4] + b"\x09\0" + p[offset - 2 :] for p in parts[1:])])
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"packed by a method that is not read here: unpack the zip first\)"):
        open_dataset(path)


def test_damage_is_one_reason(tmp_path):
    """At 18fbb5f each had its own, with its name in it."""
    path = write_zip(tmp_path / "a.zip", {"a.png": A, "b.png": B, "c.png": C})
    data = path.read_bytes().replace(A[60:80], bytes(20)).replace(B[60:80], bytes(20))
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"2 skipped: cannot be read from the zip \(damaged\)\)"):
        open_dataset(path)


def test_an_empty_zip_is_called_so_everywhere(tmp_path):
    empty, nothing = tmp_path / "empty.zip", tmp_path / "nothing.zip"
    zipfile.ZipFile(empty, "w").close()
    nothing.write_bytes(b"")
    texts = write_zip(tmp_path / "texts.zip", {"a.txt": b"", "b.json": b""})
    for path, words in ((empty, "no files in it"), (nothing, "an empty file"), (texts, "no pictures in it")):
        with pytest.raises(UserError, match=words):
            open_dataset(path)
    for path, words in ((empty, "no files in it"), (nothing, "an empty file")):
        with pytest.raises(UserError, match=f"^source={path}: {words}"):
            run_prepare(f"source={path}", f"out={tmp_path}/o.zip")
