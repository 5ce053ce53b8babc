"""The FFHQ crop: its square, what the crop shows, and the way back."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from src.data.decode import decode_picture
from src.errors import UserError
from src.faces import align_face, ffhq_quad, paste_back

from .pictures import in_crop, moved, photograph, similarity

UPRIGHT = [[10, 6], [10, 246], [250, 246], [250, 6]]
TURNED = [[7.3448, 9.0584], [-74.7400, 234.5846], [150.7862, 316.6694], [232.8710, 91.1432]]


def simple_landmarks():
    points = np.full([68, 2], 130.0)
    points[36:42], points[42:48] = (100, 120), (160, 120)
    points[48], points[54] = (110, 180), (150, 180)
    return points


@pytest.mark.parametrize(("degrees", "expected"), [(0, UPRIGHT), (20, TURNED)])
def test_the_square_is_ffhqs(degrees, expected):
    quad, side = ffhq_quad(moved(simple_landmarks(), similarity(1, degrees, (0, 0))))
    np.testing.assert_allclose(quad, expected, atol=1e-3)
    assert side == pytest.approx(240, abs=1e-9)


def test_eyes_or_mouth_whichever_is_further_decides():
    points = simple_landmarks()
    points[[48, 54], 1] = 320  # 200 below the eyes: 1.8 x 200 is more than twice the eyes' distance
    assert ffhq_quad(points)[1] == pytest.approx(2 * 360)


@pytest.mark.parametrize("wrong", [np.zeros([68, 2]), np.zeros([5, 2]), np.full([68, 2], np.nan)])
def test_what_is_no_face_is_refused(wrong):
    with pytest.raises(UserError, match="landmarks"):
        ffhq_quad(wrong)


def test_a_turned_face_becomes_upright():
    straight, landmarks = photograph(3, size=(256, 256), shift=(80, 80))
    turned, turned_landmarks = photograph(3, size=(256, 256), degrees=25, shift=(120, 60))
    options = {"output_size": 64, "transform_size": 256}
    a = align_face(straight, landmarks, **options)
    b = align_face(turned, turned_landmarks, **options)
    np.testing.assert_allclose(in_crop(a.frame, landmarks, 64), in_crop(b.frame, turned_landmarks, 64), atol=1e-6)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(a.image[inner].astype(float) - b.image[inner]).mean() < 5
    wrong = align_face(turned, landmarks, **options)
    assert np.abs(a.image[inner].astype(float) - wrong.image[inner]).mean() > 15


def test_landmarks_lie_in_the_crop_where_the_frame_says():
    """A dot in the photograph is found in the crop at the mapped place, to a tenth of a pixel."""
    picture, landmarks = photograph(1, degrees=-17)
    dots = np.zeros_like(picture)
    eye = landmarks[36:42].mean(axis=0)
    x, y = np.meshgrid(np.arange(200), np.arange(160))
    dots[:] = (255 * np.exp(-((x - eye[0]) ** 2 + (y - eye[1]) ** 2) / 18))[:, :, None].astype(np.uint8)
    aligned = align_face(dots, landmarks, output_size=128, transform_size=512)
    np.testing.assert_allclose(centroid(aligned.image), in_crop(aligned.frame, eye[None], 128)[0], atol=0.1)


def centroid(image):
    weights = image[..., 0].astype(float)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


def test_large_faces_are_reduced_without_aliasing():
    """A fine chequerboard becomes grey instead of a moire pattern."""
    board = ((np.indices([1600, 1600]).sum(axis=0) % 2) * 255).astype(np.uint8)
    picture = np.repeat(board[:, :, None], 3, axis=2)
    points = moved(simple_landmarks(), similarity(5, 0, (100, 100)))
    crop = align_face(picture, points, output_size=32, transform_size=64).image
    assert crop.std() < 6


def test_beyond_the_edge_the_picture_goes_on():
    picture, landmarks = photograph(2, shift=(-10, -6))
    padded = align_face(picture, landmarks, output_size=64, transform_size=256).image
    black = align_face(picture, landmarks, output_size=64, transform_size=256, padding=False).image
    assert (black[2, 2] == 0).all()
    assert padded[2, 2].min() > 20
    np.testing.assert_array_equal(padded[20:-20, 20:-20], black[20:-20, 20:-20])


def test_landmarks_outside_of_the_picture_are_refused():
    picture, landmarks = photograph(2)
    with pytest.raises(UserError, match="outside of the picture"):
        align_face(picture, landmarks + 5000, output_size=64, transform_size=256)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_does_not_change_the_crop(orientation):
    """The picture stored turned or flipped, with the EXIF tag that undoes it, is the same picture."""
    picture, landmarks = photograph(4)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(picture)
    stored = stored.transpose(undo[orientation]) if orientation > 1 else stored
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    stored.save(file, "PNG", exif=exif)
    decoded = decode_picture(file.getvalue()).rgb
    crop = align_face(decoded, landmarks, output_size=64, transform_size=256).image
    expected = align_face(picture, landmarks, output_size=64, transform_size=256).image
    np.testing.assert_array_equal(crop, expected)


@pytest.mark.parametrize("degrees", [0, 31])
def test_a_face_goes_back_where_it_came_from(degrees):
    picture, landmarks = photograph(5, degrees=degrees, scale=0.8)
    smooth = gaussian_filter(picture, [2, 2, 0])
    aligned = align_face(smooth, landmarks, output_size=256, transform_size=1024)
    back = paste_back(smooth, aligned.image, aligned.frame)
    assert np.abs(back.astype(int) - smooth).max() <= 4
    inverted = paste_back(smooth, 255 - aligned.image, aligned.frame)
    inside = moved([[0, 0]], aligned.frame.matrix(1))[0].round().astype(int)
    assert np.abs(inverted[inside[1], inside[0]].astype(int) + smooth[inside[1], inside[0]] - 255).max() <= 4
    assert (inverted != smooth).any(axis=2).sum() <= aligned.frame.size_px**2 * 1.02


@pytest.mark.parametrize("side", [24, 64, 300])
def test_going_back_is_exact_below_a_pixel(side):
    """A blob drawn into the face lands in the photograph at the frame's place, for small and large faces."""
    picture, landmarks = photograph(6, degrees=12, scale=0.9)
    frame = align_face(picture, landmarks, output_size=64, transform_size=64).frame
    place = np.array([0.4, 0.55]) * side
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    blob = 255 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * (0.06 * side) ** 2))
    face = np.repeat(blob[:, :, None], 3, axis=2).astype(np.uint8)
    pasted = paste_back(np.zeros_like(picture), face, frame)
    np.testing.assert_allclose(centroid(pasted), frame.to_photo(place[None], side)[0], atol=0.05)


def test_the_edge_fades_and_the_rest_stays():
    picture, landmarks = photograph(7)
    frame = align_face(picture, landmarks, output_size=64, transform_size=64).frame
    white = np.full([64, 64, 3], 255, np.uint8)
    pasted = paste_back(np.zeros_like(picture), white, frame, feather=0.25)[..., 0]
    row = pasted[round(frame.quad[:, 1].mean())].astype(int)
    assert row.max() == 255
    assert np.abs(np.diff(row)).max() < 20
    hard = paste_back(np.zeros_like(picture), white, frame, feather=0)[..., 0]
    assert ((hard > 0) & (hard < 255)).mean() < 0.03
    with pytest.raises(UserError, match="feather"):
        paste_back(picture, white, frame, feather=0.7)
