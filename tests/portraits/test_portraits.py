"""Procedural portraits: determinism, landmarks that agree with the drawing, the caricature, scale, errors."""

import hashlib
from dataclasses import astuple

import numpy as np
import pytest

from src.errors import UserError
from src.portraits.canvas import Canvas
from src.portraits.draw import DOMAINS, render_portrait, render_portraits
from src.portraits.geometry import build_geometry, ffhq_quad
from src.portraits.head import build_head
from src.portraits.parameters import caricature, sample_params

SEEDS = range(12)


def _bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - x0, y - y0
    patch = image[y0 : y0 + 2, x0 : x0 + 2].astype(np.float64)
    row = patch[:, 0] * (1 - fx) + patch[:, 1] * fx
    return np.asarray(row[0] * (1 - fy) + row[1] * fy)


def _eye_openness(mark: np.ndarray) -> float:
    opening = mark[[40, 41, 46, 47], 1].mean() - mark[[37, 38, 43, 44], 1].mean()
    return float(opening / (mark[16, 0] - mark[0, 0]))


@pytest.mark.parametrize("domain", DOMAINS)
def test_same_seed_same_picture_and_other_seeds_differ(domain: str) -> None:
    first, again, other = (render_portrait(domain, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.landmarks, again.landmarks)
    assert np.abs(first.image.astype(int) - other.image).mean() > 5


def test_parameters_are_fixed_for_ever() -> None:
    table = np.array([astuple(sample_params(seed)) for seed in range(8)])
    assert np.all(np.abs(table) <= 1)
    digest = hashlib.sha256(np.round(table * 1e6).astype("<i8").tobytes()).hexdigest()
    assert digest == "387fd34251ba8ce3fd7d6b6778d50e33e3ca707e6d4f5bf8b7c8a127b06f296c"


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("people", [[163.9, 149.6, 143.1], [163.2, 147.3, 139.3], [148.9, 128.6, 120.5], [151.7, 127.7, 117.2]]),
        ("cartoons", [[71.5, 60.8, 54.1], [91.6, 76.9, 67.8], [90.6, 71.6, 60.2], [113.2, 87.8, 73.4]]),
    ],
)
def test_pixels_are_fixed_within_rounding(domain: str, expected: list[list[float]]) -> None:
    blocks = render_portrait(domain, 1, 32).image.reshape(2, 16, 2, 16, 3).mean(axis=(1, 3)).reshape(4, 3)
    np.testing.assert_allclose(blocks, expected, atol=0.6)


@pytest.mark.parametrize("domain", DOMAINS)
def test_background_changes_the_wall_and_not_the_person(domain: str) -> None:
    own, black = (render_portrait(domain, 3, background=b) for b in ("own", "black"))
    assert np.array_equal(own.landmarks, black.landmarks)
    assert (black.image[:4, :4] == 0).all() and (own.image[:4, :4] > 50).all()
    low, high = own.landmarks.min(axis=0).astype(int), own.landmarks.max(axis=0).astype(int)
    middle = (low + high) // 2
    face = (slice(middle[1] - 6, middle[1] + 6), slice(middle[0] - 6, middle[0] + 6))
    assert np.array_equal(own.image[face], black.image[face])


def test_the_same_person_stands_before_the_same_wall_in_both_domains() -> None:
    people, cartoons = (render_portrait(domain, 3, background="own").image for domain in DOMAINS)
    assert np.array_equal(people[:3, :3], cartoons[:3, :3])


def test_batch_is_the_single_pictures() -> None:
    batch = render_portraits("people", [5, 7], 32)
    assert batch.shape == (2, 32, 32, 3)
    assert batch.dtype == np.uint8
    assert np.array_equal(batch[1], render_portrait("people", 7, 32).image)
    assert render_portraits("people", [], 32).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("domain", DOMAINS)
