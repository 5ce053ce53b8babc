"""Names of faces: short enough for every file system, UTF-8, unique, the same in every run."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from src.data import save_png
from src.faces import Face, FaceSettings, find_faces
from src.faces.photos import open_photos
from src.projection import Codes, save_codes

from .pictures import Known, photograph

SETTINGS = FaceSettings(align_px=64, which="all")
LONG = "a" * 235 + ".png"
JAPANESE = "写真" * 40 + ".png"
NESTED = "/".join(["holiday in the mountains " * 4] * 3 + ["one.png"])
LATIN = os.fsdecode(b"M\xfcller.png")
LATIN_TOO = os.fsdecode(b"M\xf6ller.png")


def names(folder, faces=1, only=None):
    photos = open_photos(folder)
    points = photograph(0)[1]

    class Same:
        def find(self, image, name):
            return [Face(points)] * (faces if only in (None, name) else 1)

        def identity(self, name):
            return "same"

    found = list(find_faces(photos, Same(), SETTINGS, 32))
    for report, _, _ in found:
        report.line().encode()
    return {report.photo: report.used for report, _, _ in found}


def put(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "wb") as file:
        Image.fromarray(photograph(0)[0]).save(file, "PNG")


@pytest.mark.parametrize("name", [LONG, JAPANESE, NESTED, LATIN], ids=["long", "Japanese", "nested", "Latin-1"])
def test_awkward_names_can_be_written(tmp_path, name):
    photos, out = tmp_path / "photos", tmp_path / "out"
    put(photos, name)
    ((first, second),) = names(photos, faces=2).values()
    assert first != second and len(first.encode()) <= 129
    for face in (first, second):
        save_png(out / f"{face}.png", np.zeros([8, 8, 3], np.uint8))
        save_codes(out, Codes(face, torch.zeros([2, 4])))
        json.dumps(face, ensure_ascii=False).encode()
    assert len(list(out.iterdir())) == 6


def test_awkward_names_are_unique_and_stable(tmp_path):
    alike = "a" * 234 + "b.png"  # the same as LONG in what is kept of it
    for name in (LONG, alike, LATIN, LATIN_TOO, "plain.png"):
        put(tmp_path, name)
    all_names = names(tmp_path)
    assert len({face for faces in all_names.values() for face in faces}) == 5
    assert all_names["plain.png"] == ["plain"]
    assert all_names[LATIN][0].startswith("M_ller-")
    for name in (LONG, LATIN_TOO):
        (tmp_path / name).unlink()
    fewer = names(tmp_path)
    assert fewer == {name: all_names[name] for name in (alike, LATIN, "plain.png")}


def test_faces_of_one_photograph_keep_apart_from_anothers_names(tmp_path):
    for name in ("a.jpg", "a-png.jpg", "a.png"):
        put(tmp_path, name)
    found = [face for faces in names(tmp_path, faces=2, only="a.png").values() for face in faces]
    assert len(set(found)) == len(found) == 4


def test_ordinary_names_stay(tmp_path):
    put(tmp_path, "Zoë 写真.png")
    points = Known({"Zoë 写真.png": photograph(0)[1]})
    ((_, (face,), _),) = find_faces(open_photos(tmp_path), points, SETTINGS, 32)
    assert face.name == "Zoë 写真"
