"""From a `dataset` configuration group to an open data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import expanded
from .dataset import PictureDataset, open_dataset
from .portrait_set import open_portraits

DEFAULT_PORTRAIT_PX = 64
#: Data sets that prepare.py makes, and how.
PREPARED = {
    "ferg": ("the folder that FERG-DB's authors send", "python prepare.py dataset=ferg source=FERG_DB_256"),
    "yuanshen": ("screenshots or illustrations", "python prepare.py dataset=yuanshen source=FOLDER"),
}


def open_configured_dataset(settings: Mapping[str, Any]) -> PictureDataset:
    """Open the data set that `settings` (keys of `conf/dataset/*.yaml`) describe.

    Raises:
        UserError: for an unknown kind, or as the opener raises.
    """
    kind = settings.get("kind")
    if kind == "portraits":
        resolution = settings.get("resolution") or DEFAULT_PORTRAIT_PX
        return open_portraits(
            settings["domain"],
            int(settings["num_images"]),
            int(resolution),
            background=settings.get("background"),
            name=settings["name"],
        )
    if kind == "pictures":
        _check_prepared(str(settings.get("name")), Path(settings["path"]))
        return open_dataset(
            settings["path"],
            resolution=settings.get("resolution"),
            on_bad=settings["on_bad"],
            background=settings.get("background", "black"),
        )
    raise UserError(f"dataset.kind={kind}: choose pictures (a folder, zip or TFRecords) or portraits (built in)")


def _check_prepared(name: str, path: Path) -> None:
    if name in PREPARED and not expanded(path).exists():
        origin, command = PREPARED[name]
        raise UserError(f"dataset.path={path}: not there yet; make it of {origin}, once, with: {command} out={path}")
