"""TFRecords: bit-equal to files written byte by byte here, in order, with labels; damage is named, memory small."""

import gzip
import io
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.cli import compose_config
from src.data import DatasetSettings, open_configured_dataset, open_dataset, write_tfrecords
from src.data.tf_example import NotAnExample, encode_example, parse_example
from src.data.tfrecord import RecordFile, masked_crc32c
from src.errors import UserError
from src.options import read

from ..memory import grows_by_less_than
from . import tfrecords as plain


def pictures(count=5, side=16, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [count, channels, side, side], dtype=np.uint8)


def one_hot(classes, count=3):
    return np.eye(count, dtype=np.float32)[list(classes)]


def stacked(dataset):
    return torch.stack([image for image, _ in dataset]).numpy()


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720, B.4, and the usual check value
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
        (b"a", 0xC1D04330),
    ],
)
def test_known_checksums(data, crc):
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc32c(data) == struct.pack("<I", masked) == plain.masked(data)


@pytest.mark.parametrize("memory_mb", [2048, 0])
def test_a_folder_is_read_bit_equal_in_order_with_labels(tmp_path, memory_mb):
    images = pictures()
    path = plain.write_set(tmp_path / "faces", images, one_hot([2, 0, 1, 1, 2]), sizes=(4, 8))
    dataset = open_dataset(path, memory_limit_mb=memory_mb)
    assert dataset[3][0].dtype == torch.uint8 and (dataset.images is None) == (memory_mb == 0)
    assert np.array_equal(stacked(dataset), images)
    assert [label for _, label in dataset] == [2, 0, 1, 1, 2] and dataset.num_classes == 3
    assert (dataset.report.skipped, dataset.report.converted, dataset.name) == ({}, {}, "faces")


def test_the_level_of_the_asked_resolution_is_taken(tmp_path):
    images = pictures(side=32)
    path = plain.write_set(tmp_path / "faces", images, sizes=(4, 8))
    assert np.array_equal(stacked(open_dataset(path, resolution=8)), images[:, :, ::4, ::4])
    assert np.array_equal(stacked(open_dataset(path, resolution=32)), images)
    made = open_dataset(path, resolution=16)  # not there: from the largest
    assert made.resolution == 16 and made.report.converted == {}
    assert open_dataset(path, resolution=64).report.converted["faces-r05.tfrecords/00000000"] == ["enlarged"]
    single = open_dataset(path / "faces-r03.tfrecords")
    assert single.resolution == 8 and np.array_equal(stacked(single), images[:, :, ::4, ::4])


def test_files_are_told_by_their_records_not_by_their_names(tmp_path):
    folder = plain.write_set(tmp_path / "faces", pictures(side=32), sizes=(8,))
    (folder / "faces-r03.tfrecords").rename(folder / "zz.tfrecords")
    assert open_dataset(folder).resolution == 32
    (folder / "more.tfrecords").write_bytes((folder / "zz.tfrecords").read_bytes())
    with pytest.raises(UserError, match=r"more\.tfrecords and zz\.tfrecords both hold pictures of 8 px"):
        open_dataset(folder)


def test_grey_records_become_rgb_and_say_so(tmp_path):
    images = pictures(channels=1)
    dataset = open_dataset(plain.write_set(tmp_path / "digits", images))
    assert np.array_equal(stacked(dataset), images.repeat(3, axis=1))
    assert set(map(tuple, dataset.report.converted.values())) == {("grey to RGB",)}


