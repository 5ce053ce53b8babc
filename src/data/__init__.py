"""Pictures in: data sets, their order, loaders, and the built-in portraits."""

from ..portraits.draw import render_portrait, render_portraits
from .datamodule import PictureDataModule
from .dataset import PictureDataset, open_dataset
from .from_config import open_configured_dataset
from .images import image_grid, save_jpeg, save_png, to_float, to_uint8
from .portrait_set import HELD_OUT_SEED, open_portraits
from .tfrecord_write import write_tfrecords

__all__ = [
    "HELD_OUT_SEED",
    "PictureDataModule",
    "PictureDataset",
    "image_grid",
    "open_configured_dataset",
    "open_dataset",
    "open_portraits",
    "render_portrait",
    "render_portraits",
    "save_jpeg",
    "save_png",
    "to_float",
    "to_uint8",
    "write_tfrecords",
]
