"""Recognisers: dlib's, with a stand-in for its network, and functions of someone else's."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from src.errors import UserError
from src.faces import open_recogniser, recognisers
from src.fetch import WeightsFolder
from src.portraits import render_portrait


class Network:
    """Where the points are, in place of dlib's 128 numbers."""

    def __init__(self, path: str) -> None:
        if Path(path).read_bytes() != b"network":
            raise RuntimeError("deserialization error")

    def compute_face_descriptor(self, image, face):
        assert image.dtype == np.uint8 and image.flags.c_contiguous
        box, points = face
        return [*box, *points[30]]


@pytest.fixture
def weights(tmp_path, monkeypatch) -> WeightsFolder:
    def point(x: int, y: int) -> tuple[int, int]:
        return x, y

    def rectangle(*sides: int) -> tuple[int, ...]:
        return sides

    stand_in = SimpleNamespace(
        face_recognition_model_v1=Network,
        point=point,
        rectangle=rectangle,
        full_object_detection=lambda box, points: (box, points),
    )
    monkeypatch.setitem(sys.modules, "dlib", stand_in)
    monkeypatch.setattr(recognisers, "RESNET", replace(recognisers.RESNET, urls=(), size=None, sha256=None))
    (tmp_path / recognisers.RESNET.name).write_bytes(b"network")
    return WeightsFolder(tmp_path)


def test_dlib_describes_the_face_at_its_landmarks(weights):
    face = render_portrait("people", 0, 64)
    told = open_recogniser("dlib", weights_folder=weights)(face.image[:, ::-1], face.landmarks)
    marks = face.landmarks.round()
    assert np.array_equal(told, [*marks.min(axis=0), *marks.max(axis=0), *marks[30]])


def test_another_file_of_that_name_is_one_line(weights, tmp_path):
    (tmp_path / recognisers.RESNET.name).write_bytes(b"something else")
    (tmp_path / "checksums.json").unlink(missing_ok=True)
    with pytest.raises(UserError, match="is no face recogniser of dlib's") as caught:
        open_recogniser("dlib", weights_folder=weights)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said_with_where_it_is_had(tmp_path, monkeypatch, weights):
    with pytest.raises(UserError, match=r"dlib_face_recognition.*Put the file"):
        open_recogniser("dlib", weights_folder=WeightsFolder(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UserError, match=r"recogniser=dlib needs the dlib package .*pip install dlib-bin"):
        open_recogniser("dlib", weights_folder=weights)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("eyes", "recogniser=eyes: choose dlib or package.module:function"),
        ("no.such.module:tell", r"recogniser=no\.such\.module:tell: no\.such\.module cannot be imported"),
        ("math:nothing", "recogniser=math:nothing: math has no function nothing; give dlib, or"),
    ],
)
def test_what_is_no_recogniser_is_one_line(choice, words):
    with pytest.raises(UserError, match=words):
        open_recogniser(choice)


def test_a_function_of_ones_own_is_called_with_picture_and_landmarks(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "persons_of_a_test.py"
    file.write_text("def tell(image, landmarks):\n    return [image.mean() / len(landmarks)]\n")
    ours = open_recogniser("persons_of_a_test:tell")
    image = np.full([32, 32, 3], 34, np.uint8)
    assert ours(image, np.zeros([68, 2])) == [0.5]
    first = ours.identity()
    file.write_text("def tell(image, landmarks):\n    return [0]\n")
    assert ours.identity() != first
    with pytest.raises(UserError, match=r"recogniser=persons_of_a_test:tell: failed \(TypeError"):
        ours(image, None)