def test_records_of_encoded_pictures(tmp_path):
    """The fork's raw export: shape and img, one file named by its --res_log2, pictures need not be square."""
    images = [np.ascontiguousarray(p.transpose(1, 2, 0)) for p in pictures(4)]
    files = []
    for image, kind in zip(images, ("PNG", "PNG", "JPEG", "PNG"), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, kind)
        files.append(buffer.getvalue())
    files[3] = files[3][:60]
    records = [plain.record(plain.example((3, 16, 16), file, key="img")) for file in files]
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "raw-r07.tfrecords").write_bytes(b"".join(records))
    with open(folder / "raw-rxx.labels", "wb") as file:
        np.save(file, one_hot([1, 0, 2, 1]))
    dataset = open_dataset(folder)
    assert list(dataset.report.skipped) == ["raw-r07.tfrecords/00000003"]
    assert np.array_equal(stacked(dataset)[:2], np.stack(images[:2]).transpose(0, 3, 1, 2))
    assert dataset.labels == [1, 0, 2]
    with pytest.raises(UserError, match=r"00000003: .*1 bad pictures, on_bad=error"):
        open_dataset(folder, on_bad="error")


def test_a_record_that_is_no_picture_is_left_out_and_labels_stay_in_step(tmp_path):
    images = pictures()
    path = plain.write_set(tmp_path / "faces", images, one_hot([0, 1, 2, 1, 0])) / "faces-r04.tfrecords"
    odd = {1: plain.example((3, 16, 16), b"short"), 3: b"\xff\xff"}
    records = [plain.record(odd.get(i, plain.example(p.shape, p.tobytes()))) for i, p in enumerate(images)]
    path.write_bytes(b"".join(records))
    dataset = open_dataset(path)
    assert np.array_equal(stacked(dataset), images[[0, 2, 4]]) and dataset.labels == [0, 2, 0]
    assert "5 bytes for a shape of [3, 16, 16]" in dataset.report.skipped["faces-r04.tfrecords/00000001"]


def test_numbers_may_stand_one_by_one_and_unknown_features_are_passed_over():
    packed, loose = (plain.example((3, 16, 16), b"x", packed=p) for p in (True, False))
    assert parse_example(packed) == parse_example(loose) == {"shape": [3, 16, 16], "data": [b"x"]}
    floats = plain.entry("score", plain.block(2, plain.block(1, struct.pack("<2f", 1, 2))))
    more = plain.block(1, plain.entry("n", plain.int64s((-1, 2**40))) + floats) + plain.block(9, b"?")
    fixed = plain.varint(7 << 3 | 1) + bytes(8) + plain.varint(8 << 3 | 5) + bytes(4)
    assert parse_example(packed + more + fixed)["n"] == [-1, 2**40]
    assert parse_example(more)["score"] is None
    written = encode_example({"shape": (3, 16, 300), "data": b"x"})
    assert written == encode_example({"data": b"x", "shape": (3, 16, 300)}) and len(written) == len(packed) + 1
    assert parse_example(written) == {"shape": [3, 16, 300], "data": [b"x"]}


@pytest.mark.parametrize(
    "data",
    [b"\x0a\xff", b"\x0a" + b"\xff" * 11, b"\x0b", b"\x00", b"\x80", b"\x0a\x02\x0a\x7f", b"\x0d\x00"],
)
def test_other_bytes_are_no_example(data):
    with pytest.raises(NotAnExample):
        parse_example(data)


def test_random_bytes_never_crash_the_parser():
    rng = np.random.default_rng(0)
    good = plain.example((3, 4, 4), bytes(48))
    for _ in range(3000):
        data = bytearray(good)
        for position in rng.integers(0, len(data), 3):
            data[position] = rng.integers(256)
        try:
            parse_example(bytes(data))
        except NotAnExample:
            continue


