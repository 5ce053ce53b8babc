"""Picture files without the metadata that a decoder stumbles over: whatever stands in it, it never costs a picture."""

import struct
import zlib

from PIL import PngImagePlugin

METADATA_LEFT_OUT = "metadata that cannot be read left out"
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_KEPT = (b"tRNS", b"eXIf", b"iCCP")  # ancillary chunks that change what is seen
_START_OF_SCAN, _APP0, _APP1, _APP14, _APP15 = 0xDA, 0xE0, 0xE1, 0xEE, 0xEF

# Pillow refuses texts and profiles of more than 1 MB when they are unpacked, as editors and scanners write them.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 2**20


def without_metadata(data: bytes) -> bytes:
    """Leave out of a PNG or JPEG file what neither its pixels, its colours nor its orientation need.

    In a PNG also what does so and is damaged: by its checksum, or a profile that cannot be unpacked. In a JPEG, Exif,
    JFIF and Adobe's colour mark stay. Other formats stay as they are.
    """
    if data.startswith(_PNG):
        return _png(data)
    return _jpeg(data) if data.startswith(_JPEG) else data


def _png(data: bytes) -> bytes:
    kept, position = [_PNG], len(_PNG)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        kind, chunk = data[position + 4 : position + 8], data[position:end]
        if not kind[0] & 0x20 or (kind in _PNG_KEPT and _is_sound(kind, chunk)):
            kept.append(chunk)
        position = end
    return b"".join(kept)


def _is_sound(kind: bytes, chunk: bytes) -> bool:
    """Whether an ancillary chunk's checksum is right, and a profile in it can be unpacked."""
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
        return False
    if kind != b"iCCP":
        return True
    packed = chunk[8:-4].partition(b"\0")[2]
    try:
        unpacking = zlib.decompressobj()
        unpacking.decompress(packed[1:], PngImagePlugin.MAX_TEXT_CHUNK)
    except zlib.error:
        return False
    return packed[:1] == b"\0" and not unpacking.unconsumed_tail


def _jpeg(data: bytes) -> bytes:
    kept, position = [_JPEG], len(_JPEG)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, end = data[position + 1], position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if marker == _START_OF_SCAN:
            break
        segment = data[position:end]
        needed = marker in (_APP0, _APP14) or (marker == _APP1 and segment[4:10] == b"Exif\0\0")
        if not _APP0 <= marker <= _APP15 or needed:
            kept.append(segment)
        position = end
    return b"".join([*kept, data[position:]])
