"""The detectors by name: the same for sweep.py and caricature.py, each with the folder of weights that is asked for."""

import numpy as np
import pytest
import torch
from PIL import Image

from src.errors import UserError
from src.faces import NetworkLandmarks, dlib_landmarks, open_detector, open_landmarks, open_photos
from src.faces.detectors import DETECTORS
from src.fetch import WeightsFolder
from src.metrics import choose_detector
from src.options import kinds
from src.portraits import render_portrait
from src.sweep import SweepSettings


def test_a_sweep_may_choose_each():
    choice = kinds(SweepSettings)["landmarks"]
    assert all(choice.accept(name) == name for name in ("auto", *DETECTORS))
    with pytest.raises(UserError, match="landmarks=mtcnn: choose auto, face-alignment, dlib, network"):
        open_detector("mtcnn")


def test_photographs_of_drawn_persons_need_no_other_package(tmp_path):
    portrait = render_portrait("people", 3, 96)
    Image.fromarray(portrait.image).save(tmp_path / "a.png")
    network = open_landmarks("network", open_photos(tmp_path))
    assert isinstance(network, NetworkLandmarks)
    (face,) = network.find(portrait.image, "a.png")
    assert np.abs(face.landmarks - portrait.landmarks).mean() < 2


def test_weights_come_from_the_folder_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(dlib_landmarks, "dlib_package", lambda wanted: None)
    folder = WeightsFolder(folder=tmp_path, mirror=str(tmp_path))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    pictures = torch.zeros([2, 3, 64, 64], dtype=torch.uint8)
    for open_it in (
        lambda: open_landmarks("dlib", open_photos(tmp_path), weights_folder=folder),
        lambda: choose_detector("dlib", pictures, pictures, weights_folder=folder),
    ):
        asked = []
        monkeypatch.setattr(WeightsFolder, "fetch", lambda self, file, asked=asked: asked.append(self) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_it()
        assert asked == [folder]
