from .backdrop import Backdrop as Backdrop, parse_backdrop as parse_backdrop
from .blur import gaussian_blur as gaussian_blur
from .datamodule import PictureDataModule as PictureDataModule
from .dataset import (
    MIN_PICTURES as MIN_PICTURES,
    NOT_PICTURES as NOT_PICTURES,
    PictureDataset as PictureDataset,
    open_dataset as open_dataset,
)
from .decode import (
    MAX_PIXELS as MAX_PIXELS,
    Background as Background,
    BadPicture as BadPicture,
    DecodedPicture as DecodedPicture,
    decode_picture as decode_picture,
    parse_background as parse_background,
)
from .from_config import open_configured_dataset as open_configured_dataset
from .images import (
    image_grid as image_grid,
    jpeg_text as jpeg_text,
    save_jpeg as save_jpeg,
    save_png as save_png,
    to_float as to_float,
    to_uint8 as to_uint8,
)
from .labels import Labels as Labels, read_labels as read_labels
from .portrait_set import HELD_OUT_SEED as HELD_OUT_SEED, open_portraits as open_portraits
from .report import DatasetReport as DatasetReport
from .settings import DatasetSettings as DatasetSettings, Megapixels as Megapixels
from .sharpness import sharpness as sharpness
from .sources import (
    FolderSource as FolderSource,
    Source as Source,
    ZipSource as ZipSource,
    is_folder as is_folder,
    natural_order as natural_order,
    not_of_kinds as not_of_kinds,
    open_source as open_source,
)
from .tfrecord_write import write_tfrecords as write_tfrecords
