"""Classes of pictures: the `dataset.json` of a folder, zip or TFRecords, or why it cannot be used.

    {"labels": [["00000/img00000000.png", 3], …]}      names relative to the file's own folder; null for no labels

What a network that knows no classes would not use never stops it, so a fault here is a sentence and no exception.
"""

import json
import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .decode import BadPicture
from .sources import Source, ZipSource
from .tfrecord_source import LABELS_NAME, MAX_CLASS, TFRecordSource


class _Unusable(Exception):
    """Labels that are no classes; the message is the reason."""


@dataclass(frozen=True)
class Labels:
    """Classes of a source's pictures."""

    # name of a picture to its class; None when there are none, or none that can be used
    classes: dict[str, int] | None = None
    problem: str | None = None  # why labels that are there cannot be used; None for labels that can, and for none

    def of(self, names: Sequence[str]) -> "Labels":
        """Those of some pictures, which must all have one."""
        if self.classes is None:
            return self
        missing = [name for name in names if name not in self.classes]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            return Labels(problem=f"{LABELS_NAME} has no label for {missing[0]}{more}")
        return Labels({name: self.classes[name] for name in names})


def read_labels(source: Source, names: Sequence[str]) -> Labels:
    """Read the labels of a source's pictures, given the names of all its files.

    It may have a `dataset.json`, or one in each of several folders, for the pictures below it.
    """
    if isinstance(source, TFRecordSource) and source.labels_problem:
        return Labels(problem=source.labels_problem)
    tables: dict[str, dict[str, int]] = {}
    try:
        for folder in _labelled_folders(names):
            table = _table(source, folder, is_listed=f"{folder}{LABELS_NAME}" in names)
            if table is not None:
                tables[folder] = table
    except _Unusable as error:
        return Labels(problem=str(error))
    if not tables:
        return Labels()
    classes = {}
    for name in names:
        key = _key(source.written_name(name) if isinstance(source, ZipSource) else name)
        for folder, table in tables.items():
            if key.startswith(folder) and key.removeprefix(folder) in table:
                classes[name] = table[key.removeprefix(folder)]
    return Labels(classes)


def _labelled_folders(names: Sequence[str]) -> list[str]:
    """Folders (with a slash at the end) that have labels for what is below them: the uppermost ones."""
    ends = (f"/{LABELS_NAME}", f"\\{LABELS_NAME}")
    found = {name.removesuffix(LABELS_NAME) for name in names if f"/{name}".endswith(ends)}
    if not found or "" in found:
        return [""]
    folders: list[str] = []
    for folder in sorted(found, key=lambda name: (name.count("/"), name)):
        if not folder.startswith(tuple(folders)):
            folders.append(folder)
    return folders


def _table(source: Source, folder: str, *, is_listed: bool) -> dict[str, int] | None:
    """Name (relative to the folder) to class, by the `dataset.json` of one folder; None when there are no labels."""
    file = f"{folder}{LABELS_NAME}"
    try:
        text = source.read(file)
    except BadPicture as error:
        if is_listed:
            raise _Unusable(f"{file}: {error}") from error
        return None
    try:
        listed = json.loads(text)["labels"]
        rows = None if listed is None else [(str(name), label) for name, label in listed]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise _Unusable(
            f"{file} is not {{'labels': [[name, number], ...]}} ({type(error).__name__}: {reason})"
        ) from error
    if rows is None:
        return None
    table: dict[str, int] = {}
    for name, label in rows:
        number = _class(label, name, file)
        if table.setdefault(_key(name), number) != number:
            raise _Unusable(f"{file} gives {name} two classes, {table[_key(name)]} and {number}")
    return table


def _class(label: Any, name: str, file: str) -> int:
    """A label as a class."""
    if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 10:
        label = int(label)
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if not isinstance(label, int) or isinstance(label, bool):
        raise _Unusable(f"{file} gives {name} the label {str(label)[:40]}: only whole numbers, classes, can be used")
    if not 0 <= label <= MAX_CLASS:
        raise _Unusable(f"{file} gives {name} the class {label}; classes count from 0 to at most {MAX_CLASS}")
    return label


def _key(name: str) -> str:
    """A name as it is compared: by `/`, without `./`, in one Unicode form (macOS has another than other systems)."""
    return unicodedata.normalize("NFC", posixpath.normpath(name.replace("\\", "/")))
