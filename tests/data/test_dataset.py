"""Folders and zips of pictures: what is found, converted, left out, labelled, refused, fingerprinted."""

import io
import json
import os
import pickle
import threading
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.data import DatasetSettings, open_configured_dataset, open_dataset
from src.data.dataset import PictureDataset
from src.data.sources import FolderSource, ZipSource, natural_order
from src.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def _picture(seed: int = 0, size: int = 16, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)).save(out, kind)
    return out.getvalue()


def _encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def _zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _labels(table: object) -> bytes:
    return json.dumps({"labels": table}).encode()


@pytest.fixture
def odd_files() -> dict[str, bytes]:
    """One file of each kind of oddity: eight can be used, eight cannot."""
    rgb = Image.open(io.BytesIO(_picture(1, 32)))
    animation = _encoded(rgb, "GIF", save_all=True, append_images=[Image.new("RGB", (32, 32), (255, 0, 0))])
    deep = Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32) * 60)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "ok/plain.png": _picture(0, 32),
        "ok/grey.png": _encoded(rgb.convert("L")),
        "ok/alpha.png": _encoded(rgb.convert("RGBA")),
        "ok/cmyk.jpg": _encoded(rgb.convert("CMYK"), "JPEG"),
        "ok/deep.png": _encoded(deep),
        "ok/animated.gif": animation,
        "ok/wide.png": _encoded(rgb.resize((50, 20))),
        "ok/turned.jpg": _encoded(rgb, "JPEG", exif=exif),
        "bad/cut.png": _picture(2, 32)[:-100],
        "bad/cut.jpg": _picture(2, 32, "JPEG")[:-100],
        "bad/empty.png": b"",
        "bad/text.png": b"not a picture",
        "bad/web.jpg": b"<!doctype html><title>404</title>",
        "bad/tiny.png": _encoded(rgb.resize((3, 3))),
        "bad/line.png": _encoded(rgb.resize((500, 1))),
        "bad/noise.jpg": b"\xff\xd8\xff\xe0" + bytes(range(256)),
    }


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_odd_and_broken_files_are_converted_or_left_out_with_a_reason(
    kind: str, tmp_path: Path, odd_files: dict[str, bytes]
) -> None:
    path = _folder(tmp_path / "set", odd_files) if kind == "folder" else _zip(tmp_path / "set.zip", odd_files)
    dataset = open_dataset(path, resolution=16)
    usable = {name for name in odd_files if name.startswith("ok/")}
    report = dataset.report
    assert report.used == len(dataset) == len(usable) == 8
    assert set(report.skipped) == set(odd_files) - usable
    assert all(report.skipped.values())
    assert set(report.converted) == usable - {"ok/plain.png"}
    assert report.skipped["bad/cut.png"] == "damaged (cut short)"
    assert report.skipped["bad/empty.png"] == "empty file"
    assert report.converted["ok/wide.png"] == ["cropped to its middle square"]
    assert all(image.shape == (3, 16, 16) and image.dtype == torch.uint8 for image, _ in dataset)
    assert "8 pictures" in report.summary() and "8 skipped" in report.summary() and "\n" not in report.summary()
    assert json.loads(json.dumps(report.as_dict()))["num_skipped"] == 8


def test_on_bad_error_names_the_first_file_and_reason(tmp_path: Path, odd_files: dict[str, bytes]) -> None:
    path = _folder(tmp_path, odd_files)
    with pytest.raises(UserError, match=r"bad/cut\.jpg: damaged \(cut short\) \(8 bad pictures"):
        open_dataset(path, resolution=16, on_bad="error")
    with pytest.raises(UserError, match="on_bad=ignore"):
        open_dataset(path, resolution=16, on_bad="ignore")


def test_folder_and_zip_of_the_same_files_are_the_same_set(tmp_path: Path) -> None:
    files = {f"{i // 2:05d}/img{i:08d}.png": _picture(i) for i in range(5)} | {"dataset.json": _labels(None)}
    folder, archive = open_dataset(_folder(tmp_path / "a", files)), open_dataset(_zip(tmp_path / "b.zip", files))
    assert torch.equal(folder.images, archive.images)
    assert folder.fingerprint == archive.fingerprint
    assert (folder.name, archive.name) == ("a", "b")
    assert folder.resolution == 16 and folder.num_classes == 0 and folder.labels is None
    expected = np.asarray(Image.open(io.BytesIO(files["00001/img00000002.png"]))).transpose(2, 0, 1)
    assert (folder[2][0].numpy() == expected).all()


