"""Colour profiles of photographs, and the formats of phones that cannot be read."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from src.data import icc
from src.data.decode import BadPicture, decode_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
P3 = np.array([[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]])  # XYZ of D50
OF_SRGB = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]])


def profile(colorants: np.ndarray, name: str) -> bytes:
    """The profile of sRGB with other primaries and another name of the same length."""
    data = bytearray(SRGB.replace("sRGB built-in".encode("utf-16-be"), name.ljust(13).encode("utf-16-be")))
    for i in range(struct.unpack(">I", data[128:132])[0]):
        tag, offset, _ = struct.unpack(">4sII", data[132 + 12 * i : 144 + 12 * i])
        if tag in (b"rXYZ", b"gXYZ", b"bXYZ"):
            values = np.round(colorants[b"rgb".index(tag[:1])] * 65536).astype(int)
            data[offset + 8 : offset + 20] = struct.pack(">3i", *values)
    return bytes(data)


DISPLAY_P3, RENAMED_SRGB = profile(P3, "Display P3"), profile(OF_SRGB, "c2")


def linear(v: np.ndarray) -> np.ndarray:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def expected(rgb: np.ndarray) -> np.ndarray:
    """Display P3 to sRGB by the standards' formulas."""
    light = np.clip(linear(rgb / 255) @ P3 @ np.linalg.inv(OF_SRGB), 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def pixels(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, [24, 32, channels], dtype=np.uint8)


def encoded(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **options)
    return out.getvalue()


def test_display_p3_is_converted() -> None:
    picture = decode_picture(encoded(pixels(), icc_profile=DISPLAY_P3))
    assert np.abs(picture.rgb - expected(pixels())).max() < 2
    assert np.abs(picture.rgb.astype(int) - pixels()).max() > 20
    assert picture.notes == [icc.TO_SRGB]


def test_a_turned_jpeg_is_converted_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    array = np.full([16, 24, 3], (200, 60, 60), np.uint8)
    picture = decode_picture(encoded(array, "JPEG", icc_profile=DISPLAY_P3, exif=exif, quality=100))
    assert picture.rgb.shape == (24, 16, 3)
    assert np.abs(picture.rgb[8, 8] - expected(array[0, 0])).max() < 4
    assert picture.notes == ["turned as its EXIF says", icc.TO_SRGB]


def test_the_colours_of_a_transparent_picture_are_converted_before_it_is_composited() -> None:
    array = pixels(4)
    array[..., 3] = 255 * (np.arange(32) < 16)
    picture = decode_picture(encoded(array, icc_profile=DISPLAY_P3), background=(10, 200, 30))
    assert np.abs(picture.rgb[:, :16] - expected(array[:, :16, :3])).max() < 2
    assert (picture.rgb[:, 16:] == (10, 200, 30)).all()
    assert picture.notes == [icc.TO_SRGB, "transparency on the background"]


@pytest.mark.parametrize("data", [None, SRGB, RENAMED_SRGB], ids=["none", "sRGB", "sRGB by another name"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_srgb_stays_bit_equal(data: bytes | None, kind: str) -> None:
    plain = decode_picture(encoded(pixels(), kind))
    picture = decode_picture(encoded(pixels(), kind, icc_profile=data))
    assert np.array_equal(picture.rgb, plain.rgb)
    assert picture.notes == []


@pytest.mark.parametrize("data", [b"rubbish", DISPLAY_P3[:300], DISPLAY_P3.replace(b"RGB ", b"CMYK", 1)])
def test_a_broken_profile_leaves_the_pixels_and_says_so(data: bytes) -> None:
    picture = decode_picture(encoded(pixels(), icc_profile=data))
    assert np.array_equal(picture.rgb, pixels())
    assert picture.notes == [icc.UNUSABLE]


def test_other_modes_stay_as_they_are() -> None:
    grey = pixels()[..., 0]
    picture = decode_picture(encoded(grey, icc_profile=DISPLAY_P3))
    assert np.array_equal(picture.rgb[..., 0], grey) and picture.notes == ["grey to RGB"]
    deep = grey.astype(np.uint16) * 257
    assert np.array_equal(decode_picture(encoded(deep, icc_profile=DISPLAY_P3)).rgb[..., 0], grey)
    palette = Image.fromarray(pixels()).quantize(16)
    out = io.BytesIO()
    palette.save(out, "PNG", icc_profile=DISPLAY_P3)
    assert np.array_equal(decode_picture(out.getvalue()).rgb, np.asarray(palette.convert("RGB")))


def test_one_transform_serves_all_pictures_of_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    icc._transform.cache_clear()
    for _ in range(3):
        decode_picture(encoded(pixels(), icc_profile=DISPLAY_P3))
        decode_picture(encoded(pixels(), icc_profile=SRGB))
    assert icc._transform.cache_info().misses == 2


def isobmff(major: bytes, *compatible: bytes) -> bytes:
    box = b"".join([b"ftyp", major, bytes(4), *compatible])
    return struct.pack(">I", len(box) + 4) + box + struct.pack(">I4s", 108, b"mdat") + bytes(100)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (isobmff(b"heic", b"mif1", b"heic"), "an HEIC photograph, as iPhones take them: convert it to JPEG"),
        (isobmff(b"heix", b"mif1", b"heix"), "an HEIC photograph"),
        (isobmff(b"mif1", b"mif1", b"heic"), "an HEIC photograph"),
        (isobmff(b"msf1", b"hevc"), "an HEIC photograph"),
        (isobmff(b"mif1", b"mif1", b"avif"), "an AVIF picture that this Pillow cannot read"),
        (isobmff(b"isom", b"mp41"), "^not a picture that can be read$"),
        (b"\0\0\0\x18ftyp", "^not a picture that can be read$"),
    ],
)
def test_formats_of_phones_are_named(data: bytes, words: str) -> None:
    with pytest.raises(BadPicture, match=words) as error:
        decode_picture(data)
    assert "\n" not in str(error.value)
