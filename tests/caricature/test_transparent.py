"""Transparent portraits: projected on a background that can be chosen, transparent again when they are pasted back."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from src.caricature.run import caricature
from src.faces import open_landmarks, open_photos

from .test_caricature import make, picture


def cut_out(path, portrait, *, alpha):
    """Write a portrait whose ground is as transparent as `alpha` says, black there, and its landmarks."""
    landmarks = np.array(json.loads(portrait.with_suffix(".json").read_text())[0])
    rgb = picture(portrait)
    rows, columns = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    x, y = landmarks.mean(axis=0)
    inside = np.hypot(columns - x, rows - y) < 70
    shape = np.where(inside, 255, alpha).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.dstack([np.where(inside[..., None], rgb, 0).astype(np.uint8), shape])).save(path)
    shutil.copy(portrait.with_suffix(".json"), path.with_suffix(".json"))
    return shape


@pytest.fixture
def portrait(holiday, tmp_path):
    """A transparent one, alone in its folder, and its alpha."""
    return tmp_path / "cut", cut_out(tmp_path / "cut" / "me.png", holiday / "person-00.png", alpha=0)


class Seen:
    """Landmarks of files, and what a detector would have seen in the corner of each picture."""

    def __init__(self, files):
        self.files, self.corners = files, []

    def find(self, image, name):
        self.corners.append(tuple(image[0, 0]))
        return self.files.find(image, name)

    def identity(self, name):
        return "one for all"


def corner(path):
    return picture(path)[:4, :4].reshape(-1, 3)


def test_a_transparent_portrait_does_not_turn_black(settings, run_dir, portrait):
    photos, alpha = portrait
    result = make(settings, run_dir, photos=photos)
    assert (corner(result.folder / "faces" / "me.png") >= 250).all()
    before, after = picture(photos / "me.png"), picture(result.folder / "photos" / "me.png")
    np.testing.assert_array_equal(after[..., 3], alpha)
    changed = np.abs(after[..., :3].astype(int) - before[..., :3]).max(axis=2)
    assert (changed[alpha == 255] > 25).mean() > 0.1
    assert not (result.folder / "photos" / "me.jpg").exists()
    data = re.search(r'base64,([^"]*)" alt="me.png"', result.page.read_text())[1]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert (shown[:4, :4] >= 250).all()


def test_its_background_can_be_chosen_and_is_what_the_detector_sees(settings, run_dir, portrait):
    photos, alpha = portrait

    provider = Seen(open_landmarks("files", open_photos(photos)))
    for colour in ("white", "#00ff00", "white"):
        result = caricature(replace(settings, photos=photos, background=colour), provider=provider)
    assert provider.corners == [(255, 255, 255), (0, 255, 0), (255, 255, 255)]
    green = caricature(replace(settings, photos=photos, background="#00ff00"), provider=provider)
    assert (np.abs(corner(green.folder / "faces" / "me.png").astype(int) - [0, 255, 0]) <= 5).all()
    np.testing.assert_array_equal(picture(result.folder / "photos" / "me.png")[..., 3], alpha)


def test_a_file_stays_what_it_is_and_the_other_kind_goes(settings, run_dir, holiday, tmp_path):
    photos = tmp_path / "cut"
    for alpha, kept, gone in ((255, "me.jpg", "me.png"), (128, "me.png", "me.jpg"), (255, "me.jpg", "me.png")):
        cut_out(photos / "me.png", holiday / "person-00.png", alpha=alpha)
        folder = make(settings, run_dir, photos=photos).folder / "photos"
        assert (folder / kept).is_file() and not (folder / gone).exists()
