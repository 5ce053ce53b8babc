"""Pictures in: data sets, their order, loaders, and the built-in portraits."""

from .configured import open_configured_dataset
from .datamodule import PictureDataModule
from .dataset import PictureDataset, open_dataset
from .demo import HELD_OUT_SEED, open_portraits
from .images import image_grid, save_jpeg, save_png, to_float, to_uint8
from .portraits import render_portrait, render_portraits
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
