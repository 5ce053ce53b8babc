"""Photographs to faces: landmark files, which faces are taken, which are refused and why."""

import json
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from src.data.decode import BadPicture
from src.errors import UserError
from src.faces import Face, FaceSettings, FileLandmarks, find_faces, open_landmarks
from src.faces.landmarks import parse_landmarks
from src.faces.photos import open_photos, picture_names
from src.faces.quality import sharpness, yaw_degrees

from .pictures import Known, photograph

SETTINGS = FaceSettings(align_px=64)


def save(folder, name, picture, faces=None):
    Image.fromarray(picture).save(folder / name)
    if faces is not None:
        (folder / name).with_suffix(".json").write_text(json.dumps([np.asarray(f).tolist() for f in faces]))


@pytest.fixture
def folder(tmp_path):
    """Two faces, one face, none, and a text that calls itself a picture."""
    left, a = photograph(0, size=(320, 160))
    right, b = photograph(1, size=(320, 160), shift=(220, 60), scale=0.8)
    both = np.concatenate([left[:, :190], right[:, 190:]], axis=1)
    save(tmp_path, "two.png", both, [b, a])
    one, c = photograph(2)
    save(tmp_path, "one.png", one, [c])
    save(tmp_path, "wall.png", one[:40], [])
    save(tmp_path, "other.png", one[:40])
    (tmp_path / "broken.jpg").write_text("not a picture")
    return tmp_path


def look(folder, settings=SETTINGS, provider="files"):
    photos = open_photos(folder)
    chosen = open_landmarks(provider, photos) if isinstance(provider, str) else provider
    found = list(find_faces(photos, chosen, settings, 32))
    return {report.photo: report for report, _, _ in found}, [face for _, faces, _ in found for face in faces]


def test_each_photograph_is_reported(folder):
    reports, faces = look(folder)
    assert [face.name for face in faces] == ["one", "two"]
    assert all(face.image.shape == (32, 32, 3) for face in faces)
    assert reports["broken.jpg"].refused == ["not a picture that can be read"]
    assert reports["wall.png"].refused == ["no face found"]
    assert reports["other.png"].refused == ["no landmarks for it (other.json, .npy or .txt)"]
    assert reports["two.png"].found == 2
    assert "largest" in reports["two.png"].refused[0]
    assert "1 of 2 faces used" in reports["two.png"].line()


def test_all_faces_largest_first(folder):
    _, faces = look(folder, FaceSettings(align_px=64, which="all"))
    sizes = [face.quality.size_px for face in faces if face.photo == "two.png"]
    assert [face.name for face in faces] == ["one", "two", "two-2"]
    assert sizes[0] > sizes[1]


def test_a_zip_and_a_single_file_are_photographs_too(folder):
    with zipfile.ZipFile(folder / "all.zip", "w") as file:
        for path in sorted(folder.glob("*.png")) + sorted(folder.glob("*.json")):
            file.write(path, path.name)
    _, faces = look(folder / "all.zip")
    assert [face.name for face in faces] == ["one", "two"]
    reports, faces = look(folder / "two.png")
    assert list(reports) == ["two.png"]
    assert [face.name for face in faces] == ["two"]


def test_pictures_of_one_stem_keep_apart(tmp_path):
    picture, points = photograph(0)
    for name in ("a.png", "a.jpg"):
        save(tmp_path, name, picture, [points])
    (tmp_path / "sub").mkdir()
    save(tmp_path / "sub", "a.png", picture, [points])
    _, faces = look(tmp_path)
    assert sorted(face.name for face in faces) == ["a", "a-png", "sub-a"]


def test_small_blurred_turned_and_outside_faces_are_refused(tmp_path):
    picture, points = photograph(0)
    save(tmp_path, "good.png", picture, [points])
    save(tmp_path, "blurred.png", gaussian_filter(picture, [5, 5, 0]), [points])
    save(tmp_path, "outside.png", np.ascontiguousarray(picture[:, 102:]), [points - [102, 0]])
    turned = points.copy()
    turned[:17, 0] = turned[:17, 0].mean() + np.linspace(-40, -2, 17) + 40
    turned[30, 0] = turned[16, 0] + 10
    save(tmp_path, "turned.png", picture, [turned])
    settings = FaceSettings(align_px=64, min_px=20)
    reports, faces = look(tmp_path, settings)
    assert [face.name for face in faces] == ["good"]
    for name in ("blurred", "outside", "turned"):
        assert name in reports[f"{name}.png"].refused[0], reports[f"{name}.png"]
    reports, _ = look(tmp_path, FaceSettings(align_px=64, min_px=500))
    assert "too small (96 px, faces.min_px=500)" in reports["good.png"].refused[0]
    _, faces = look(tmp_path, FaceSettings(align_px=64, min_px=0, max_yaw=None, min_sharpness=None, max_outside=None))
    assert len(faces) == 4


def test_the_estimate_of_yaw_follows_the_portraits():
    from src.portraits import render_portrait

    portraits = [render_portrait("people", seed, 64) for seed in range(30)]
    true = np.array([np.rad2deg(0.27 * p.params.yaw) for p in portraits])
    estimated = np.array([yaw_degrees(p.landmarks) for p in portraits])
    assert np.abs(estimated - true).max() < 4
    assert np.corrcoef(true, estimated)[0, 1] > 0.97


