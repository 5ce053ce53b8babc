"""Which pictures a run is made of, in its folder: when they change under it, the message names them."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..data import PictureDataset
from ..files import write_text

FILE = "pictures.json"
MAX_NAMED = 3


def write_pictures(folder: Path, dataset: PictureDataset) -> None:
    """Write name and digest of each picture; nothing for drawn pictures, which have no files."""
    if dataset.contents:
        write_text(folder / FILE, json.dumps(dataset.contents, indent=0) + "\n")


def changed_pictures(folder: Path, dataset: PictureDataset) -> str:
    """What has changed between the data set of a run and an open one of another fingerprint, in words."""
    try:
        before = dict(json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return "the data set's pictures or labels have changed (which ones was not recorded)"
    now = dataset.contents
    kinds = {
        "changed": [name for name in before if name in now and now[name] != before[name]],
        "gone": [name for name in before if name not in now],
        "new": [name for name in now if name not in before],
    }
    found = [f"{len(names)} {kind} ({_listed(names)})" for kind, names in kinds.items() if names]
    if not found:
        return "the data set's labels, or how its pictures are read, have changed"
    return f"of the data set's {len(before)} pictures {', '.join(found)}: put them back"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
