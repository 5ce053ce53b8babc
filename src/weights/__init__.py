"""Network files in and out: `load_network` reads, `save_network` writes. Loading executes nothing from the file."""

from .load import load_network
from .native import Networks, file_sha256, read_meta, save_network

__all__ = ["Networks", "file_sha256", "load_network", "read_meta", "save_network"]
