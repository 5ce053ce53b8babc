"""A little TFRecord writer of the tests' own, byte by byte, slow and plain."""

import struct
from pathlib import Path

import numpy as np
import torch


def pictures(count: int = 5, side: int = 16, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Noise, uint8 `[count, channels, side, side]`."""
    return np.random.default_rng(seed).integers(0, 256, [count, channels, side, side], dtype=np.uint8)


def one_hot(classes: list[int], count: int = 3) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[classes]


def stacked(dataset) -> np.ndarray:
    """All pictures of a data set."""
    return torch.stack([image for image, _ in dataset]).numpy()


def of_a_byte(crc: int) -> int:
    """Bit by bit, from the definition."""
    for _ in range(8):
        crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


TABLE = [of_a_byte(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def block(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def int64s(values: tuple[int, ...], packed: bool = True) -> bytes:
    if packed:
        return block(3, block(1, b"".join(varint(v) for v in values)))
    return block(3, b"".join(varint(1 << 3) + varint(v) for v in values))


def entry(name: str, feature: bytes) -> bytes:
    return block(1, block(1, name.encode()) + block(2, feature))


def example(shape: tuple[int, ...], data: bytes, key: str = "data", packed: bool = True) -> bytes:
    return block(1, entry("shape", int64s(shape, packed)) + entry(key, block(1, block(1, data))))


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def write_set(folder: Path, images: np.ndarray, labels: np.ndarray | None = None, sizes: tuple[int, ...] = ()) -> Path:
    """A file for the images `[N, C, H, H]`, and for `sizes` files of every k-th pixel; labels as they are."""
    folder.mkdir(parents=True)
    for size in {images.shape[-1], *sizes}:
        step = images.shape[-1] // size
        records = [record(example(i.shape, i.tobytes())) for i in images[:, :, ::step, ::step]]
        log2 = size.bit_length() - 1
        (folder / f"{folder.name}-r{log2:02d}.tfrecords").write_bytes(b"".join(records))
    if labels is not None:
        with open(folder / f"{folder.name}-rxx.labels", "wb") as file:
            np.save(file, labels)
    return folder


def read_set(path: Path) -> list[tuple[tuple[int, ...], bytes]]:
    """Shape and data of every record, all checksums checked, by a reader that knows only this one form."""
    content, position, found = path.read_bytes(), 0, []
    while position < len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        assert content[position + 8 : position + 12] == masked(content[position : position + 8])
        data = content[position + 12 : position + 12 + length]
        assert content[position + 12 + length : position + 16 + length] == masked(data)
        position += 16 + length
        features = dict(_entry(item) for item in _blocks(_blocks(data)[0][1]))
        shape = tuple(_varints(_blocks(_blocks(features["shape"])[0][1])[0][1]))
        found.append((shape, _blocks(_blocks(features["data"])[0][1])[0][1]))
    return found


def _entry(item: tuple[int, bytes]) -> tuple[str, bytes]:
    (_, key), (_, value) = _blocks(item[1])
    return key.decode(), value


def _blocks(data: bytes) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position < len(data):
        tag, position = _varint(data, position)
        assert tag & 7 == 2
        length, position = _varint(data, position)
        found.append((tag >> 3, data[position : position + length]))
        position += length
    return found


def _varints(data: bytes) -> list[int]:
    values, position = [], 0
    while position < len(data):
        value, position = _varint(data, position)
        values.append(value)
    return values


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