def test_natural_order_does_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    names = ["img10.png", "img2.png", "img02.png", "b/1.png", "5²6.png", "img1.png", "a10/1.png", "a9/1.png"]
    expected = ["5²6.png", "a9/1.png", "a10/1.png", "b/1.png", "img1.png", "img02.png", "img2.png", "img10.png"]
    for number, order in enumerate((names, names[::-1])):
        path = _folder(tmp_path / str(number), dict.fromkeys(order, b""))
        assert FolderSource(path).names() == expected
    assert sorted(names, key=natural_order) == expected
    assert natural_order("9" * 5000 + ".png") > natural_order("8" * 5000 + ".png")


def test_hidden_files_and_link_loops_are_left_out(tmp_path: Path) -> None:
    files = {"a.png": _picture(0), ".b.png": _picture(1), ".c/d.png": _picture(2), "e/f.png": _picture(3)}
    path = _folder(tmp_path, files)
    (path / "e" / "loop").symlink_to(path, target_is_directory=True)
    assert FolderSource(path).names() == ["a.png", "e/f.png"]
    mac = _zip(tmp_path / "m.zip", {"a.png": b"", "__MACOSX/._a.png": b"", ".x/b.png": b"", "d/.DS_Store": b""})
    assert ZipSource(mac).names() == ["a.png"]


SYSTEM = {
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "a/desktop.ini": b"[.ShellClassInfo]",
    "a/ehthumbs.db": b"x",
    "Icon\r": b"",
    "@eaDir/1.png/SYNOPHOTO_THUMB_S.jpg": _picture(7),
    "$RECYCLE.BIN/x.png": _picture(8),
    "lost+found/x": b"x",
    "__MACOSX/1.png": b"x",
    "a/1.xmp": b"<x:xmpmeta/>",
    "IMG_1.AAE": b"<plist/>",
    "shortcut.lnk": b"L",
}


@pytest.mark.parametrize("write", [_folder, _zip], ids=["folder", "zip"])
def test_what_operating_systems_put_into_folders_is_no_picture(
    write: Callable[[Path, Mapping[str, bytes]], Path], tmp_path: Path
) -> None:
    """At 18fbb5f on_bad=error refused Thumbs.db and desktop.ini, which nobody has put there."""
    files = {f"{i}.png": _picture(i) for i in range(3)}
    bare = open_dataset(write(tmp_path / "bare", files), on_bad="error")
    dataset = open_dataset(write(tmp_path / "set", files | SYSTEM), on_bad="error")
    assert len(dataset) == 3 and dataset.fingerprint == bare.fingerprint and not dataset.report.skipped
    with pytest.raises(UserError, match=r"film\.mp4: .*1 bad pictures"):
        open_dataset(write(tmp_path / "film", files | {"film.mp4": b"x"}), on_bad="error")


def test_what_is_no_regular_file_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _folder(tmp_path, {"a.png": _picture(0), "b.png": _picture(1), "big.png": _picture(2, 64)})
    os.mkfifo(path / "pipe.png")
    (path / "gone.png").symlink_to(path / "nowhere.png")
    monkeypatch.setattr("src.data.sources.MAX_FILE_BYTES", 2**12)
    skipped = open_dataset(path).report.skipped
    assert skipped["pipe.png"] == "not a regular file"
    assert "No such file" in skipped["gone.png"]
    assert "more than" in skipped["big.png"]


def test_file_names_that_are_not_utf8_are_usable(tmp_path: Path) -> None:
    path = _folder(tmp_path, {"a.png": _picture(0)})
    try:
        with open(os.path.join(os.fsencode(path), b"b\xff.png"), "wb") as file:
            file.write(_picture(1))
    except OSError:
        pytest.skip("this file system refuses such names")
    assert len(open_dataset(path)) == 2


def test_labels_follow_their_pictures(tmp_path: Path) -> None:
    names = [f"00000/img{i:08d}.png" for i in range(4)]
    files = {name: _picture(i) for i, name in enumerate(names)} | {"00000/img00000001.png": b"broken"}
    table = [[name, 3 - i] for i, name in enumerate(names)]
    dataset = open_dataset(_zip(tmp_path / "x.zip", files | {"dataset.json": _labels(table[::-1])}))
    assert dataset.labels == [3, 1, 0] and dataset.num_classes == 4
    assert [label for _, label in dataset] == [3, 1, 0]