def broken(path, how):
    data = path.read_bytes()
    size = len(data) // 5
    flip = {"length": size + 2, "length checksum": size + 9, "data": 2 * size + 100, "data checksum": 3 * size - 1}
    if how in flip:
        changed = bytearray(data)
        changed[flip[how]] ^= 4
        return bytes(changed)
    other = plain.record(plain.block(1, plain.entry("label", plain.int64s((1,)))))
    return {
        "cut in data": data[: 4 * size + 50],
        "cut in head": data[: 4 * size + 7],
        "empty": b"",
        "text": b"not TFRecords at all, but a text of some length",
        "gzip": gzip.compress(data),
        "other records": other * 3,
        "huge": (head := struct.pack("<Q", 2**50)) + plain.masked(head) + data,
    }[how]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("length", "record 1 is damaged"),
        ("length checksum", "record 1 is damaged"),
        ("data", r"record 2 is damaged \(its checksum does not match\)"),
        ("data checksum", "record 2 is damaged"),
        ("cut in data", "record 4 is cut off"),
        ("cut in head", "record 4 is cut off"),
        ("empty", "an empty file"),
        ("text", "not a TFRecord file"),
        ("gzip", r"compressed \(gzip\) TFRecords: unpack"),
        ("other records", "its features are label; shape and data"),
        ("huge", "record 0 is larger than 1024 MB"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_with_its_record(tmp_path, how, words):
    path = plain.write_set(tmp_path / "faces", pictures()) / "faces-r04.tfrecords"
    path.write_bytes(broken(path, how))
    for source in (path, path.parent):
        with pytest.raises(UserError, match=words) as error:
            open_dataset(source)
        assert path.name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (one_hot([0, 1]), "5 records but 2 labels"),
        (np.full([5, 3], 0.5, np.float32), "record 0 is not one-hot"),
        (np.eye(5, dtype=np.float32) * [[1], [1], [0], [1], [1]], "record 2 is not one-hot"),
        (np.zeros(5, np.int64), r"holds int64 \[5\]"),
        (np.array([["a"]] * 5), "labels are numbers"),
        (None, "not a .npy file of labels"),
    ],
)
def test_wrong_labels_are_one_line(tmp_path, labels, words):
    folder = plain.write_set(tmp_path / "faces", pictures(), labels)
    if labels is None:
        (folder / "faces-rxx.labels").write_bytes(b"\x93NUMPY cut")
    dataset = open_dataset(folder)
    assert len(dataset) == 5 and dataset.labels is None
    problem = dataset.report.labels_problem
    assert re.search(words, problem) and "\n" not in problem and problem in dataset.report.summary()


def test_labels_of_no_classes_and_of_another_name(tmp_path):
    folder = plain.write_set(tmp_path / "none", pictures(), np.zeros([5, 0], np.float32))
    assert open_dataset(folder).labels is None
    (folder / "none-rxx.labels").rename(folder / "attributes.labels")
    with open(folder / "attributes.labels", "wb") as file:
        np.save(file, one_hot([0, 1, 2, 0, 1]))
    assert open_dataset(folder).labels == [0, 1, 2, 0, 1]
    (folder / "b.labels").write_bytes(b"")
    dataset = open_dataset(folder)
    assert dataset.labels is None and "attributes.labels and b.labels could both" in dataset.report.labels_problem


def reference_levels(image):
    """Levels in exact arithmetic: sums of whole numbers, divided and rounded once."""
    sums = image.astype(object)
    found, area = [image], 1
    while sums.shape[1] > 4:
        sums = sums[:, 0::2, 0::2] + sums[:, 0::2, 1::2] + sums[:, 1::2, 0::2] + sums[:, 1::2, 1::2]
        area *= 4
        half = [round(int(s) / area) for s in sums.ravel()]  # Python rounds half to even; these quotients are exact
        found.append(np.array(half, np.uint8).reshape(sums.shape))
    return found


@pytest.mark.parametrize("channels", [3, 1])
def test_written_files_hold_every_level_by_the_formats_rules(tmp_path, channels):
    images = pictures(4, 64, channels)
    images[0] = np.tile([[0, 1], [1, 0]], (32, 32))  # means of a half
    images[1] = np.tile([[1, 2], [2, 1]], (32, 32))
    folder = write_tfrecords(tmp_path / "out" / "set", (torch.from_numpy(i) for i in images), [1, 0, 2, 1])
    assert sorted(p.name for p in folder.iterdir()) == [
        *(f"set-r{k:02d}.tfrecords" for k in range(2, 7)),
        "set-rxx.labels",
    ]
    expected = [reference_levels(image) for image in images]
    for k, level in enumerate(range(6, 1, -1)):
        found = plain.read_set(folder / f"set-r{level:02d}.tfrecords")
        assert [shape for shape, _ in found] == [(channels, 1 << level, 1 << level)] * 4
        assert [data for _, data in found] == [e[k].tobytes() for e in expected]
    labels = np.load(folder / "set-rxx.labels")
    assert labels.dtype == np.float32 and np.array_equal(labels, one_hot([1, 0, 2, 1]))
    assert [p.name for p in folder.parent.iterdir()] == ["set"]


