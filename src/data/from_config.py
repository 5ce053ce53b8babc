"""From a `dataset` configuration group to an open data set."""

from ..errors import UserError
from ..files import expanded
from .dataset import PictureDataset, open_dataset
from .portrait_set import open_portraits
from .settings import DatasetSettings

DEFAULT_PORTRAIT_PX = 64
#: Data sets that prepare.py makes, and how.
PREPARED = {
    "ferg": ("the folder that FERG-DB's authors send", "python prepare.py dataset=ferg source=FERG_DB_256"),
    "yuanshen": ("screenshots or illustrations", "python prepare.py dataset=yuanshen source=FOLDER"),
}


def open_configured_dataset(settings: DatasetSettings) -> PictureDataset:
    """Open the data set that settings describe; where it is missing, a UserError has the command that makes it."""
    if settings.kind == "portraits":
        assert settings.domain is not None and settings.num_images is not None
        return open_portraits(
            settings.domain,
            settings.num_images,
            settings.resolution or DEFAULT_PORTRAIT_PX,
            background=settings.background,
            name=settings.name,
        )
    assert settings.path is not None
    if settings.name in PREPARED and not expanded(settings.path).exists():
        origin, command = PREPARED[settings.name]
        place = f"dataset.path={settings.path}: not there yet"
        raise UserError(f"{place}; make it of {origin}, once, with: {command} out={settings.path}")
    return open_dataset(
        settings.path,
        resolution=settings.resolution,
        on_bad=settings.on_bad,
        background=settings.background,
        max_megapixels=settings.max_megapixels,
    )