def test_landmarks_are_inside_and_in_order(domain: str) -> None:
    for seed in range(200):
        g = build_geometry(sample_params(seed), domain == "cartoons")
        mark = g.landmarks
        assert mark.min() > 0.02
        assert mark.max() < 0.985
        assert np.all(np.diff(mark[4:13, 0]) > 0.01)
        assert np.all(mark[:3, 0] < mark[36, 0])
        assert np.all(mark[14:17, 0] > mark[45, 0])  # the jaw runs left to right
        assert np.argmax(mark[:, 1]) in (7, 8, 9)  # the chin is lowest
        left, right = mark[36:42], mark[42:48]
        assert left[:, 0].max() < mark[27, 0] < right[:, 0].min()
        assert mark[36, 0] < mark[39, 0] < mark[42, 0] < mark[45, 0]
        assert mark[17:22, 1].max() < left[:, 1].min()
        assert mark[22:27, 1].max() < right[:, 1].min()
        assert np.all(np.diff(mark[27:31, 1]) > 0)
        assert mark[31:36, 1].min() > max(left[:, 1].max(), right[:, 1].max())
        assert mark[31:36, 1].max() < mark[48:68, 1].min()
        assert np.all(np.diff(mark[[48, 49, 50, 51, 52, 53, 54], 0]) > 0)
        assert np.all(mark[[61, 62, 63], 1] <= mark[[67, 66, 65], 1] + 1e-9)
        assert np.all(mark[[56, 57, 58], 1] > mark[[65, 66, 67], 1])


def test_people_are_in_the_ffhq_frame() -> None:
    for seed in SEEDS:
        mark = render_portrait("people", seed, 64).landmarks.astype(np.float64)
        centre, x_axis, y_axis = ffhq_quad(mark)
        np.testing.assert_allclose(centre, [31.5, 31.5], atol=1e-3)
        np.testing.assert_allclose(x_axis, [32, 0], atol=1e-3)
        np.testing.assert_allclose(y_axis, [0, 32], atol=1e-3)


def test_quad_rule_on_a_known_face() -> None:
    mark = np.zeros((68, 2))
    mark[36:42], mark[42:48], mark[48], mark[54] = (100, 120), (160, 120), (110, 180), (150, 180)
    centre, x_axis, y_axis = ffhq_quad(mark)
    np.testing.assert_allclose(centre - x_axis - y_axis, (10, 6))
    np.testing.assert_allclose(centre + x_axis + y_axis, (250, 246))