def test_rounding_does_not_cascade():
    from src.data.tfrecord_write import levels

    image = np.zeros([1, 16, 16], np.uint8)
    image[0, 0, 0], image[0, 0, 2], image[0, 2, 0], image[0, 2, 2] = 4, 2, 2, 2  # means 1, ½, ½, ½
    eight, four = levels(image)[1:]
    assert eight[0, :2, :2].tolist() == [[1, 0], [0, 0]]  # half to even
    assert four[0, 0, 0] == 1  # of 0.625; the mean of the rounded ones is ¼


def test_what_is_written_is_read_back(tmp_path):
    images = pictures(6, 32)
    folder = write_tfrecords(tmp_path / "set", images, [0, 1, 0, 1, 0, 1], progress=False)
    dataset = open_dataset(folder)
    assert np.array_equal(stacked(dataset), images) and dataset.labels == [0, 1] * 3
    copy = write_tfrecords(tmp_path / "copy" / "set", (image for image, _ in dataset), dataset.labels)
    for file in folder.iterdir():
        assert file.read_bytes() == (copy / file.name).read_bytes()


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        ([], None, "no pictures"),
        (pictures(side=12), None, "H a power of two"),
        (pictures().astype(np.float32), None, "not float32"),
        ([pictures(1)[0], pictures(1, 32)[0]], None, r"picture 1 is uint8 \[3, 32, 32\]"),
        (pictures(), [0, 1], "2 labels for 5 pictures"),
        (pictures(), [0, 1, -1, 0, 0], "counted from 0"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, images, labels, words):
    with pytest.raises(UserError, match=words):
        write_tfrecords(tmp_path / "set", images, labels)
    assert list(tmp_path.iterdir()) == []


def test_writing_stops_whole_and_keeps_what_is_there(tmp_path):
    def failing():
        yield from pictures(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tfrecords(tmp_path / "set", failing())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "set").mkdir()
    write_tfrecords(tmp_path / "set", pictures())
    before = (tmp_path / "set" / "set-r04.tfrecords").read_bytes()
    with pytest.raises(UserError, match="not empty"):
        write_tfrecords(tmp_path / "set", pictures(seed=1))
    assert (tmp_path / "set" / "set-r04.tfrecords").read_bytes() == before


def test_a_large_file_is_indexed_without_being_read(tmp_path):
    """A sparse file of 1.5 GB: three records of half a GB, of which only the heads are looked at."""
    path, length = tmp_path / "large.tfrecords", 2**29
    head = struct.pack("<Q", length)
    with open(path, "wb") as file:
        for _ in range(3):
            file.write(head + plain.masked(head))
            file.seek(length + 4, 1)
        file.truncate(3 * (length + 16))
    with grows_by_less_than(50):
        records = RecordFile(path)
    assert records.lengths.tolist() == [length] * 3 and records.offsets[2] == 2 * (length + 16) + 12


def test_a_checksum_is_computed_once_and_a_change_is_noticed(tmp_path):
    path = plain.write_set(tmp_path / "faces", pictures()) / "faces-r04.tfrecords"
    records = RecordFile(path)
    first = records.read(0)
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))
    assert records.read(0) != first
    with pytest.raises(UserError, match="record 0 is damaged"):
        RecordFile(path).read(0)
    path.write_bytes(bytes(data)[:-30])
    with pytest.raises(UserError, match="record 4 is cut off"):
        records.read(4)


def test_workers_get_the_index(tmp_path):
    images = pictures()
    dataset = open_dataset(plain.write_set(tmp_path / "faces", images), memory_limit_mb=0)
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy[4][0].numpy(), images[4])


