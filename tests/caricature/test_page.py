"""The page of caricatures in a browser: what is compared stands side by side, and the sliders do what they say."""

import numpy as np
import pytest
import torch
from PIL import Image

from src.caricature.gather import Subject
from src.caricature.page import write_page
from src.caricature.render import Grid, face_text
from src.projection import Codes

from ..browser import WIDTHS

NAMES = ("anna", "a portrait with a long name of 2024-06-01 at 12.30.45")
STOPS, RESOLUTIONS = [0.0, 1.0], [8, 16]


def shade(value):
    """A plain grey picture."""
    return torch.full([3, 64, 64], value, dtype=torch.uint8)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two faces; a caricature's grey says its resolution (40, 140) and its strength (from 0 to 100 more)."""
    subjects = [Subject(name, Codes(name, torch.zeros(10, 8)), shade(90), facts={"quality": 0.9}) for name in NAMES]
    pictures = [[face_text(shade(base + 50 * i)) for i in range(2)] for base in (40, 140)]
    text = write_page(
        "caricatures of holiday",
        [("base network", "/a/long/path/" + "x" * 80 + ".safetensors"), ("base sha256", "0" * 64)],
        subjects,
        torch.stack([shade(90)] * 2),
        Grid(RESOLUTIONS, [STOPS] * 2, [pictures] * 2, 1),
        [1.0, 1.0],
        pasted={f"{name}.png": np.zeros([300, 400, 3], np.uint8) for name in NAMES},
        photos=[(f"{name}.png", name, "not the largest face (faces.which=all takes all)") for name in NAMES],
        notes=["The first 2 of 3 faces; all are in caricatures/."],
    )
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(text)
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off(page, browser, width):
    browser.open(page, width)
    assert browser.cut_off(width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_picture_reconstruction_and_caricature_stand_side_by_side(page, browser, width):
    browser.open(page, width)
    boxes = browser.evaluate("[...document.querySelectorAll('.face')].map(f => [...f.children].map("
                             "e => e.querySelector('img').getBoundingClientRect().toJSON()))")  # fmt: skip
    assert [len(face) for face in boxes] == [3, 3]
    for face in boxes:
        assert len({(box["top"], box["width"], box["height"]) for box in face}) == 1
        assert face[0]["right"] < face[1]["left"] and face[1]["right"] < face[2]["left"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_sliders_value_stands_beside_it(page, browser, width):
    browser.open(page, width)
    dials = browser.evaluate("[...document.querySelectorAll('.dial')].map(d => [...d.children].map("
                             "e => e.getBoundingClientRect().toJSON()))")  # fmt: skip
    assert len(dials) == 6
    for name, slider, value in dials:
        middle = (slider["top"] + slider["bottom"]) / 2
        assert name["top"] < middle < name["bottom"] and value["top"] < middle < value["bottom"]
        assert name["right"] < slider["left"] and slider["right"] < value["left"]


def test_the_chosen_strength_can_be_downloaded(page, browser, tmp_path):
    browser.open(page, 1280, downloads=tmp_path)
    browser.evaluate("""(() => {
      const face = document.querySelectorAll('.one')[1], [strength, resolution] = face.querySelectorAll('input')
      strength.value = 0.5; resolution.value = 1
      strength.dispatchEvent(new Event('input', {bubbles: true}))
      face.querySelector('.save').click()
    })()""")
    path = browser.downloaded(tmp_path)
    assert path.name == f"{NAMES[1]} strength 0.50 res 16.png"
    saved = np.asarray(Image.open(path).convert("RGB"))
    assert saved.shape == (64, 64, 3)
    assert np.abs(saved.astype(int) - 165).max() <= 2  # half of 140 at 0 and half of 190 at 1
