"""Landmark files with the mistakes that people make: one reason a picture, never a face on its side or a black one."""

import json

import numpy as np
import pytest
from PIL import Image

from src.data import BadPicture
from src.faces import FaceSettings, FileLandmarks, find_faces, open_landmarks, open_photos
from src.faces.landmarks import parse_landmarks
from src.prepare.similarity import read_points

from .pictures import photograph

SETTINGS = FaceSettings(align_px=64)
PICTURE, POINTS = photograph(0)
SIZE = np.array([PICTURE.shape[1], PICTURE.shape[0]])
MISTAKES = {
    "exchanged": (POINTS[:, ::-1], "those of a mirrored face: x and y are exchanged, or left and right"),
    "left is right": (np.array([PICTURE.shape[1] - 1, 0]) + POINTS * [-1, 1], "those of a mirrored face"),
    "shares": (POINTS / SIZE, "shares of the picture, or of a single point: give x and y in pixels"),
    "shares about 0": (POINTS / SIZE * 2 - 1, "shares of the picture"),
    "one point": (np.full([68, 2], 50.0), "shares of the picture, or of a single point"),
}


def look(folder, points, form="json", provider="files"):
    Image.fromarray(PICTURE).save(folder / "a.png")
    if form == "json":
        (folder / "a.json").write_text(json.dumps(np.asarray(points).tolist()))
    elif form == "npy":
        np.save(folder / "a.npy", points)
    else:
        (folder / "a.txt").write_text("\n".join(f"{x} {y}" for x, y in points))
    photos = open_photos(folder)
    ((report, faces, _),) = find_faces(photos, open_landmarks(provider, photos), SETTINGS, 32)
    return report, faces


@pytest.mark.parametrize("provider", ["files", "auto"])
@pytest.mark.parametrize("form", ["json", "npy", "txt"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_reason(tmp_path, mistake, form, provider):
    """At 18fbb5f the exchanged ones cut the face out on its side, and the shares gave a black picture."""
    points, words = MISTAKES[mistake]
    report, faces = look(tmp_path, points, form, provider)
    assert not faces and len(report.refused) == 1
    assert report.refused[0].startswith(f"its landmarks in a.{form} are {words}")


def test_several_faces_with_a_mistake_are_one_reason_too(tmp_path):
    report, faces = look(tmp_path, [POINTS[:, ::-1]] * 3)
    assert not faces and len(report.refused) == 1


@pytest.mark.parametrize("degrees", range(0, 360, 45))
def test_a_face_may_be_turned_by_any_angle(tmp_path, degrees):
    picture, points = photograph(0, size=(300, 300), degrees=degrees, shift=(150, 150))
    Image.fromarray(picture).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", points)
    photos = open_photos(tmp_path)
    assert len(FileLandmarks(photos).find(picture, "a.png")) == 1


def test_a_score_of_null_is_no_score(tmp_path):
    """At 18fbb5f: float() argument must be a string or a real number, not 'NoneType'."""
    face = {"landmarks": POINTS.tolist(), "score": None}
    for value in ([face], {"faces": [face]}):
        assert parse_landmarks(json.dumps(value).encode(), "a.json")[0].score == 1.0
    report, faces = look(tmp_path, POINTS)
    (tmp_path / "a.json").write_text(json.dumps([face]))
    photos = open_photos(tmp_path)
    ((again, same, _),) = find_faces(photos, open_landmarks("auto", photos), SETTINGS, 32)
    assert not report.refused and not again.refused and np.array_equal(same[0].image, faces[0].image)


@pytest.mark.parametrize("score", ["NaN", "Infinity", '"sure"', "[1]"])
def test_a_score_that_is_no_number_is_a_reason(score):
    text = f'[{{"landmarks": {json.dumps(POINTS.tolist())}, "score": {score}}}]'
    with pytest.raises(BadPicture, match=r"its landmarks in a\.json cannot be read"):
        parse_landmarks(text.encode(), "a.json")


def test_points_of_a_character_are_in_pixels(tmp_path):
    """The same mistake in align.points of prepare.py."""
    path = tmp_path / "points.yaml"
    path.write_text("aia: [[0.375, 0.475], [0.625, 0.475], [0.5, 0.725]]")
    with pytest.raises(ValueError, match="aia: its eyes are less than 2 px apart; points are in px, not in shares"):
        read_points(path)
