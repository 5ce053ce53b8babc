"""Detectors of drawn faces: the cascade, where it comes from, and what is said when something is missing."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from src.errors import UserError
from src.prepare import detectors as drawn
from src.prepare.cascade import ANIME, MAX_SIDE_PX, CascadeDetector
from src.prepare.detectors import PlugInDetector, open_face_detector


class Classifier:
    """In place of OpenCV's: finds one face that fills the left half of what it is given."""

    def __init__(self, path):
        self.bad = Path(path).read_bytes() != b"cascade"

    def empty(self):
        return self.bad

    def detectMultiScale2(self, grey, **options):
        if not grey.any():
            return (), ()
        height, width = grey.shape
        return np.array([[0, 0, width // 2, height]]), np.array([7])


@pytest.fixture
def opencv(monkeypatch):
    """A stand-in for OpenCV 4, which the suite does not need."""
    module = SimpleNamespace(
        __version__="4.0",
        error=ValueError,
        COLOR_RGB2GRAY=0,
        INTER_AREA=0,
        CascadeClassifier=Classifier,
        cvtColor=lambda image, code: image[:, :, 0],
        equalizeHist=lambda grey: grey,
        resize=lambda grey, size, interpolation: np.full(size[::-1], grey[0, 0]),
    )
    monkeypatch.setitem(sys.modules, "cv2", module)
    return module


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A weights folder of its own, in the current directory."""
    monkeypatch.chdir(tmp_path)
    return Path("weights")


@pytest.fixture
def cascade(tmp_path):
    path = tmp_path / "mine.xml"
    path.write_bytes(b"cascade")
    return path


def test_boxes_are_in_pixels_of_the_picture(opencv, cascade):
    detector = open_face_detector(str(cascade))
    assert np.array_equal(detector(np.full([60, 80, 3], 9, np.uint8)), [[0, 0, 40, 60, 7]])
    assert np.asarray(detector(np.zeros([60, 80, 3], np.uint8))).shape == (0, 5)
    large = np.full([MAX_SIDE_PX, 2 * MAX_SIDE_PX, 3], 9, np.uint8)
    assert np.array_equal(detector(large), [[0, 0, MAX_SIDE_PX, MAX_SIDE_PX, 7]])
    assert detector.default_min_score == 5
    assert detector.identity()["sha256"] == hashlib.sha256(b"cascade").hexdigest()
    assert str(cascade.parent) not in str(detector.identity())


def test_without_opencv_4_one_line_says_what_to_install(opencv, cascade, monkeypatch):
    pip = r"pip install --force-reinstall --no-deps 'opencv-python-headless>=4.*,<5', .*faces\.detector=package"
    del opencv.CascadeClassifier
    opencv.__version__ = "5.0.0"
    with pytest.raises(UserError, match=r"OpenCV 5\.0\.0 has no cascades, OpenCV 4 has: " + pip):
        CascadeDetector(cascade)
    del opencv.__version__
    with pytest.raises(UserError, match=r"OpenCV without its own files has no cascades, OpenCV 4 has: " + pip):
        CascadeDetector(cascade)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"finding drawn faces needs OpenCV 4 .*" + pip) as error:
        CascadeDetector(cascade)
    assert "\n" not in str(error.value)


def test_the_usual_cascade_is_fetched_checked_or_asked_for(opencv, weights, tmp_path, monkeypatch):
    published = tmp_path / "published.xml"
    known = replace(ANIME, urls=(published.as_uri(),), size=7, sha256=hashlib.sha256(b"cascade").hexdigest())
    monkeypatch.setattr(drawn, "ANIME", known)
    with pytest.raises(UserError) as error:
        open_face_detector(None)
    place = tmp_path / weights / ANIME.name
    for words in ("drawn faces are found by a cascade", "Put the file (licence: MIT) at", str(place)):
        assert words in str(error.value)
    published.write_bytes(b"another")
    with pytest.raises(UserError, match="its sha256 is"):
        open_face_detector(None)
    assert not (weights / ANIME.name).exists()
    published.write_bytes(b"cascade")
    assert open_face_detector(None).identity()["detector"] == "lbpcascade_animeface.xml"
    published.unlink()
    open_face_detector(None)  # from the weights folder


def test_a_url_is_fetched_and_its_checksum_compared(opencv, weights, cascade):
    digest = hashlib.sha256(b"cascade").hexdigest()
    assert open_face_detector(cascade.as_uri(), digest).identity()["sha256"] == digest
    assert (weights / "mine.xml").is_file()
    with pytest.raises(UserError, match="is not the published file"):
        open_face_detector(cascade.as_uri(), "0" * 64)
    with pytest.raises(UserError, match="only http, https, file URLs are opened"):
        open_face_detector("ftp://host/mine.xml")


@pytest.mark.parametrize(
    ("choice", "sha256", "words"),
    [
        ("nowhere.xml", None, r"faces\.detector=nowhere\.xml: no such file; give an OpenCV cascade"),
        ("mine.xml", "0" * 64, r"not the file that faces\.sha256 says: its sha256 is"),
        ("mine.xml", "no", r"hexadecimal digits"),
        ("other.xml", None, r"not a cascade that OpenCV can read"),
        ("no.such.module:find", None, r"no\.such\.module cannot be imported"),
        ("https://host/", None, r"faces\.detector=https://host/: names no file"),
    ],
)
def test_wrong_choices_are_one_line(opencv, cascade, monkeypatch, choice, sha256, words):
    monkeypatch.chdir(cascade.parent)
    Path("other.xml").write_text("<xml/>", encoding="utf-8")
    with pytest.raises(UserError, match=words) as error:
        open_face_detector(choice, sha256)
    assert "\n" not in str(error.value)


def test_an_edited_function_is_another_detector(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "my_faces_of_a_test.py"
    file.write_text("def find(image):\n    return [[0, 0, 9, 9, 1]]\n")
    detector = PlugInDetector("my_faces_of_a_test:find")
    first = detector.identity()
    assert detector(np.zeros([9, 9, 3], np.uint8)) == [[0, 0, 9, 9, 1]]
    file.write_text("def find(image):\n    return []\n")
    assert detector.identity() != first


def test_the_real_opencv_finds_no_face_in_grey(tmp_path):
    cv = pytest.importorskip("cv2")
    path = Path(cv.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    if not path.is_file():
        pytest.skip("this OpenCV has no cascades")
    assert CascadeDetector(path)(np.full([200, 300, 3], 128, np.uint8)).shape == (0, 5)
    (tmp_path / "x.xml").write_text("<xml/>")
    with pytest.raises(UserError, match="not a cascade"):
        CascadeDetector(tmp_path / "x.xml")
