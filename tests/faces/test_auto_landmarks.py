"""`faces.landmarks=auto`: for each picture the file that really holds its landmarks, the detector for the others."""

import json
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from src.data.decode import BadPicture
from src.errors import UserError
from src.faces import Face, FaceSettings, FileLandmarks, find_faces, open_landmarks
from src.faces.find import landmark_key
from src.faces.landmarks import parse_landmarks
from src.faces.photos import open_photos

from .pictures import photograph

SETTINGS = FaceSettings(align_px=64)
TAKEOUT = json.dumps({"title": "IMG_1.jpg", "imageViews": "3", "photoTakenTime": {"timestamp": "1"}})


class Detector:
    """Stands in for face-alignment: knows one face, counts what it is asked."""

    opened, asked = 0, []

    def __init__(self, *, device, weights_folder):
        assert device == "cpu"
        Detector.opened += 1

    def find(self, image, name):
        Detector.asked.append(name)
        return [Face(photograph(0)[1], 0.9)]

    def identity(self, name):
        return "stand-in"


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setattr("src.faces.detectors.FaceAlignmentLandmarks", Detector)
    monkeypatch.setattr(Detector, "opened", 0)
    monkeypatch.setattr(Detector, "asked", [])
    return Detector


def save(folder, name, landmarks=None):
    picture, points = photograph(0)
    Image.fromarray(picture).save(folder / name)
    if landmarks:
        (folder / landmarks).write_text(json.dumps(points.tolist()))


def used(folder, provider="auto"):
    photos = open_photos(folder)
    found = list(find_faces(photos, open_landmarks(provider, photos), SETTINGS, 32))
    return {report.photo: report.used or report.refused for report, _, _ in found}


@pytest.mark.parametrize(
    ("file", "text"),
    [("IMG_1.png.json", TAKEOUT), ("IMG_1.txt", "a woman on a beach"), ("IMG_1.txt", "")],
    ids=["Takeout", "caption", "empty"],
)
def test_a_stray_file_does_not_switch_the_detector_off(tmp_path, detector, file, text):
    save(tmp_path, "IMG_1.png")
    save(tmp_path, "IMG_2.png")
    (tmp_path / file).write_text(text)
    assert used(tmp_path) == {"IMG_1.png": ["IMG_1"], "IMG_2.png": ["IMG_2"]}
    assert (detector.opened, detector.asked) == (1, ["IMG_1.png", "IMG_2.png"])


def test_each_picture_has_its_own_provider(tmp_path, detector):
    save(tmp_path, "a.png", "a.json")
    save(tmp_path, "b.png", "b.png.json")  # beside a file of other things under the name that comes first
    (tmp_path / "b.json").write_text(TAKEOUT)
    save(tmp_path, "c.png")
    save(tmp_path, "wall.png")
    (tmp_path / "wall.json").write_text("[]")
    photos = open_photos(tmp_path)
    provider = open_landmarks("auto", photos)
    assert used(tmp_path) == {"a.png": ["a"], "b.png": ["b"], "c.png": ["c"], "wall.png": ["no face found"]}
    assert detector.asked == ["c.png"]
    assert provider.identity("a.png") == FileLandmarks(photos).identity("a.png")
    assert provider.identity("c.png") == "stand-in"
    before = landmark_key(provider, "b.png", "0")
    (tmp_path / "b.png.json").unlink()
    after = landmark_key(open_landmarks("auto", open_photos(tmp_path)), "b.png", "0")
    assert (before, after) != (before, before) and after == "0 stand-in"


def test_no_detector_is_opened_where_all_pictures_have_landmarks(tmp_path, detector):
    save(tmp_path, "a.png", "a.json")
    (tmp_path / "broken.jpg").write_text("not a picture")
    (tmp_path / "letter.docx").write_bytes(b"PK")
    assert used(tmp_path)["a.png"] == ["a"]
    assert detector.opened == 0


def test_a_missing_detector_is_told_before_any_work(tmp_path, monkeypatch):
    save(tmp_path, "a.png", "a.json")
    save(tmp_path, "b.png")
    monkeypatch.setitem(sys.modules, "face_alignment.api", None)
    with pytest.raises(UserError, match=r"'b\.png' has no landmarks beside it.*pip install.*landmarks=files") as error:
        open_landmarks("auto", open_photos(tmp_path))
    assert "\n" not in str(error.value)
    assert used(tmp_path, "files")["a.png"] == ["a"]


def test_files_stays_strict(tmp_path):
    save(tmp_path, "IMG_1.png")
    save(tmp_path, "IMG_2.png")
    (tmp_path / "IMG_1.png.json").write_text(TAKEOUT)
    assert used(tmp_path, "files") == {
        "IMG_1.png": ["its landmarks in IMG_1.png.json cannot be read ('faces')"],
        "IMG_2.png": ["no landmarks for it (IMG_2.json, .npy or .txt)"],
    }


def test_what_is_no_list_of_landmarks_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", b"")
    huge = f"[{', '.join([f'[{10**400}, 1]'] * 68)}]".encode()
    for name, data in {
        "null.json": b"null",
        "deep.json": b"[" * 100_000,
        "huge.json": huge,
        "archive.npy": (tmp_path / "x.npz").read_bytes(),
    }.items():
        with pytest.raises(BadPicture, match="cannot be read"):
            parse_landmarks(data, name)


@pytest.mark.parametrize("content", [b"export A=1\n", b""])
def test_a_file_that_is_no_zip_of_landmarks_names_its_option(tmp_path, content):
    save(tmp_path, "a.png")
    (tmp_path / "env.sh").write_bytes(content)
    with pytest.raises(UserError, match=r"^faces\.landmarks=.*env\.sh: neither a folder nor a zip of landmark files$"):
        open_landmarks(str(tmp_path / "env.sh"), open_photos(tmp_path))


def test_a_zip_of_landmarks(tmp_path):
    save(tmp_path, "a.png", "a.json")
    with zipfile.ZipFile(tmp_path / "points.zip", "w") as file:
        file.write(tmp_path / "a.json", "a.json")
    (found,) = open_landmarks(str(tmp_path / "points.zip"), open_photos(tmp_path / "a.png")).find(np.zeros(1), "a.png")
    np.testing.assert_allclose(found.landmarks, photograph(0)[1])