def test_a_zip_written_with_leading_dots_keeps_pictures_and_labels(tmp_path: Path) -> None:
    files = {"./a.png": _picture(0), "./b.png": _picture(1), "./dataset.json": _labels([["a.png", 1], ["b.png", 0]])}
    dataset = open_dataset(_zip(tmp_path / "x.zip", files))
    assert dataset.labels == [1, 0]


def test_resolution_is_found_or_asked_for(tmp_path: Path) -> None:
    same = {"a.png": _picture(0, 32), "b.png": _picture(1, 32)}
    assert open_dataset(_folder(tmp_path / "same", same)).resolution == 32
    for name, files, shown in (
        ("mixed", same | {"c.png": _picture(2, 64)}, "32x32, 64x64"),
        ("odd", {"a.png": _picture(0, 48), "b.png": _picture(1, 48)}, "48x48"),
    ):
        path = _folder(tmp_path / name, files)
        with pytest.raises(UserError, match=rf"{name}: pictures of {shown}.*dataset\.resolution"):
            open_dataset(path)
        assert open_dataset(path, resolution=16)[0][0].shape == (3, 16, 16)
    notes = open_dataset(tmp_path / "same", resolution=64).report.converted
    assert notes == {"a.png": ["enlarged"], "b.png": ["enlarged"]}
    for wrong in (0, 4, 48, -16):
        with pytest.raises(UserError, match=f"dataset.resolution={wrong}"):
            open_dataset(tmp_path / "same", resolution=wrong)


