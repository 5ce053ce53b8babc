"""Metadata never costs a picture; large photographs are read at half their size, or by a limit that can be raised."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from src.data import BadPicture, decode_picture, open_dataset
from src.data.metadata import METADATA_LEFT_OUT, without_metadata
from src.faces import Face, FaceSettings, FileLandmarks, find_faces, open_photos
from src.prepare.farthest import thumbnail

from ..faces.pictures import photograph
from ..prepare.trees import encoded, left_out, noise, run_prepare, write_files
from .test_profiles import DISPLAY_P3

PICTURE = noise(3, 48, 32)
PIXELS = np.asarray(PICTURE)
MB = 2**20


def chunk(kind, data, *, sound=True):
    checksum = zlib.crc32(kind + data) ^ (0 if sound else 1)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png_with(*chunks, after=False):
    """The picture as PNG, with chunks before its pixels or after them."""
    data = encoded(PICTURE)
    position = data.rindex(b"IEND") - 4 if after else 33
    return data[:position] + b"".join(chunks) + data[position:]


def text(num_bytes, kind=b"zTXt"):
    packed = zlib.compress(bytes(num_bytes))
    return chunk(kind, b"a\0\0" + packed if kind == b"zTXt" else b"a\0\1\0\0\0" + packed)


def same(picture):
    return np.array_equal(picture.rgb, PIXELS)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_long_texts_are_passed_over(kind, after):
    """At 18fbb5f: damaged (Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK)."""
    picture = decode_picture(png_with(text(2 * MB, kind), after=after))
    assert same(picture) and picture.notes == []
    endless = decode_picture(png_with(text(2 * PngImagePlugin.MAX_TEXT_CHUNK, kind), after=after))
    many = decode_picture(png_with(*[text(12 * MB, kind)] * 6, after=after))
    for picture in (endless, many):
        assert same(picture) and picture.notes in ([], [METADATA_LEFT_OUT])  # those after the pixels are not read


def test_a_large_profile_still_counts():
    """At 18fbb5f a profile of more than 1 MB cost the picture."""
    padded = bytearray(DISPLAY_P3 + np.random.default_rng(0).bytes(2 * MB))
    padded[:4] = struct.pack(">I", len(padded))
    packed = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(padded)))
    wanted = decode_picture(encoded(PICTURE, icc_profile=DISPLAY_P3))
    found = decode_picture(png_with(packed))
    assert np.array_equal(found.rgb, wanted.rgb) and not same(found) and found.notes == wanted.notes


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"tEXt", b"a\0b", sound=False),
        chunk(b"iCCP", b"p\0\7" + zlib.compress(b"x")),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2 * PngImagePlugin.MAX_TEXT_CHUNK))),
        chunk(b"eXIf", b"MM\0*", sound=False),
        chunk(b"zTXt", b"a\0\7x"),
        chunk(b"tIME", b"\0", sound=False),
    ],
    ids=["checksum", "method", "endless profile", "Exif", "text method", "time"],
)
def test_damaged_metadata_is_left_out_and_said(broken):
    picture = decode_picture(png_with(broken))
    assert same(picture) and picture.notes == [METADATA_LEFT_OUT]


def test_what_is_seen_by_stays():
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = encoded(PICTURE.convert("P"), transparency=0, exif=exif)
    position = clear.index(b"PLTE") - 4
    data = clear[:position] + text(2 * PngImagePlugin.MAX_TEXT_CHUNK) + clear[position:]
    wanted, found = decode_picture(clear, background=(9, 9, 9)), decode_picture(data, background=(9, 9, 9))
    assert found.rgb.shape == (48, 32, 3) and np.array_equal(found.rgb, wanted.rgb)
    assert found.notes == [METADATA_LEFT_OUT, *wanted.notes]


def test_pixels_that_are_damaged_stay_a_reason():
    whole = png_with(text(2 * PngImagePlugin.MAX_TEXT_CHUNK))
    with pytest.raises(BadPicture, match=r"damaged|not a picture"):
        decode_picture(whole[:-40])
    assert without_metadata(b"GIF89a") == b"GIF89a" and without_metadata(b"") == b""


def test_jpegs_with_broken_segments_are_read():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(PICTURE, "JPEG", exif=exif, quality=95)
    wanted = decode_picture(data)
    for marker, content in ((b"\xe2", b"ICC_PROFILE\0"), (b"\xe2", b"MPF\0"), (b"\xed", b"Photoshop 3.0\x008BIM\x04")):
        broken = data[:2] + b"\xff" + marker + struct.pack(">H", len(content) + 2) + content + data[2:]
        found = decode_picture(broken)
        assert np.array_equal(found.rgb, wanted.rgb) and "turned as its EXIF says" in found.notes


def test_sets_of_such_files_are_whole(tmp_path):
    folder = write_files(tmp_path / "in", {f"{i}.png": png_with(text((i + 1) * MB)) for i in range(3)})
    assert len(open_dataset(folder, resolution=16, on_bad="error")) == 3


def photo(width, height, **options):
    return encoded(noise(1, width, height), "JPEG", quality=95, **options)


def test_a_jpeg_beyond_the_limit_is_read_at_half_its_size():
    """As phones of 108 and 200 megapixels write them, at the usual limit of 100 million; here in small."""
    data = photo(200, 120)
    picture = decode_picture(data, max_pixels=10_000)
    assert picture.rgb.shape == (60, 100, 3) and picture.reduction == 2
    assert picture.notes == ["decoded at half size (more than 0.01 million pixels)"]
    whole = decode_picture(data, max_pixels=24_000)
    assert whole.rgb.shape == (120, 200, 3) and whole.reduction == 1 and whole.notes == []
    half = Image.fromarray(whole.rgb).resize((100, 60), Image.Resampling.BOX)
    assert np.abs(np.asarray(half).astype(int) - picture.rgb).mean() < 2
    with pytest.raises(
        BadPicture, match=r"200x120 is more than 0\.005 million pixels \(max_megapixels=1 takes it, and 0\.0 GB"
    ):
        decode_picture(data, max_pixels=5_000)
    with pytest.raises(BadPicture, match="more than"):
        decode_picture(encoded(noise(1, 200, 120)), max_pixels=10_000)


def test_the_limit_names_the_option_and_the_memory(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    data = bytearray(encoded(PICTURE))
    data[16:24] = struct.pack(">II", 16_320, 12_240)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    words = r"16320x12240 is more than 100 million pixels \(max_megapixels=200 takes it, and 2\.8 GB\)"
    with pytest.raises(BadPicture, match=words):
        decode_picture(bytes(data))
    with pytest.raises(BadPicture, match=words):
        thumbnail(bytes(data), (0, 0, 0))  # which looks at a picture without decoding all of it


def test_turned_and_cmyk_photographs_are_halved_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode_picture(photo(200, 120, exif=exif), max_pixels=10_000)
    assert turned.rgb.shape == (100, 60, 3) and len(turned.notes) == 2
    buffer = io.BytesIO()
    noise(1, 200, 120).convert("CMYK").save(buffer, "JPEG")
    assert decode_picture(buffer.getvalue(), max_pixels=10_000).rgb.shape == (60, 100, 3)


def test_the_option_raises_the_limit_in_every_program(tmp_path):
    folder = write_files(
        tmp_path / "in", {"a.png": encoded(noise(1, 1200, 900)), "b.png": encoded(noise(2)), "c.png": encoded(noise(3))}
    )
    low, high = (open_dataset(folder, resolution=16, max_megapixels=m) for m in (1, 1.1))
    assert (
        list(low.report.skipped) == ["a.png"] and "max_megapixels=2" in low.report.skipped["a.png"] and len(high) == 3
    )
    out = run_prepare(f"source={folder}", f"out={tmp_path}/o.zip", "resolution=16", "max_megapixels=1")
    assert list(left_out(out)) == ["a.png"]
    assert len(open_dataset(run_prepare(f"source={folder}", f"out={tmp_path}/o.zip", "resolution=16"))) == 3
    refused = {
        r.photo: r.refused for r, _, _ in find_faces(open_photos(folder), None, FaceSettings(max_megapixels=1), 16)
    }
    assert "max_megapixels=2" in refused["a.png"][0] and not refused["b.png"]


def test_reduced_and_whole_are_different_sets(tmp_path):
    folder = write_files(tmp_path / "in", {f"{i}.jpg": photo(1200, 900 + i) for i in range(2)})
    low, high = (open_dataset(folder, resolution=16, max_megapixels=m) for m in (1, 2))
    assert len(low) == 2 and low.fingerprint != high.fingerprint


def test_landmark_files_are_of_the_whole_photograph(tmp_path, monkeypatch):
    picture, points = photograph(0, size=(400, 320), scale=2.0)
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=95)
    np.save(tmp_path / "a.npy", points)
    photos = open_photos(tmp_path)
    found = {}
    for pixels in (64_000, 10**6):
        monkeypatch.setattr(FaceSettings, "max_pixels", pixels)
        ((_, (face,), landmarks),) = find_faces(photos, FileLandmarks(photos), FaceSettings(align_px=64), 64)
        found[pixels] = (face.frame.size_px, face.image.astype(int), list(landmarks))
    (half, small, key), (whole, image, other) = found.values()
    assert abs(half / whole - 0.5) < 0.01 and np.abs(small - image).mean() < 6 and key != other


def test_landmarks_of_a_detector_are_of_what_it_sees(tmp_path, monkeypatch):
    class Sees:
        def find(self, image, name):
            assert image.shape == (160, 200, 3)
            return [Face(photograph(0)[1])]

        def identity(self, name):
            return "sees"

    picture, _ = photograph(0, size=(400, 320))
    Image.fromarray(picture).save(tmp_path / "a.jpg")
    photos = open_photos(tmp_path)
    monkeypatch.setattr(FaceSettings, "max_pixels", 64_000)
    ((_, (face,), _),) = find_faces(photos, Sees(), FaceSettings(align_px=32), 16)
    assert face.image.shape == (16, 16, 3)
