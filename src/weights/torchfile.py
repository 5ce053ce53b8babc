"""Files of `torch.save`, both layouts, and pickles with such files inside: to data, without executing anything.

New layout: a zip with `data.pkl` and one stored entry a storage. Old layout (torch before 1.6, and every tensor inside
of a pickled module): four pickles (magic number, version, system, the object), a list of keys, then for each an 8-byte
count and its bytes.
"""

import io
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

from .errors import Refused
from .pickle_machine import Global, Work
from .standins import construct, set_state
from .tensors import Storage, View, storage_of
from .unpickle import Unpickler

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
MAX_ENTRIES = 100_000
MAX_PICKLE = 256 << 20


def open_buffer(path: Path) -> memoryview:
    """Map a file into memory; changes to the view never reach the file.

    Raises:
        Refused: for an empty file.
    """
    with open(path, "rb") as file:
        try:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        except ValueError as error:
            raise Refused("an empty file") from error


def forget_pages(data: memoryview) -> None:
    """Tell the system that what was read of a mapped file is not needed in memory any more."""
    mapped = data.obj
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def read_pickle(data: memoryview) -> Any:
    """Read a plain pickle, in which tensors may be embedded in torch's old layout."""

    work = Work(len(data))

    def build(name: Global, args: tuple[Any, ...]) -> Any:
        if name == ("torch.storage", "_load_from_bytes"):
            return _embedded_storage(args, work)
        return construct(name, args)

    return Unpickler(data, construct=build, set_state=set_state, work=work).load()


def is_legacy(data: memoryview) -> bool:
    """Whether a file begins like torch's old layout."""
    return bytes(data[: len(LEGACY_START)]) == LEGACY_START


def read_legacy(data: memoryview, work: Work | None = None) -> Any:
    """Read torch's old layout.

    Args:
        data: the file, or a part of one.
        work: what the file may cost, when this is a part of one.

    Raises:
        Refused: when it is damaged or wants more than data.
    """
    work = work or Work(len(data))
    storages: dict[str, Storage] = {}

    def persistent(key: Any) -> Storage:
        return _declare(storages, key)

    position, parts = 0, []
    for _ in range(5):  # magic number, protocol version, system, the object, keys
        reader = Unpickler(data, position, construct=construct, set_state=set_state, persistent=persistent, work=work)
        parts.append(reader.load())
        position = reader.position
    magic, version, _, value, keys = parts
    if magic != LEGACY_MAGIC or version != 1001 or not isinstance(keys, list):
        raise Refused("not torch's old file layout after all")
    for key in keys:
        if not isinstance(key, str) or key not in storages:
            raise Refused("data that no tensor refers to")
        storage = storages[key]
        if position + 8 > len(data):
            raise Refused("cut off: was it copied in full?")
        (count,) = struct.unpack("<q", data[position : position + 8])
        end = position + 8 + count * storage.dtype.itemsize
        if count != storage.numel or end > len(data):
            raise Refused("a tensor's data is cut off: was it copied in full?")
        storage.data = data[position + 8 : end]
        position = end
    return value


def read_zip(data: memoryview) -> Any:
    """Read torch's zip layout.

    Raises:
        Refused: when it is damaged, compressed, TorchScript, or wants more than data.
    """
    entries = _entries(data)
    names = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
    if len(names) != 1:
        raise Refused("a zip archive, but not one of torch.save")
    folder = names[0][: -len("data.pkl")]
    if bytes(entries.get(f"{folder}byteorder", b"little")) != b"little":
        raise Refused("written on a big-endian machine")
    pickle = entries[names[0]]
    if len(pickle) > MAX_PICKLE:
        raise Refused("a pickle of absurd size")
    storages: dict[str, Storage] = {}

    def persistent(key: Any) -> Storage:
        storage = _declare(storages, key)
        content = entries.get(f"{folder}data/{key[2]}")
        if content is None or len(content) < storage.numel * storage.dtype.itemsize:
            raise Refused("a tensor's data is missing: was the file copied in full?")
        storage.data = content
        return storage

    work = Work(len(data))
    return Unpickler(pickle, construct=construct, set_state=set_state, persistent=persistent, work=work).load()


def _declare(storages: dict[str, Storage], key: Any) -> Storage:
    """The storage of a persistent id `("storage", type, key, location, count, …)`."""
    if not isinstance(key, tuple) or len(key) not in (5, 6) or key[0] != "storage" or not isinstance(key[2], str):
        raise Refused("a reference to something else than a tensor's data")
    if len(key) == 6 and key[5] is not None:
        raise Refused("a tensor that shares part of another's data (torch before 0.4)")
    if key[2] not in storages:
        storages[key[2]] = storage_of(key[1], key[4])
    return storages[key[2]]


def _embedded_storage(args: tuple[Any, ...], work: Work) -> Storage:
    if len(args) != 1 or not isinstance(args[0], memoryview | bytes):
        raise Refused("a tensor without data")
    data = memoryview(args[0])
    if not is_legacy(data):
        raise Refused("a tensor in an unknown layout")
    value = read_legacy(data, work)
    if isinstance(value, View):
        value = value.storage
    if not isinstance(value, Storage):
        raise Refused("something else than a tensor's data inside")
    return value


class _ViewFile(io.RawIOBase):
    """A read-only file over a view, so that zipfile reads the directory without a copy of the whole."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._position = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = max(0, (0, self._position, len(self._data))[whence] + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._position : self._position + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


def _entries(data: memoryview) -> dict[str, memoryview]:
    """Views of a zip's stored entries by name; nothing is unpacked."""
    try:
        infos = zipfile.ZipFile(io.BufferedReader(_ViewFile(data))).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError, UnicodeDecodeError) as error:
        raise Refused("a damaged or cut off zip archive: was it copied in full?") from error
    if len(infos) > MAX_ENTRIES:
        raise Refused(f"a zip archive of {len(infos)} entries")
    if any(info.filename.rpartition("/")[2] == "constants.pkl" for info in infos):
        raise Refused("a TorchScript program, not a file of weights")
    entries = {}
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise Refused("a compressed or encrypted zip archive; torch.save writes neither")
        head = data[info.header_offset : info.header_offset + 30]
        if len(head) < 30 or bytes(head[:4]) != ZIP_MAGIC:
            raise Refused("a damaged zip archive")
        name_length, extra_length = struct.unpack("<HH", head[26:30])
        start = info.header_offset + 30 + name_length + extra_length
        if start + info.file_size > len(data):
            raise Refused("a cut off zip archive: was it copied in full?")
        entries[info.filename] = data[start : start + info.file_size]
    return entries