def _unusable(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    cut = _zip(tmp_path / "cut.zip", {"a.png": _picture(0), "b.png": _picture(1)})
    cut.write_bytes(cut.read_bytes()[:-30])
    index = _zip(tmp_path / "index.zip", {"a.png": _picture(0), "b.png": _picture(1)})
    index.write_bytes(index.read_bytes().replace(b"PK\x01\x02", b"XXXX"))
    return {
        "missing": (tmp_path / "nowhere", "no such folder or file"),
        "empty": (_folder(tmp_path / "empty", {".hidden": b""}), "no files in it"),
        "one": (_folder(tmp_path / "one", {"a.png": _picture(0)}), "1 usable pictures, at least 2"),
        "broken": (
            _folder(tmp_path / "broken", {"a.png": b"", "b.png": b"x"}),
            "0 usable .*2 skipped: 1 empty file, 1",
        ),
        "file": (_folder(tmp_path / "file", {"a.png": _picture(0)}) / "a.png", "not a zip"),
        "cut": (cut, "not a zip file, or cut short"),
        "index": (index, "not a zip file, or cut short"),
        "tfrecords": (_folder(tmp_path / "tf", {"tf-r05.tfrecords": b"x"}), "not a TFRecord file"),
    }


@pytest.mark.parametrize("case", ["missing", "empty", "one", "broken", "file", "cut", "index", "tfrecords"])
def test_unusable_paths_give_one_line_that_names_them(case: str, tmp_path: Path) -> None:
    path, message = _unusable(tmp_path)[case]
    with pytest.raises(UserError, match=message) as caught:
        open_dataset(path, resolution=16)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_zip_member_is_left_out(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {f"{i}.png": _picture(i) for i in range(3)})
    data = bytearray(path.read_bytes())
    data[data.find(_picture(1)) + 200] ^= 255
    path.write_bytes(bytes(data))
    dataset = open_dataset(path)
    assert len(dataset) == 2 and "cannot be read from the zip" in dataset.report.skipped["1.png"]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_on_demand_equals_in_memory(kind: str, tmp_path: Path, odd_files: dict[str, bytes]) -> None:
    path = _folder(tmp_path / "set", odd_files) if kind == "folder" else _zip(tmp_path / "set.zip", odd_files)
    memory, demand = (open_dataset(path, resolution=16, memory_limit_mb=mb) for mb in (2048, 0))
    assert memory.images is not None and demand.images is None
    assert memory.fingerprint == demand.fingerprint and len(memory) == len(demand)
    assert torch.equal(memory.images, torch.stack([image for image, _ in demand]))


def test_zip_is_read_by_threads_and_after_pickling(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {f"{i}.png": _picture(i) for i in range(40)})
    whole = open_dataset(path).images
    demand = open_dataset(path, memory_limit_mb=0)
    barrier = threading.Barrier(4)

    def read(part: int) -> list[torch.Tensor]:
        barrier.wait()
        return [demand[i][0] for i in range(part, 40, 4)]

    with ThreadPoolExecutor(4) as pool:
        for part, images in enumerate(pool.map(read, range(4))):
            assert torch.equal(torch.stack(images), whole[part::4])
    copy: PictureDataset = pickle.loads(pickle.dumps(demand))
    assert torch.equal(copy[7][0], whole[7])


def test_a_picture_that_vanishes_later_is_named(tmp_path: Path) -> None:
    dataset = open_dataset(_folder(tmp_path, {"a.png": _picture(0), "b.png": _picture(1)}), memory_limit_mb=0)
    (tmp_path / "b.png").write_bytes(_picture(1)[:-50])
    assert dataset[0][0].shape == (3, 16, 16)
    with pytest.raises(UserError, match=r"b\.png: is another picture than when the data set was checked"):
        dataset[1]


def test_index_bounds(tmp_path: Path) -> None:
    dataset = open_dataset(_folder(tmp_path, {"a.png": _picture(0), "b.png": _picture(1)}))
    for index in (2, -1):
        with pytest.raises(IndexError):
            dataset[index]
    assert len(list(dataset)) == 2


FILES = {"a.png": _picture(0), "b.png": _picture(1)}
CHANGES: dict[str, Callable[[], dict[str, bytes]]] = {
    "a byte": lambda: FILES | {"b.png": FILES["b.png"][:-1] + bytes([FILES["b.png"][-1] ^ 1])},
    "a name": lambda: {"a.png": FILES["a.png"], "c.png": FILES["b.png"]},
    "swapped contents": lambda: {"a.png": FILES["b.png"], "b.png": FILES["a.png"]},
    "one more": lambda: FILES | {"c.png": _picture(2)},
    "labels": lambda: FILES | {"dataset.json": _labels([["a.png", 0], ["b.png", 1]])},
}


@pytest.mark.parametrize("change", CHANGES)
def test_fingerprint_changes_with(change: str, tmp_path: Path) -> None:
    before = open_dataset(_folder(tmp_path / "before", FILES)).fingerprint
    assert open_dataset(_folder(tmp_path / "after", CHANGES[change]())).fingerprint != before


def test_fingerprint_covers_settings_and_label_values_but_not_place_or_unused_files(tmp_path: Path) -> None:
    first = _folder(tmp_path / "first", FILES)
    same = _folder(tmp_path / "second", FILES | {".hidden": b"1", "notes.txt": b"2", "dataset.json": _labels(None)})
    before = open_dataset(first).fingerprint
    assert open_dataset(same, name="other").fingerprint == before
    assert open_dataset(first, resolution=16).fingerprint == before  # what it was found to be
    assert (
        len({before, *(open_dataset(first, **s).fingerprint for s in ({"resolution": 8}, {"background": "white"}))})
        == 3
    )
    tables = ([["a.png", 0], ["b.png", 1]], [["a.png", 1], ["b.png", 0]])
    labelled = [_folder(tmp_path / str(i), FILES | {"dataset.json": _labels(t)}) for i, t in enumerate(tables)]
    assert open_dataset(labelled[0]).fingerprint != open_dataset(labelled[1]).fingerprint


def test_configured_folder(tmp_path: Path) -> None:
    path = _folder(tmp_path, {"a.png": _picture(0), "b.png": _picture(1)})
    settings = {"name": "folder", "kind": "pictures", "path": path, "resolution": 8, "mirror": True, "on_bad": "skip"}
    assert open_configured_dataset(DatasetSettings(**settings, background="white"))[1][0].shape == (3, 8, 8)
    with pytest.raises(UserError, match="path=null: is missing"):
        DatasetSettings(**{**settings, "path": None})


@pytest.mark.skipif(not (SHARED / "ferg400").is_dir(), reason="real pictures are not at hand")
def test_real_cartoons() -> None:
    dataset = open_dataset(SHARED / "ferg400")
    assert (len(dataset), dataset.resolution, dataset.report.skipped) == (400, 256, {})


@pytest.mark.skipif(not (SHARED / "faces128.zip").is_file(), reason="real pictures are not at hand")
def test_real_faces() -> None:
    dataset = open_dataset(SHARED / "faces128.zip", resolution=32, memory_limit_mb=1)
    assert (len(dataset), dataset.report.skipped, dataset.images) == (5500, {}, None)
    assert dataset[5499][0].float().std() > 10