def test_sharpness_falls_with_blur():
    picture, _ = photograph(0, size=(96, 96), shift=(0, 0))
    values = [sharpness(gaussian_filter(picture, [s, s, 0])) for s in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[-1]


def test_aligned_pictures_are_taken_as_they_are(tmp_path):
    picture, _ = photograph(0, size=(96, 96), shift=(0, 0))
    save(tmp_path, "face.png", picture)
    save(tmp_path, "wide.png", photograph(1)[0])
    save(tmp_path, "tiny.png", picture[:16, :16])
    photos = open_photos(tmp_path)
    found = list(find_faces(photos, None, SETTINGS, 32))
    reports = {report.photo: report for report, _, _ in found}
    assert [f.name for _, faces, _ in found for f in faces] == ["face"]
    assert (
        "200x160 is no aligned face: faces.aligned=true expects squares of at least 32 px"
        in reports["wide.png"].refused[0]
    )
    assert "16x16" in reports["tiny.png"].refused[0]


def test_forms_of_landmark_files(tmp_path):
    points = np.random.default_rng(0).uniform(0, 99, [2, 68, 2])
    np.save(tmp_path / "a.npy", points[0])
    faces = {
        "a.npy": (tmp_path / "a.npy").read_bytes(),
        "a.json": json.dumps(points[0].tolist()).encode(),
        "b.json": json.dumps({"faces": [{"landmarks": points[0].tolist(), "score": 0.5}]}).encode(),
        "a.txt": "\n".join(f"{x:.9f} {y:.9f}" for x, y in points[0]).encode(),
        "c.txt": "\n".join(f"{x:.9f},{y:.9f}" for x, y in points.reshape(-1, 2)).encode(),
    }
    for name, data in faces.items():
        found = parse_landmarks(data, name)
        assert len(found) == (2 if name == "c.txt" else 1)
        np.testing.assert_allclose(found[0].landmarks, points[0], atol=1e-6)
    assert parse_landmarks(faces["b.json"], "b.json")[0].score == 0.5
    assert parse_landmarks(b'{"faces": []}', "none.json") == []
    for data in (b"", b"[[1, 2]]", b'{"boxes": 1}', b"[[1, null]]", b"\xff\xfe"):
        with pytest.raises(BadPicture, match=r"its landmarks in x\.json cannot be read"):
            parse_landmarks(data, "x.json")


def test_a_damaged_landmark_file_concerns_its_photograph_alone(folder):
    (folder / "one.json").write_text("{")
    reports, faces = look(folder)
    assert [face.name for face in faces] == ["two"]
    assert "its landmarks in one.json cannot be read" in reports["one.png"].refused[0]


def test_landmarks_from_another_folder(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("landmarks")
    for path in folder.glob("*.json"):
        path.rename(other / path.name)
    photos = open_photos(folder)
    assert isinstance(open_landmarks(str(other), photos), FileLandmarks)
    _, faces = look(folder, provider=str(other))
    assert [face.name for face in faces] == ["one", "two"]
    with pytest.raises(UserError, match=r"faces\.landmarks=nowhere"):
        open_landmarks("nowhere", photos)
    with pytest.raises(UserError, match="no photograph has a file of landmarks"):
        open_landmarks("files", photos)


def test_known_landmarks_are_not_looked_for_again(folder):
    class Counting(FileLandmarks):
        calls = 0

        def find(self, image, name):
            Counting.calls += 1
            return super().find(image, name)

    photos = open_photos(folder)
    provider, known = Counting(photos), {}
    for _, _, found in find_faces(photos, provider, SETTINGS, 32):
        known.update(found)
    before = Counting.calls
    again = [face.name for _, faces, _ in find_faces(photos, provider, SETTINGS, 32, known=known) for face in faces]
    assert again == ["one", "two"]
    assert Counting.calls == before + 1  # the photograph that has no landmarks


def test_any_object_of_the_form_is_a_detector(folder):
    class Middle:
        def find(self, image, name):
            return [Face(photograph(2)[1])] if image.shape[:2] == (160, 200) else []

        def identity(self, name):
            return "middle"

    _, faces = look(folder, provider=Middle())
    assert [face.name for face in faces] == ["one"]
    _, faces = look(folder, provider=Known({"two.png": photograph(0)[1]}))
    assert [face.name for face in faces] == ["two"]


def test_without_the_detector_one_line_says_what_to_do(folder, monkeypatch):
    for path in folder.glob("*.json"):
        path.unlink()
    monkeypatch.setitem(sys.modules, "face_alignment.api", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[faces\]'") as error:
        open_landmarks("auto", open_photos(folder))
    assert "faces.landmarks=FOLDER" in str(error.value)
    assert "\n" not in str(error.value)


def test_no_photographs_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="photos="):
            open_photos(path)
    (tmp_path / "a.png").write_bytes(b"x")
    assert picture_names(open_photos(tmp_path)) == ["a.png"]


def test_names_in_a_zip_stay_names(tmp_path):
    picture, points = photograph(0)
    save(tmp_path, "a.png", picture, [points])
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as file:
        for name in ("../../up.png", "/root.png"):
            file.write(tmp_path / "a.png", name)
            file.write(tmp_path / "a.json", name.replace(".png", ".json"))
    _, faces = look(tmp_path / "odd.zip")
    assert all("/" not in face.name and not face.name.startswith(".") for face in faces)
