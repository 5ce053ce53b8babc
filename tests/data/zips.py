"""Zips for tests, member by member: also such as Python's own writer does not make."""

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_zip(path: Path, members: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> Path:
    """A zip of members in this order, their names exactly as given, repeated ones too."""
    items = members.items() if isinstance(members, Mapping) else members
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of repeated names
        for name, data in items:
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, data)
    return path


def with_password(path: Path) -> Path:
    """Mark all members of a zip as encrypted, as programs see them that do not have the password."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = data.find(signature)
        while position >= 0:
            data[position + offset] |= 1
            position = data.find(signature, position + 4)
    path.write_bytes(bytes(data))
    return path
