"""TFRecord files: an index of records made in one pass over their heads, and records read one at a time, checked.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, the data, and the data's own
masked CRC-32C. Files may be far larger than memory: the index takes 16 bytes a record, and a read holds one record.
"""

import struct
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

from ..errors import UserError

HEAD, TAIL = 12, 4
MASK = 0xA282EAD8
MAX_RECORD_BYTES = 2**30
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x78\x01": "zlib", b"\x78\x9c": "zlib", b"\x78\xda": "zlib"}


class RecordFile:
    """One TFRecord file. A checksum over data is computed when a record is first read, and not again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offsets, self.lengths = _scan(path)  # int64 `[N]`: where each record's data begins, and its bytes
        self._verified = np.zeros(len(self.offsets), bool)

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, index: int) -> bytes:
        """Data of record `index`."""
        offset, length = int(self.offsets[index]), int(self.lengths[index])
        try:
            with open(self.path, "rb", buffering=0) as file:  # a handle a read: safe for threads and forked workers
                file.seek(offset)
                data = _read_exactly(file, length + TAIL)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        record = _checked(self.path, index, data, length, verify=not self._verified[index])
        self._verified[index] = True
        return record


def masked_crc32c(data: bytes) -> bytes:
    """The checksum of a record: CRC-32C, rotated right by 15 bits, plus a constant; 4 bytes, little-endian."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF)


def first_record(path: Path) -> bytes:
    """Data of a file's first record, without an index of the others."""
    try:
        with open(path, "rb", buffering=0) as file:
            length = _length(path, 0, _read_exactly(file, HEAD))
            data = _read_exactly(file, length + TAIL)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _checked(path, 0, data, length, verify=True)


def is_record_file(path: Path) -> bool:
    """Whether a file begins with the head of a record: its length and the checksum of that."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = _read_exactly(file, HEAD) if path.is_file() else b""
    except OSError:
        return False
    return len(head) == HEAD and _head(struct.unpack("<Q", head[:8])[0]) == head


def frame_record(data: bytes) -> bytes:
    """A record as it stands in a file: length, checksum, data, checksum."""
    return b"".join((_head(len(data)), data, masked_crc32c(data)))


def _scan(path: Path) -> tuple[np.ndarray, np.ndarray]:
    offsets: list[int] = []
    lengths: list[int] = []
    try:
        size = path.stat().st_size
        with open(path, "rb", buffering=0) as file:
            position = 0
            while position < size or not offsets:
                file.seek(position)
                length = _length(path, len(offsets), _read_exactly(file, HEAD))
                if position + HEAD + length + TAIL > size:
                    raise _damaged(path, len(offsets), "is cut off")
                offsets.append(position + HEAD)
                lengths.append(length)
                position += HEAD + length + TAIL
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    return np.array(offsets, np.int64), np.array(lengths, np.int64)


def _length(path: Path, index: int, head: bytes) -> int:
    """The length in a record's head."""
    if index == 0 and len(head) < HEAD:
        raise UserError(f"{path}: {'an empty file' if not head else 'not a TFRecord file'}; was it copied in full?")
    if len(head) < HEAD:
        raise _damaged(path, index, "is cut off")
    (length,) = struct.unpack("<Q", head[:8])
    if _head(length) != head:
        if index:
            raise _damaged(path, index, "is damaged (the checksum of its length does not match)")
        packed = _COMPRESSED.get(head[:2])
        reason = f"compressed ({packed}) TFRecords: unpack the file first" if packed else "not a TFRecord file"
        raise UserError(f"{path}: {reason} (record 0 has no valid head)")
    if length > MAX_RECORD_BYTES:
        raise UserError(f"{path}: record {index} is larger than {MAX_RECORD_BYTES >> 20} MB: not a picture")
    return int(length)


def _checked(path: Path, index: int, data: bytes, length: int, *, verify: bool) -> bytes:
    """The data in front of its checksum."""
    if len(data) < length + TAIL:
        raise _damaged(path, index, "is cut off")
    record = data[:length]
    if verify and masked_crc32c(record) != data[length:]:
        raise _damaged(path, index, "is damaged (its checksum does not match)")
    return record


@lru_cache(maxsize=4096)
def _head(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + masked_crc32c(packed)


def _read_exactly(file: BinaryIO, count: int) -> bytes:
    """Read `count` bytes, fewer only at the end of the file (a raw read may return less than asked for)."""
    data = file.read(count)
    while data and len(data) < count:
        more = file.read(count - len(data))
        if not more:
            break
        data += more
    return data


def _damaged(path: Path, index: int, what: str) -> UserError:
    return UserError(f"{path}: record {index} {what}; was the file copied in full? Copy it again, or leave it out")
