"""A folder of sixty bad pictures: no crash, each is named with its reason, good ones survive, memory is bounded."""

import io
import json
import os
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from src.data import open_dataset

from ..memory import run_and_measure
from ..prepare.trees import encoded, manifest, noise, write_files

pytestmark = pytest.mark.script

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 2 * 10**9


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def flat_png(width, height, colour_type, depth=8, promised=None):
    """A black PNG of any size, made without the memory for it; `promised`: another size in its header."""
    per_pixel = {0: 1, 2: 3, 6: 4}[colour_type] * depth // 8
    packer, row = zlib.compressobj(1), bytes(1 + width * per_pixel)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", *(promised or (width, height)), depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def turned(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture, "JPEG", exif=exif)


def animated(kind, **options):
    return encoded(noise(40), kind, save_all=True, append_images=[noise(41), noise(42)], **options)


def raw_ycbcr(*, reads):
    """A TIFF that Pillow reads from version 13 on: 12 takes it for cut off."""
    is_read = int(PIL.__version__.split(".")[0]) >= 13
    return {"ycbcr.tiff": encoded(noise(1, 64, 64).convert("YCbCr"), "TIFF")} if is_read == reads else {}


@cache
def odd_but_good():
    """Name to bytes: what can be used after a conversion."""
    picture = noise(1, 64, 64)
    alpha = picture.copy()
    alpha.putalpha(Image.linear_gradient("L").resize((64, 64)))
    palette, deep = picture.quantize(16), np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16
    clear = encoded(palette, transparency=3)
    return {
        "plain.png": encoded(picture),
        "plain.bmp": encoded(picture, "BMP"),
        "plain.webp": encoded(picture, "WEBP"),
        "plain.tiff": encoded(picture, "TIFF"),
        "wrong_suffix.jpg": encoded(picture),
        "no_suffix": encoded(picture, "JPEG"),
        "double.png.exe": encoded(picture, "GIF"),
        "grey.png": encoded(picture.convert("L")),
        "grey_alpha.png": encoded(picture.convert("LA")),
        "one_bit.png": encoded(picture.convert("1")),
        "alpha.png": encoded(alpha),
        "palette.png": encoded(palette),
        "palette_clear.png": clear,
        "cmyk.jpg": encoded(picture.convert("CMYK"), "JPEG"),
        "cmyk.tiff": encoded(picture.convert("CMYK"), "TIFF"),
        "lab.tiff": encoded(Image.new("LAB", (32, 32), (50, 128, 128)), "TIFF"),
        **raw_ycbcr(reads=True),
        "deep.png": encoded(Image.fromarray(deep)),
        "deep.tiff": encoded(Image.fromarray(deep), "TIFF"),
        "float.tiff": encoded(Image.fromarray(np.linspace(0, 1, 1024, dtype=np.float32).reshape(32, 32)), "TIFF"),
        "animated.gif": animated("GIF"),
        "animated.webp": animated("WEBP"),
        "animated.png": animated("PNG"),
        "turned.jpg": turned(picture, 6),
        "bad_exif.jpg": encoded(picture, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\0\x12\x01"),
        "wide.png": encoded(noise(2, 4000, 8)),
        "100mp.png": flat_png(10_000, 10_000, 6),
        "line\nbreak.png": encoded(picture),
        "ünï cödé 🎨.png": encoded(picture),
    }


@cache
def bad():
    """Name to bytes: what cannot be used."""
    png, jpg = encoded(noise(5, 64, 64)), encoded(noise(5, 64, 64), "JPEG")
    gif, webp, bmp = (encoded(noise(5, 64, 64), kind) for kind in ("GIF", "WEBP", "BMP"))
    files = {f"cut_{share}.png": png[: len(png) * share // 100] for share in (1, 10, 50, 97)}
    files |= {f"cut_{share}.jpg": jpg[: len(jpg) * share // 100] for share in (1, 10, 50, 95)}
    return files | {
        "cut.gif": gif[:200],
        "cut.webp": webp[:100],
        "cut.bmp": bmp[:-100],
        "cut.tiff": encoded(noise(5, 64, 64), "TIFF")[:-200],
        "header.png": png[:20],
        "empty.png": b"",
        "empty.jpg": b"",
        "text.png": b"hello",
        "page.jpg": b"<!doctype html><title>404</title>",
        "zeros.png": bytes(5000),
        "noise.jpg": b"\xff\xd8\xff\xe0" + bytes(range(256)),
        "magic.png": png[:8],
        "crc.png": png[:40] + bytes(20) + png[60:],
        "film.mp4": b"\0\0\0\x20ftypisom" + bytes(200),
        "vector.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "1x10000.png": encoded(Image.new("RGB", (1, 10_000))),
        "10000x1.png": encoded(Image.new("RGB", (10_000, 1))),
        "tiny.png": encoded(noise(5, 4, 4)),
        "101mp.png": flat_png(8, 8, 2, promised=(10_100, 10_000)),
        "gigapixel.png": flat_png(8, 8, 2, promised=(100_000, 100_000)),
        "promises.png": flat_png(8, 8, 2, promised=(3000, 3000)),
        **raw_ycbcr(reads=False),
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder, what cannot be used, and what the script printed and wrote."""
    folder = tmp_path_factory.mktemp("bad")
    write_files(folder / "in", odd_but_good() | bad())
    source, names = folder / "in", set(bad())
    (source / "loop.png").symlink_to("loop.png")
    (source / "dangling.png").symlink_to("nowhere.png")
    os.mkfifo(source / "pipe.png")
    (source / "ring").mkdir()
    (source / "ring" / "again").symlink_to(source, target_is_directory=True)
    names |= {"loop.png", "dangling.png", "pipe.png"}
    if os.geteuid() != 0:  # root reads everything
        (source / "locked.png").write_bytes(encoded(noise(6)))
        (source / "locked.png").chmod(0)
        names.add("locked.png")
    done, peak = run_and_measure(ROOT / "prepare.py", "source=in", "resolution=32", cwd=folder)
    return folder, names, done, peak


def test_nothing_crashes(prepared):
    _, _, done, _ = prepared
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr


def test_memory_is_bounded(prepared):
    _, _, _, peak = prepared
    if peak is None:
        pytest.skip("nobody counts memory here")
    assert peak < MAX_BYTES


def test_each_bad_one_is_named_with_its_reason(prepared):
    folder, names, done, _ = prepared
    report = json.loads((folder / "datasets" / "in-report" / "report.json").read_text())
    reasons = {row["file"]: row["reason"] for row in report["left_out"]}
    assert set(reasons) == names
    assert len(names) + len(odd_but_good()) >= 60
    assert all(reason and "\n" not in reason for reason in reasons.values())
    for name, words in {
        "empty.png": "empty file",
        "cut_50.png": "cut short",
        "1x10000.png": "1x10000 is too small",
        "101mp.png": "more than 100 million pixels",
        "gigapixel.png": "million pixels",
        "text.png": "not a picture",
        "loop.png": "cannot be read",
        "pipe.png": "not a regular file",
    }.items():
        assert words in reasons[name], (name, reasons[name])
    assert f"{len(reasons)} skipped" in done.stdout


def test_good_ones_survive(prepared):
    folder, _, _, _ = prepared
    out = folder / "datasets" / "in.zip"
    rows = manifest(out)["pictures"]
    assert {row["source"] for row in rows} == set(odd_but_good())
    assert len(open_dataset(out, on_bad="error")) == len(rows)
    notes = {row["source"]: row["notes"] for row in rows}
    assert "transparency on the background" in notes["100mp.png"] and "turned as its EXIF says" in notes["turned.jpg"]
    assert notes["plain.png"] == []


def test_the_generated_pictures_are_what_they_say():
    with Image.open(io.BytesIO(flat_png(20, 10, 6))) as picture:
        assert picture.size == (20, 10) and picture.mode == "RGBA" and not np.asarray(picture).any()
