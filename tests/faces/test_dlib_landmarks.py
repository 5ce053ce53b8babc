"""Faces by dlib itself: its own detector, and a shape predictor trained here on drawn persons."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from src.errors import UserError
from src.faces import FaceSettings, dlib_landmarks, find_faces, open_landmarks
from src.faces.dlib_landmarks import TREES, DlibLandmarks
from src.faces.photos import open_photos
from src.fetch import WeightsFolder

from .pictures import in_crop, photograph

dlib = pytest.importorskip("dlib")


def train(path, persons=80, points=68):
    """A shape predictor of drawn persons, turned by up to 12 degrees, at `path`."""
    detector, pictures, shapes = dlib.get_frontal_face_detector(), [], []
    for seed in range(100, 100 + persons):
        picture, landmarks = photograph(seed, degrees=seed % 25 - 12)
        for box in detector(picture, 1)[:1]:
            marks = [dlib.point(*map(round, point.tolist())) for point in landmarks[:points]]
            pictures.append(picture)
            shapes.append([dlib.full_object_detection(box, marks)])
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.tree_depth, options.num_trees_per_cascade_level = 8, 3, 100
    options.oversampling_amount, options.nu, options.num_threads = 5, 0.1, 1
    dlib.train_shape_predictor(pictures, shapes, options).save(str(path))


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    path = tmp_path_factory.mktemp("trees") / TREES.name
    train(path)
    return path


@pytest.fixture
def ours(trees, monkeypatch):
    """The trained predictor in the weights folder, where the published one would be."""
    monkeypatch.setattr(dlib_landmarks, "TREES", replace(TREES, urls=(), size=None, sha256=None))
    return DlibLandmarks(weights_folder=WeightsFolder(trees.parent))


def error_px(found, landmarks):
    return float(np.linalg.norm(found.landmarks - landmarks, axis=1).mean())


def test_two_faces_of_a_photograph_are_found_where_they_are(ours):
    left, right = photograph(3, degrees=8), photograph(5, degrees=-5)
    both = np.concatenate([left[0], right[0]], axis=1)
    found = sorted(ours.find(both, "both.png"), key=lambda face: face.landmarks[0, 0])
    assert len(found) == 2
    assert error_px(found[0], left[1]) < 2.5
    assert error_px(found[1], right[1] + [left[0].shape[1], 0]) < 2.5
    assert all(face.score > 0 for face in found)
    assert ours.find(np.full([120, 160, 3], 127, np.uint8), "wall.png") == []


def test_a_reduced_search_gives_the_landmarks_of_the_whole_photograph(ours, monkeypatch):
    picture, landmarks = photograph(3, size=(800, 640), scale=2.0, shift=(300, 200), portrait_px=192)
    whole = ours.find(picture, "a")
    monkeypatch.setattr(dlib_landmarks, "MAX_SIDE_PX", 300)
    reduced = ours.find(picture, "a")
    assert len(whole) == len(reduced) == 1
    assert error_px(whole[0], landmarks) < 8  # of a face 384 px wide
    assert error_px(reduced[0], landmarks) < 8
    assert not np.array_equal(whole[0].landmarks, reduced[0].landmarks)


def test_photographs_become_aligned_faces(ours, trees, tmp_path):
    for seed in (3, 5):
        Image.fromarray(photograph(seed, degrees=10)[0]).save(tmp_path / f"{seed}.png")
    Image.new("RGB", (90, 90)).save(tmp_path / "dark.png")
    photos = open_photos(tmp_path)
    settings = FaceSettings(align_px=128)
    landmarks = open_landmarks("dlib", photos, weights_folder=WeightsFolder(trees.parent))
    found = list(find_faces(photos, landmarks, settings, 64))
    assert [face.name for _, faces, _ in found for face in faces] == ["3", "5"]
    assert {report.photo: report.refused for report, _, _ in found}["dark.png"] == ["no face found"]
    for seed, (_, faces, _) in zip((3, 5), found, strict=False):
        frame = faces[0].frame
        true = photograph(seed, degrees=10)[1]
        eyes = in_crop(frame, np.stack([true[36:42].mean(axis=0), true[42:48].mean(axis=0)]), 64)
        assert abs(eyes[0, 1] - eyes[1, 1]) < 2  # level


def test_landmarks_are_cached_under_the_weights_and_the_search(ours):
    assert TREES.name in ours.identity("a.png")


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UserError, match="pip install dlib-bin") as error:
        DlibLandmarks()
    assert "\n" not in str(error.value)


def test_without_weights_one_line_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(dlib_landmarks, "TREES", replace(TREES, urls=()))
    with pytest.raises(UserError, match=rf"{TREES.name} could not be fetched.*Put the file"):
        DlibLandmarks(weights_folder=WeightsFolder(tmp_path))


def test_other_files_of_that_name_are_refused(tmp_path, monkeypatch):
    weights_folder = WeightsFolder(tmp_path)
    (tmp_path / TREES.name).write_bytes(b"something else")
    with pytest.raises(UserError, match="is not the published file"):
        DlibLandmarks(weights_folder=weights_folder)
    monkeypatch.setattr(dlib_landmarks, "TREES", replace(TREES, urls=(), size=None, sha256=None))
    with pytest.raises(UserError, match="is no shape predictor of dlib's"):
        DlibLandmarks(weights_folder=weights_folder)
    (tmp_path / "checksums.json").unlink()
    train(tmp_path / TREES.name, persons=5, points=60)
    with pytest.raises(UserError, match="60 landmarks a face instead of 68"):
        DlibLandmarks(weights_folder=weights_folder).find(photograph(3)[0], "a")