def test_the_choice_of_the_configuration(tmp_path):
    images = pictures(side=32)
    folder = plain.write_set(tmp_path / "faces", images, sizes=(16,))
    config = compose_config("train", ["dataset=tfrecord", f"dataset.path={folder}", "dataset.resolution=16"])
    assert np.array_equal(
        stacked(open_configured_dataset(read(DatasetSettings, config["dataset"]))), images[:, :, ::2, ::2]
    )


def test_the_fingerprint_is_of_pictures_and_labels(tmp_path: Path):
    sets = [
        plain.write_set(tmp_path / str(i) / "faces", pictures(seed=seed), labels)
        for i, (seed, labels) in enumerate(
            [(0, None), (0, None), (1, None), (0, one_hot([0, 1, 2, 0, 1])), (0, one_hot([0, 1, 2, 0, 2]))]
        )
    ]
    prints = [open_dataset(path).fingerprint for path in sets]
    assert prints[0] == prints[1] and len(set(prints)) == 4


@pytest.mark.parametrize(
    "name", ["faces.tfrecord", "train-00000-of-00001", "a.TFRecords", "faces.tfrecord-00000-of-00001"]
)
def test_the_names_of_tensorflow_are_read(tmp_path, name):
    """At 18fbb5f they were pictures that cannot be read."""
    images = pictures()
    folder = plain.write_set(tmp_path / "faces", images, one_hot([2, 0, 1, 1, 2]))
    path = (folder / "faces-r04.tfrecords").rename(folder / name)
    for source in (folder, path):
        dataset = open_dataset(source)
        assert np.array_equal(stacked(dataset), images) and dataset.labels == [2, 0, 1, 1, 2]
    (folder / "faces-rxx.labels").unlink()
    assert open_dataset(folder).labels is None


def test_a_file_of_any_name_is_told_by_its_head(tmp_path):
    images = pictures()
    path = (plain.write_set(tmp_path / "faces", images) / "faces-r04.tfrecords").rename(tmp_path / "records.bin")
    assert np.array_equal(stacked(open_dataset(path)), images)


def test_shards_are_one_set_in_their_order(tmp_path):
    images = pictures(7)
    folder = tmp_path / "set"
    folder.mkdir()
    for k, part in enumerate(np.split(images, [3, 5])):
        records = [plain.record(plain.example(i.shape, i.tobytes())) for i in part]
        (folder / f"train-0000{k}-of-00003").write_bytes(b"".join(records))
    with open(folder / "train-rxx.labels", "wb") as file:
        np.save(file, one_hot([0, 1, 2, 0, 1, 2, 0]))
    for memory_mb in (2048, 0):
        dataset = open_dataset(folder, memory_limit_mb=memory_mb)
        assert np.array_equal(stacked(dataset), images) and dataset.labels == [0, 1, 2, 0, 1, 2, 0]
    assert np.array_equal(stacked(open_dataset(folder / "train-00001-of-00003")), images[3:5])
    (folder / "train-00001-of-00003").unlink()
    with pytest.raises(
        UserError, match=r"train-00001-of-00003 and 0 other shards are missing; copy them, or give the path"
    ):
        open_dataset(folder)


@pytest.mark.parametrize("key", ["image/encoded", "image"])
def test_encoded_pictures_of_tensorflows_own_tools(tmp_path, key):
    images = pictures(3)
    records = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG")
        features = plain.entry(key, plain.block(1, plain.block(1, buffer.getvalue())))
        label = plain.entry("image/class/label", plain.int64s((1,)))
        records.append(plain.record(plain.block(1, features + label)))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "val-00000-of-00001").write_bytes(b"".join(records))
    assert np.array_equal(stacked(open_dataset(tmp_path / "set")), images)


def test_other_things_numbered_like_shards_are_no_records(tmp_path):
    for k in range(2):
        Image.fromarray(pictures(2, 16, seed=k)[k].transpose(1, 2, 0)).save(tmp_path / f"scan-0000{k}-of-00002", "PNG")
    assert len(open_dataset(tmp_path)) == 2
