"""The face-alignment package behind this project's interface: a stand-in for it, and itself on random weights."""

import sys
import types
from dataclasses import replace
from enum import IntEnum
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.faces import fan_landmarks
from src.fetch import WeightsFolder


class Landmarks(IntEnum):
    TWO_D = 1


class FaceAlignment:
    """What of the package's class is used; it records how it was made and finds two faces."""

    made = None

    def __init__(self, kind, **options):
        FaceAlignment.made = options
        self.net = self._load_native("2DFAN-4", 4, options["device"], torch.float32)

    def _load_native(self, *arguments):
        raise AssertionError("the package would fetch its weights itself")

    def get_landmarks_from_image(self, image, return_bboxes):
        assert return_bboxes
        if image.max() == 0:
            return None, None, None
        self.shape = image.shape
        points = np.stack([np.linspace([10, 20], [40, 50], 68)] * 2)
        return list(points), None, [np.array([0, 0, 9, 9, 0.9]), np.array([0, 0, 9, 9, 0.7])]


@pytest.fixture
def package(monkeypatch, tmp_path):
    api = types.ModuleType("face_alignment.api")
    api.FaceAlignment, api.LandmarksType, api.FAN = FaceAlignment, Landmarks, lambda size: torch.nn.Linear(size, 1)
    monkeypatch.setitem(sys.modules, "face_alignment", types.ModuleType("face_alignment"))
    monkeypatch.setitem(sys.modules, "face_alignment.api", api)
    monkeypatch.setattr(fan_landmarks, "FAN", replace(fan_landmarks.FAN, urls=()))
    monkeypatch.setattr(fan_landmarks, "S3FD", replace(fan_landmarks.S3FD, urls=()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    return Path("weights")


def put_weights(folder, monkeypatch):
    torch.save(torch.nn.Linear(4, 1).state_dict(), folder / fan_landmarks.FAN.name)
    torch.save({"w": torch.zeros(1)}, folder / fan_landmarks.S3FD.name)
    for name in ("FAN", "S3FD"):
        monkeypatch.setattr(fan_landmarks, name, replace(getattr(fan_landmarks, name), sha256=None))


def test_weights_come_from_the_folder_and_nothing_is_compiled(package, monkeypatch):
    put_weights(package, monkeypatch)
    found = fan_landmarks.FaceAlignmentLandmarks()
    made = FaceAlignment.made
    assert (made["compile"], made["device"], made["face_detector"]) == (False, "cpu", "sfd")
    assert made["face_detector_kwargs"] == {"path_to_detector": str(package / fan_landmarks.S3FD.name)}
    stored = torch.load(package / fan_landmarks.FAN.name, weights_only=True)
    assert torch.equal(found.network.net.weight, stored["weight"])


def test_large_photographs_are_reduced_for_the_detector(package, monkeypatch):
    put_weights(package, monkeypatch)
    found = fan_landmarks.FaceAlignmentLandmarks()
    small = found.find(np.full([100, 160, 3], 9, np.uint8), "a")
    assert [face.score for face in small] == [0.9, 0.7]
    np.testing.assert_allclose(small[0].landmarks[0], [10, 20])
    large = found.find(np.full([2000, 3200, 3], 9, np.uint8), "a")
    assert found.network.shape == (1000, 1600, 3)
    np.testing.assert_allclose(large[0].landmarks[0], [20.5, 40.5])
    assert found.find(np.zeros([10, 10, 3], np.uint8), "a") == []


def test_without_weights_one_line_says_which_file_to_put_where(package):
    with pytest.raises(UserError, match=r"2DFAN4-11f355bf06\.pth\.tar could not be fetched.*Put the file") as error:
        fan_landmarks.FaceAlignmentLandmarks()
    assert "\n" not in str(error.value)


def test_other_weights_of_that_name_are_refused(package, monkeypatch):
    original = fan_landmarks.FAN
    put_weights(package, monkeypatch)
    monkeypatch.setattr(fan_landmarks, "FAN", original)
    with pytest.raises(UserError, match="is not the published file"):
        fan_landmarks.FaceAlignmentLandmarks()


def test_an_older_package_is_refused(package, monkeypatch):
    monkeypatch.setattr(sys.modules["face_alignment.api"], "FaceAlignment", object)
    with pytest.raises(UserError, match="too old"):
        fan_landmarks.FaceAlignmentLandmarks()


def test_the_package_itself_runs_on_weights_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_OPT", "0")  # what the package compiles is compiled without optimisation, in half the time
    api = pytest.importorskip("face_alignment.api")
    networks = {"FAN": api.FAN(4), "S3FD": import_module("face_alignment.detection.sfd.net_s3fd").s3fd()}
    for name, network in networks.items():
        file = replace(getattr(fan_landmarks, name), urls=(), sha256=None)
        monkeypatch.setattr(fan_landmarks, name, file)
        torch.save(network.state_dict(), tmp_path / file.name)
    package = fan_landmarks.FaceAlignmentLandmarks(weights_folder=WeightsFolder(tmp_path)).network
    for used, name in ((package.face_alignment_net, "FAN"), (package.face_detector.face_detector, "S3FD")):
        weights = networks[name].state_dict()
        assert all(torch.equal(tensor, weights[key]) for key, tensor in used.state_dict().items()), name
    picture = np.random.default_rng(0).integers(0, 256, [96, 96, 3], dtype=np.uint8)
    (points,) = package.get_landmarks_from_image(picture, detected_faces=[np.array([10, 10, 80, 80, 0.9])])
    assert points.shape == (68, 2)
