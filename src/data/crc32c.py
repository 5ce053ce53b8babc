"""CRC-32C (Castagnoli), the checksum of TFRecords, at the speed of numpy's XOR.

A checksum is a remainder modulo the polynomial P, so a stretch of data may be moved towards the end along any multiple
of P. One with few terms is x^5685 + x^1362 + x^426 + 1: it moves 4323 words at a time with three XORs. (Squaring keeps
it a multiple of P, so the exponents may count bits, bytes or 8-byte words alike.) What is left, under 6 KB, is summed
bit by bit.
"""

from functools import cache

import numpy as np

_REVERSED_P = 0x82F63B78  # P with its lowest power in the highest bit
_TOP, _HIGH, _LOW = 5685, 1362, 426
_SHORT = 48  # bytes; below, a loop over a table is as fast
_MASK = 0xA282EAD8
_ONES = 0xFFFFFFFF


def crc32c(data: bytes | memoryview | np.ndarray) -> int:
    """CRC-32C of bytes (an array must be uint8)."""
    if len(data) < _SHORT:
        return _bytewise(bytes(data))
    padding = -len(data) % 8  # zeros in front change nothing once the initial value is in the data
    buffer = np.zeros(padding + len(data), np.uint8)
    buffer[padding:] = data if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    buffer[padding : padding + 4] ^= 0xFF
    rest = _fold(_fold(buffer.view(np.uint64)).view(np.uint8))
    bits = np.unpackbits(rest, bitorder="little").astype(np.uint32)
    bits *= _remainders()[-len(bits) :]  # several times as fast as picking by a mask
    return int(np.bitwise_xor.reduce(bits)) ^ _ONES


def masked_crc32c(data: bytes | memoryview | np.ndarray) -> int:
    """CRC-32C as TFRecords store it: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK) & _ONES


def _fold(words: np.ndarray) -> np.ndarray:
    """Move the front of `words` into the rest, in place, until at most `_TOP` are left: with the same remainder."""
    start, count = 0, len(words)
    while count - start > _TOP:
        step = min(_TOP - _HIGH, count - start - _TOP)
        moved = words[start : start + step]
        for distance in (_TOP - _HIGH, _TOP - _LOW, _TOP):
            target = words[start + distance : start + distance + step]
            np.bitwise_xor(target, moved, out=target)
        start += step
    return words[start:]


@cache
def _table() -> tuple[int, ...]:
    """Remainder of each byte."""
    values: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = (values >> 1) ^ np.where(values & 1, np.uint32(_REVERSED_P), np.uint32(0))
    return tuple(values.tolist())


@cache
def _remainders() -> np.ndarray:
    """Remainder of each bit of the last `_TOP` bytes, lowest bit of a byte first."""
    table = np.array(_table(), np.uint32)
    rows = np.empty([_TOP, 8], np.uint32)
    rows[-1] = table[1 << np.arange(8)]
    for i in range(_TOP - 1, 0, -1):
        rows[i - 1] = (rows[i] >> 8) ^ table[rows[i] & 0xFF]
    return rows.reshape(-1)


def _bytewise(data: bytes) -> int:
    table, crc = _table(), _ONES
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ _ONES
