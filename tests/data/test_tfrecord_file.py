"""Files of records and the examples in them: checksums, damage, other bytes, large files."""

import gzip
import struct

import numpy as np
import pytest

from src.data import open_dataset
from src.data.tf_example import NotAnExample, encode_example, parse_example
from src.data.tfrecord import RecordFile, masked_crc32c
from src.errors import UserError

from ..memory import grows_by_less_than
from . import tfrecords as plain
from .tfrecords import pictures


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
