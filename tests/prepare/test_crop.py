"""Crops, filters, three-point alignment, perceptual hashes: against what can be computed by other means."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from src.data.decode import BadPicture
from src.prepare.crop import FILTERS, content_size, crop_box, resize, to_square
from src.prepare.duplicates import mean_colour, near_duplicates, perceptual_hash
from src.prepare.similarity import PLACES, fit_similarity, read_points, warp

from .trees import noise


def test_boxes():
    assert crop_box(50, 20, "center") == (15, 0, 35, 20)
    assert crop_box(20, 51, "center") == (0, 15, 20, 35)
    assert crop_box(400, 300, "wide", 2.0) == (0, 50, 400, 250)
    assert crop_box(400, 100, "wide", 2.0) == (100, 0, 300, 100)
    assert crop_box(30, 90, "wide", 0.5) == (0, 15, 30, 75)
    assert crop_box(30, 30, "keep") == (0, 0, 30, 30)
    with pytest.raises(BadPicture, match="31x30 is not a square"):
        crop_box(31, 30, "keep")
    assert (
        content_size(64, 2.0) == (64, 32) and content_size(64, 0.5) == (32, 64) and content_size(64, None) == (64, 64)
    )


def test_a_wide_picture_is_padded_above_and_below():
    square = to_square(np.full([8, 16, 3], 200, np.uint8), 16, lambda w, h: np.full([h, w, 3], 7, np.uint8))
    assert square.shape == (16, 16, 3) and (square[4:12] == 200).all()
    assert (square[:4] == 7).all() and (square[12:] == 7).all()


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_keeps_flat_pictures_and_means(name):
    flat = np.full([37, 53, 3], (3, 130, 251), np.uint8)
    assert (resize(flat, (16, 16), name) == (3, 130, 251)).all()
    picture = np.asarray(noise(1, 96, 96))
    small = resize(picture, (12, 12), name)
    assert small.dtype == np.uint8 and np.abs(small.mean() - picture.mean()) < 2
    assert np.array_equal(resize(picture, (96, 96), name), picture)


def test_area_is_the_exact_mean_of_what_a_pixel_covers():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (600, 30, 3), dtype=np.uint8)
    size = (12, 250)  # 2.5 and 2.4 pixels each
    fine = np.repeat(np.repeat(rgb.astype(float), 5, 0), 2, 1).reshape(250, 12, 12, 5, 3)
    expected = np.floor(fine.mean((1, 3)) + 0.5)
    assert np.abs(resize(rgb, size, "area") - expected).max() <= 1
    assert (resize(rgb, size, "area") == expected).mean() > 0.98  # the rest are halves, rounded either way
    assert not np.array_equal(resize(rgb, size, "box"), resize(rgb, size, "area"))


def test_the_places_are_those_of_ffhqs_crop():
    # eyes (100, 120), (160, 120) and mouth (130, 180) give the quad (10, 6) to (250, 246): see FFHQ's rule
    fit = fit_similarity(((100, 120), (160, 120), (130, 180)))
    assert np.allclose(fit.quad(), [(10, 6), (10, 246), (250, 246), (250, 6)], atol=1e-9)
    turn = np.exp(1j * np.deg2rad(20))
    points = [turn * complex(*p) for p in ((100, 120), (160, 120), (130, 180))]
    quad = fit_similarity(tuple((p.real, p.imag) for p in points)).quad()
    expected = [(7.3448, 9.0584), (-74.7400, 234.5846), (150.7862, 316.6694), (232.8710, 91.1432)]
    assert np.allclose(quad, expected, atol=1e-3)


def test_three_points_that_do_not_fit_are_met_in_the_mean():
    given = ((20.0, 30.0), (52.0, 28.0), (35.0, 80.0))
    fit = fit_similarity(given)
    errors = [complex(*g) - (fit.corner + fit.side * complex(*p)) for g, p in zip(given, PLACES, strict=True)]
    assert abs(sum(errors)) < 1e-9
    away = sum((e * complex(*p).conjugate()) for e, p in zip(errors, PLACES, strict=True))
    assert abs(away) < 1e-9  # least squares: the rest is orthogonal to every change


def test_warping_is_a_crop_when_nothing_turns_and_pads_beyond_the_edge():
    picture = np.asarray(noise(2, 128, 128))
    fit = fit_similarity(tuple((32 + 64 * x, 48 + 64 * y) for x, y in PLACES))
    inside = warp(picture, fit, 64, "lanczos", None)
    assert np.abs(inside.astype(int) - picture[48:112, 32:96]).max() <= 6
    beyond = fit_similarity(tuple((-32 + 128 * x, 0 + 128 * y) for x, y in PLACES))
    filled = warp(picture, beyond, 64, "box", (1, 2, 3))
    assert (filled[:, :14] == (1, 2, 3)).all()
    mirrored = warp(picture, beyond, 64, "box", None).astype(int)
    assert np.abs(mirrored[:, 1:15] - mirrored[:, 17:31][:, ::-1]).max() < 20
    far = fit_similarity(tuple((5000 * x, 5000 * y) for x, y in PLACES))
    with pytest.raises(BadPicture, match=r"does not fit 128x128 px: see align\.points"):
        warp(picture, far, 64, "box", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("aia: [[1, 2], [3, 4]]", "aia: give three points"),
        ("aia: [[1, 2], [3, 4], [5, x]]", "aia: give three points"),
        ("aia: [[9, 2], [3, 2], [5, 9]]", "the mouth does not lie below the eyes"),
        ("- 1", "give character:"),
        ("a: [", "not YAML"),
        ("", "give character:"),
    ],
)
def test_wrong_points_are_one_line(tmp_path, text, words):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        read_points(tmp_path / "p.yaml")
    assert "\n" not in str(error.value) and "align.points" not in str(error.value)
    with pytest.raises(ValueError, match="cannot be read"):
        read_points(tmp_path / "none.yaml")


def test_hashes_of_near_duplicates_are_near_and_of_others_far():
    pictures = [noise(seed, 96, 96) for seed in range(30)]
    hashes = [perceptual_hash(np.asarray(p)) for p in pictures]
    apart = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 10
    for picture, value in zip(pictures, hashes, strict=True):
        smaller = picture.resize((70, 70), Image.Resampling.LANCZOS)
        darker = ImageEnhance.Brightness(picture).enhance(0.96)
        for copy in (smaller, darker):
            assert (perceptual_hash(np.asarray(copy)) ^ value).bit_count() <= 4


def test_the_first_of_two_is_kept_and_colour_counts():
    def found(hashes, colours):
        pairs = enumerate(zip(hashes, colours, strict=True), 10)
        records = {number: {"hash": f"{value:016x}", "colour": colour} for number, (value, colour) in pairs}
        return near_duplicates(list(records), records, 3)

    grey = (9, 9, 9)
    # the third is near the second as well, and never kept itself: the last is near the third alone
    assert found([0b0000, 0b1111, 0b0111, 0b0000, 0b110011], [grey, grey, grey, (9, 99, 9), grey]) == {12: (10, 3)}
    many = [int(v) for v in np.random.default_rng(0).integers(0, 2**63, 200)]
    copies = found([*many, *(value ^ 5 for value in many)], [(0, 0, 0)] * 400)
    assert copies == {210 + i: (10 + i, 2) for i in range(200)}
    assert mean_colour(np.full([4, 4, 3], (1, 2, 3), np.uint8)) == (1, 2, 3)
