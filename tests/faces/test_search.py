"""Faces where a detector does not see them at once: in long strips, in pictures that lie on their side."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from src.faces import Face, FaceSettings, find_faces, open_landmarks, open_photos
from src.faces.face import reduced_to
from src.faces.fan_landmarks import FaceAlignmentLandmarks
from src.faces.strips import find_in_tiles, strip_tiles
from src.prepare.cascade import CascadeDetector

from .pictures import photograph

SETTINGS = FaceSettings(align_px=64)
SHAPE = photograph(0)[1] - photograph(0)[1].mean(axis=0)  # 68 points about (0, 0)


class Upright:
    """A detector that sees what stands upright and is large enough: here a patch of red above blue, 40 px a side."""

    def __init__(self, max_side=400, least_px=20):
        self.max_side, self.least_px, self.looked = max_side, least_px, 0

    def find(self, image, name):
        return find_in_tiles(image, self.max_side, self.once)

    def once(self, image):
        self.looked += 1
        small = reduced_to(image, self.max_side).astype(int)
        scale = image.shape[1] / small.shape[1]
        red, blue = (small[..., c] - small[..., 1] > 100 for c in (0, 2))
        found = []
        columns = np.flatnonzero(np.diff(np.pad(red.any(axis=0).astype(int), 1)))
        for left, right in columns.reshape(-1, 2):
            rows = np.flatnonzero(red[:, left:right].any(axis=1))
            below = np.flatnonzero(blue[:, left:right].any(axis=1))
            if right - left >= self.least_px and len(below) and below.mean() > rows.mean():
                centre = np.array([(left + right - 1) / 2, (rows[0] + below[-1]) / 2]) * scale
                found.append(Face(SHAPE + centre, float(right - left)))
        return found

    def identity(self, name):
        return "upright"


def patches(width, height, *places):
    picture = np.zeros([height, width, 3], np.uint8)
    for x, y in places:
        picture[y - 20 : y, x - 20 : x + 20] = (255, 0, 0)
        picture[y : y + 20, x - 20 : x + 20] = (0, 0, 255)
    return picture


def centres(faces):
    return sorted(tuple(np.round(face.landmarks.mean(axis=0)).astype(int)) for face in faces)


@pytest.mark.parametrize("upright", [False, True])
def test_faces_in_a_strip_are_found_once_and_in_their_places(upright):
    """At 18fbb5f a strip was reduced as a whole: of 12000x800 px to 1600x107, where no face is left."""
    places = [(30, 50), (590, 40), (1000, 60), (2970, 50)]  # the second and third where tiles overlap
    picture = patches(3000, 100, *places)
    if upright:
        picture = np.concatenate([patches(100, 300, (50, 40 + 60 * (i % 3))) for i in range(10)], axis=0)
        places = [(50, 300 * i + 40 + 60 * (i % 3)) for i in range(10)]
    found = Upright(400).find(picture, "a") if not upright else find_in_tiles(picture, 400, one_a_column)
    assert len(found) == len(places)
    assert all(np.abs(np.array(a) - b).max() <= 3 for a, b in zip(centres(found), sorted(places), strict=True))


def one_a_column(tile):
    """Patches one above the other; those that a tile cuts off are not seen."""
    red = (tile[..., 0] > 100).any(axis=1)
    starts = np.flatnonzero(np.diff(np.pad(red.astype(int), 1)) == 1)
    whole = [y for y in starts if y + 40 <= len(tile) and (tile[y : y + 20, :, 0] > 100).any(axis=1).all()]
    return [Face(SHAPE / 4 + [50, y + 20], 1.0) for y in whole if (tile[y + 20 : y + 40, :, 2] > 100).any(axis=1).all()]


def test_tiles_cover_a_strip_and_overlap_by_its_short_side():
    for width, height, most in ((12_000, 800, 1600), (800, 12_001, 1600), (60_000, 100, 1600), (9000, 2500, 1600)):
        tiles = strip_tiles(width, height, most)
        along = [(left, right) if width > height else (top, bottom) for left, top, right, bottom in tiles]
        assert along[0][0] == 0 and along[-1][1] == max(width, height) and len(tiles) < 60
        overlaps = [a[1] - b[0] for a, b in pairwise(along)]
        assert min(overlaps) >= min(width, height)
    for width, height in ((4000, 3000), (1600, 100), (3000, 1000), (300, 10)):
        assert strip_tiles(width, height, 1600) == [(0, 0, width, height)]


def test_the_detectors_look_at_strips_in_tiles(tmp_path):
    class Network:
        def __init__(self):
            self.sizes = []

        def get_landmarks_from_image(self, image, return_bboxes):
            self.sizes.append(image.shape[:2])
            return None, None, None

    fan = FaceAlignmentLandmarks.__new__(FaceAlignmentLandmarks)
    fan.network = Network()
    assert fan.find(np.zeros([800, 12_000, 3], np.uint8), "a") == []
    assert len(fan.network.sizes) == 14 and set(fan.network.sizes) == {(800, 1600)}


def test_drawn_faces_in_a_scrolled_page_are_found(monkeypatch):
    cascade = CascadeDetector.__new__(CascadeDetector)
    seen = []
    monkeypatch.setattr(cascade, "_find", lambda tile: seen.append(tile.shape[:2]) or np.array([[1.0, 2, 3, 4, 9]]))
    boxes = cascade(np.zeros([12_000, 800, 3], np.uint8))
    assert set(seen) == {(2560, 800)} and len(seen) > 5
    assert boxes[1].tolist() == [1, 2 + 1760, 3, 4 + 1760, 9]


@pytest.mark.parametrize(("turns", "degrees"), [(0, None), (1, 270), (2, 180), (3, 90)])
def test_a_picture_on_its_side_gives_its_face_upright_and_says_so(tmp_path, turns, degrees):
    """At 18fbb5f: no face found."""
    picture = patches(160, 120, (70, 60))
    Image.fromarray(np.ascontiguousarray(np.rot90(picture, turns))).save(tmp_path / "a.png")
    detector = Upright()
    ((report, (face,), _),) = find_faces(open_photos(tmp_path), detector, SETTINGS, 32)
    assert report.turned_deg == degrees and report.as_dict().get("turned_deg") == degrees
    assert ("turned by" in report.line()) == (degrees is not None)
    assert detector.looked == {0: 1, 1: 3, 2: 4, 3: 2}[turns]
    upright = Image.fromarray(picture)
    upright.save(tmp_path / "a.png")
    ((_, (wanted,), _),) = find_faces(open_photos(tmp_path), Upright(), SETTINGS, 32)
    assert np.abs(face.image.astype(int) - wanted.image).mean() < 3
    if turns % 2:
        assert face.frame.size_px == pytest.approx(wanted.frame.size_px)


def test_a_picture_without_a_face_and_one_whose_file_says_none(tmp_path):
    Image.fromarray(patches(160, 120)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text("[]")
    photos = open_photos(tmp_path)
    for provider in (Upright(), open_landmarks("files", photos)):
        ((report, faces, _),) = find_faces(photos, provider, SETTINGS, 32)
        assert report.refused == ["no face found"] and not faces and report.turned_deg is None


def test_smaller_faces_are_one_reason_a_picture(tmp_path):
    """At 18fbb5f "not the largest face" stood there five times."""
    picture, points = photograph(0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    centre = points.mean(axis=0)
    faces = [(centre + (points - centre) * scale).tolist() for scale in (1, 0.9, 0.8, 0.7, 0.6, 0.5)]
    for count, words in ((2, "one is not the largest face"), (6, "5 are not the largest face")):
        (tmp_path / "a.json").write_text(json.dumps(faces[:count]))
        photos = open_photos(tmp_path)
        ((report, used, _),) = find_faces(photos, open_landmarks("files", photos), SETTINGS, 32)
        assert len(used) == 1 and report.refused == [f"{words} (faces.which=all takes all)"]


def test_equal_reasons_are_counted_in_the_line(tmp_path):
    picture, points = photograph(0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    far = (points + np.array([5000, 0])).tolist()
    (tmp_path / "a.json").write_text(json.dumps([far, far, far]))
    photos = open_photos(tmp_path)
    ((report, _, _),) = find_faces(photos, open_landmarks("files", photos), SETTINGS, 32)
    assert "(3 times the face lies outside of the picture" in report.line() and report.line().count("outside") == 1