@pytest.mark.parametrize("domain", DOMAINS)
def test_iris_is_drawn_between_the_eyelids(domain: str) -> None:
    for seed in SEEDS:
        portrait = render_portrait(domain, seed, 256)
        grey = portrait.image.mean(axis=2)
        for first in (36, 42):
            eye = portrait.landmarks[first : first + 6]
            lo, hi = np.ceil(eye.min(0)).astype(int), np.floor(eye.max(0)).astype(int)
            middle = grey[(lo[1] + hi[1]) // 2, lo[0] : hi[0]]
            third = middle.size // 3
            assert middle[third:-third].min() < 70  # pupil
            assert max(middle[:third].max(), middle[-third:].max()) > 150  # eye white
            if portrait.params.glasses < 0.7:  # no rim below it
                cheek = _bilinear(grey, float(eye[:, 0].mean()), float(hi[1] + 14))
                assert middle[third:-third].min() < cheek - 10


@pytest.mark.parametrize("domain", DOMAINS)
def test_colour_changes_across_the_jaw(domain: str) -> None:
    for seed in SEEDS:
        portrait = render_portrait(domain, seed, 256)
        if portrait.params.beard > 0:
            continue
        inward = np.array([0.0, -1.0])
        chin = portrait.landmarks[8].astype(np.float64)
        inside, outside = (
            _bilinear(portrait.image, *(chin + k * inward)) for k in ((8, -2) if domain == "cartoons" else (18, -8))
        )
        assert np.abs(inside - outside).max() > 12, seed


@pytest.mark.parametrize("domain", DOMAINS)
def test_lips_are_redder_than_the_chin(domain: str) -> None:
    for seed in SEEDS:
        portrait = render_portrait(domain, seed, 256)
        mark = portrait.landmarks
        lip = _bilinear(portrait.image, *((mark[57] + mark[66]) / 2))
        chin = _bilinear(portrait.image, *(0.45 * mark[57] + 0.55 * mark[8]))
        assert lip[0] - lip[1:].mean() > chin[0] - chin[1:].mean() + 8, seed


def test_cartoons_have_bigger_eyes_and_wider_mouths_on_black() -> None:
    chins, mouths = [], []
    for seed in range(60):
        person, cartoon = (render_portrait(domain, seed, 64) for domain in DOMAINS)
        assert person.params == cartoon.params
        assert _eye_openness(cartoon.landmarks) > 1.4 * _eye_openness(person.landmarks)
        assert cartoon.landmarks[8, 1] < 62
        pair = (person.landmarks, cartoon.landmarks)
        chins.append(np.subtract(*((m[8, 1] - m[57, 1]) / (m[57, 1] - m[27, 1]) for m in pair)))
        mouths.append(np.divide(*((m[54, 0] - m[48, 0]) / (m[12, 0] - m[4, 0]) for m in pair)))
        assert np.all(cartoon.image[:2, :12] == 0)
        assert person.image[:3].mean() > 30
    assert np.mean(mouths) < 0.85  # wide mouths
    assert np.std(chins) > 0.03  # and chins, not changed by the same amount in all


def test_a_caricature_stands_where_its_person_stands() -> None:
    for seed in range(60):
        person, cartoon = (build_geometry(sample_params(seed), cartoon).landmarks for cartoon in (False, True))
        for part in (slice(36, 42), slice(42, 48), slice(27, 36), slice(48, 68)):
            assert np.abs(person[part].mean(0) - cartoon[part].mean(0)).max() < 0.06, (seed, part)


def test_a_caricature_keeps_closed_lips_closed_and_its_eyes_inside_its_glasses() -> None:
    """Teeth that the person does not show, and rims across the eyes, are other textures than the person's."""
    canvas, worn = Canvas(128, soft=0.004), 0
    for seed in range(60):
        p = sample_params(seed)
        person, cartoon = (build_geometry(p, big) for big in (False, True))
        gaps = [np.abs(g.landmarks[61:64, 1] - g.landmarks[[67, 66, 65], 1]).max() for g in (person, cartoon)]
        assert gaps[0] > 0 or gaps[1] < 0.002, seed
        rims = build_head(canvas, cartoon, p).glasses
        if rims is not None:
            worn += 1
            x, y = (cartoon.landmarks[36:48] * canvas.n).astype(int).T
            assert rims[y, x].min() > 0.011 * cartoon.scale, seed  # half the line's thickness
    assert worn > 3


def test_caricature_leaves_the_mean_face_and_doubles_deviations() -> None:
    p = sample_params(2)
    assert caricature(p, 1.0) == p
    pushed = caricature(p, 2.0)
    assert pushed.nose_width == pytest.approx(2 * p.nose_width - 0.35 * p.nose_width**3)
    assert pushed.skin == p.skin


def test_identity_is_shared_between_the_domains() -> None:
    skins = np.stack([[_cheek(domain, seed) for seed in range(30)] for domain in DOMAINS])
    assert np.corrcoef(skins)[0, 1] > 0.85
    widths = []
    for domain in DOMAINS:
        marks = [build_geometry(sample_params(seed), domain == "cartoons").landmarks for seed in range(60)]
        widths.append([(m[12, 0] - m[4, 0]) / (m[16, 0] - m[0, 0]) for m in marks])
    assert np.corrcoef(widths)[0, 1] > 0.9
    assert np.std(widths[1]) > 1.4 * np.std(widths[0])


def _cheek(domain: str, seed: int) -> float:
    portrait = render_portrait(domain, seed, 64)
    forehead = (portrait.landmarks[27] + [0, -5]).astype(int)
    return float(portrait.image[forehead[1] - 1 : forehead[1] + 2, forehead[0] - 1 : forehead[0] + 2].mean())


@pytest.mark.parametrize("domain", DOMAINS)
def test_small_picture_is_the_reduced_big_picture(domain: str) -> None:
    for seed in (0, 4, 11):
        small = render_portrait(domain, seed, 64)
        big = render_portrait(domain, seed, 256)
        reduced = big.image.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
        difference = np.abs(reduced - small.image)
        assert difference.mean() < 1.5
        assert np.percentile(difference, 99) < 16
        np.testing.assert_allclose((small.landmarks + 0.5) * 4, big.landmarks + 0.5, atol=1e-3)


@pytest.mark.parametrize("resolution", [32, 48, 100, 128])
def test_other_resolutions(resolution: int) -> None:
    for domain in DOMAINS:
        image = render_portrait(domain, 0, resolution).image
        assert image.shape == (resolution, resolution, 3)
        assert image.std() > 20


def test_errors_name_the_thing() -> None:
    with pytest.raises(UserError, match=r"'dogs'.*people, cartoons"):
        render_portrait("dogs", 0)
    for size in (0, 8, 5000, 64.5):
        with pytest.raises(UserError, match="16 to 1024"):
            render_portrait("people", 0, size)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="-1"):
        render_portrait("people", -1)
    with pytest.raises(UserError, match="dogs"):
        render_portraits("dogs", [])
