"""Decoding of every colour mode and kind of damage, the pair of converters, crops, grids, atomic writing."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.data.decode import BadPicture, decode_picture, parse_background, resize_square
from src.data.images import (
    image_grid,
    save_jpeg,
    save_png,
    to_float,
    to_uint8,
)
from src.errors import UserError


def _encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _noise(size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def _with_size(png: bytes, width: int, height: int) -> bytes:
    """The same PNG with another size in its header."""
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def test_converters_undo_each_other_for_every_value() -> None:
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(2, 3, 16, 16)
    floats = to_float(values)
    assert floats.dtype == torch.float32
    assert floats.min() == -1 and floats.max() == 1
    assert torch.equal(to_uint8(floats), values)


def test_to_uint8_truncates_after_adding_128_and_clamps() -> None:
    x = torch.tensor([-2.0, -1.0, 0.0, 0.9999, 1.0, 7.0])
    assert to_uint8(x).tolist() == [0, 0, 128, 255, 255, 255]


def test_to_float_leaves_its_input_alone() -> None:
    values = torch.full([1, 3, 2, 2], 7, dtype=torch.uint8)
    to_float(values)
    assert (values == 7).all()


@pytest.mark.parametrize(
    ("mode", "color", "expected", "note"),
    [
        ("RGB", (10, 20, 30), (10, 20, 30), None),
        ("L", 77, (77, 77, 77), "grey"),
        ("1", 1, (255, 255, 255), "1 bit"),
        ("LA", (200, 255), (200, 200, 200), "transparency"),
        ("RGBA", (200, 100, 0, 0), (0, 0, 255), "transparency"),
    ],
)
def test_colour_modes(mode: str, color: object, expected: tuple[int, int, int], note: str | None) -> None:
    picture = decode_picture(_encoded(Image.new(mode, (16, 12), color)), background=(0, 0, 255))
    assert picture.rgb.shape == (12, 16, 3) and picture.rgb.dtype == np.uint8
    assert (picture.rgb == expected).all()
    assert picture.notes == [] if note is None else note in picture.notes[0]


def test_half_transparent_is_mixed_with_the_background() -> None:
    half = _encoded(Image.new("RGBA", (16, 16), (200, 0, 0, 128)))
    assert np.abs(decode_picture(half).rgb[0, 0].astype(int) - [100, 0, 0]).max() <= 1
    assert np.abs(decode_picture(half, background=(0, 200, 0)).rgb[0, 0].astype(int) - [100, 100, 0]).max() <= 1


@pytest.mark.parametrize("background", [(0, 0, 255), None])
def test_alpha_is_told_where_it_hides_something(background) -> None:
    pixels = np.full([10, 12, 4], 255, np.uint8)
    assert decode_picture(_encoded(Image.fromarray(pixels)), background=background).alpha is None
    assert decode_picture(_encoded(Image.fromarray(pixels[..., :3])), background=background).alpha is None
    pixels[:, 3:, 3] = 77
    picture = decode_picture(_encoded(Image.fromarray(pixels)), background=background)
    np.testing.assert_array_equal(picture.alpha, pixels[..., 3])


def test_palette_with_and_without_a_transparent_colour() -> None:
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([250, 0, 0, 0, 250, 0])
    picture.putpixel((3, 3), 1)
    opaque = decode_picture(_encoded(picture))
    assert opaque.rgb[0, 0].tolist() == [250, 0, 0] and opaque.rgb[3, 3].tolist() == [0, 250, 0]
    clear = decode_picture(_encoded(picture, transparency=0), background=(1, 2, 3))
    assert clear.rgb[0, 0].tolist() == [1, 2, 3] and clear.rgb[3, 3].tolist() == [0, 250, 0]


def test_cmyk_is_converted() -> None:
    picture = decode_picture(_encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    red, green, blue = picture.rgb[8, 8].astype(int)
    assert red > 200 and green < 60 and blue < 60
    assert picture.notes == ["CMYK to RGB"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_is_scaled_not_clipped(kind: str) -> None:
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    picture = decode_picture(_encoded(Image.fromarray(values), kind))
    assert (picture.rgb[..., 0].ravel() == np.arange(256)).all()
    assert picture.notes == ["16 bit grey to 8 bit"]


def test_float_tiff_with_nan_is_scaled() -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    values[0, 5] = np.nan
    grey = decode_picture(_encoded(Image.fromarray(values), "TIFF")).rgb[..., 0]
    assert grey[0, 0] == 0 and grey[-1, -1] == 255 and grey[0, 5] == 0


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_exif_orientation_is_applied(orientation: int, corner: tuple[int, int]) -> None:
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode_picture(_encoded(Image.fromarray(pixels), exif=exif))
    assert picture.rgb.shape == ((16, 24, 3) if orientation in (1, 3) else (24, 16, 3))
    assert (picture.rgb[corner] == 255).all() and picture.rgb.sum() == 3 * 255
    assert ("turned as its EXIF says" in picture.notes) == (orientation != 1)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\0\x12\x01"])
def test_broken_exif_does_not_cost_the_picture(exif: bytes) -> None:
    assert decode_picture(_encoded(Image.new("RGB", (16, 16), (9, 9, 9)), "JPEG", exif=exif)).rgb.shape == (16, 16, 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animations_give_their_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = _encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    picture = decode_picture(data)
    assert picture.rgb[4, 4].tolist() == [255, 0, 0]
    assert picture.notes[0] == "first of several frames"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_truncated_files_are_refused(kind: str, share: float) -> None:
    data = _encoded(_noise(), kind)
    assert decode_picture(data).rgb.shape == (64, 64, 3)
    with pytest.raises(BadPicture):
        decode_picture(data[: int(len(data) * share)])


def test_damage_is_named_without_numbers_that_differ_by_file() -> None:
    data = _encoded(_noise(), "BMP")
    for cut in (100, 1000):
        with pytest.raises(BadPicture, match=r"^damaged \(cut short\)$"):
            decode_picture(data[:-cut])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, not a picture", "not a picture"),
        (_encoded(Image.new("RGB", (4, 40))), "4x40 is too small"),
    ],
)
def test_what_is_no_picture_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadPicture, match=reason):
        decode_picture(data)


def test_too_many_pixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _encoded(Image.new("RGB", (100, 100)))
    with pytest.raises(BadPicture, match=r"100x100 is more than 0\.005 million"):
        decode_picture(data, max_pixels=5000)

    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    with pytest.raises(BadPicture, match="12000x12000 is more than 100 million"):
        decode_picture(_with_size(data, 12000, 12000))
    for bound in (10**8, 10**9):  # Pillow's own bound of 179 million is not the one that counts
        with pytest.raises(
            BadPicture, match=rf"more than {bound // 10**6} million pixels \(max_megapixels=10000 takes"
        ):
            decode_picture(_with_size(data, 100_000, 100_000), max_pixels=bound)


def test_paths_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_encoded(Image.new("RGB", (16, 16), (1, 2, 3))))
    assert decode_picture(tmp_path / "a.png").rgb[0, 0].tolist() == [1, 2, 3]
    assert decode_picture(str(tmp_path / "a.png")).rgb.shape == (16, 16, 3)
    with pytest.raises(BadPicture, match="cannot be read"):
        decode_picture(tmp_path / "b.png")


def test_background_names() -> None:
    assert parse_background("white") == (255, 255, 255)
    assert parse_background("#102030") == (16, 32, 48)
    with pytest.raises(ValueError, match=r"^give a colour name such as black, or #rrggbb$"):
        parse_background("blurple")


@pytest.mark.parametrize("shape", [(40, 20), (20, 40)])
def test_resize_square_takes_the_middle(shape: tuple[int, int]) -> None:
    pixels = np.zeros((*shape, 3), np.uint8)
    top, left = (shape[0] - 20) // 2, (shape[1] - 20) // 2
    pixels[top : top + 20, left : left + 20] = 90
    assert (resize_square(pixels, 20) == 90).all()
    assert resize_square(pixels, 16).shape == (16, 16, 3)
    assert (resize_square(pixels, 16) == 90).all()


def test_resize_square_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize_square(stripes, 8).astype(int)
    assert np.abs(small[:, 1:-1] - 127.5).max() < 8


def test_image_grid_places_and_pads() -> None:
    images = torch.arange(1, 6, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 2, 4)
    grid = image_grid(images, 3)
    assert grid.shape == (4, 12, 3) and grid.dtype == torch.uint8
    assert grid[::2, ::4, 0].tolist() == [[1, 2, 3], [4, 5, 0]]


def test_saving_is_exact_for_png_and_close_for_jpeg(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (64, 64, 3))
    png = save_png(tmp_path / "deep" / "a.png", torch.from_numpy(smooth.copy()))
    assert (np.asarray(Image.open(png)) == smooth).all()
    jpeg = save_jpeg(tmp_path / "a.jpg", smooth)
    assert np.abs(np.asarray(Image.open(jpeg)).astype(int) - smooth).max() < 6


def test_a_reader_keeps_the_picture_that_it_opened(tmp_path: Path) -> None:
    path = save_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    before = path.read_bytes()
    with open(path, "rb") as reader:
        save_png(path, np.full((8, 8, 3), 255, np.uint8))
        assert reader.read() == before
    assert path.read_bytes() != before


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    before = path.read_bytes()

    def half(self: Path, data: bytes) -> int:
        self.write_text("half", encoding="utf-8")
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(UserError, match=r"cannot be written \(disk full\)"):
        save_png(path, np.ones((8, 8, 3), np.uint8))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
