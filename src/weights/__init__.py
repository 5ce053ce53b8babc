"""Network files in and out, and published ones fetched by name. Loading executes nothing from a file."""

from .catalog import CatalogEntry, catalog_entry, catalog_names
from .load import load_network
from .native import read_meta, save_network
from .network_file import Networks

__all__ = [
    "CatalogEntry",
    "Networks",
    "catalog_entry",
    "catalog_names",
    "load_network",
    "read_meta",
    "save_network",
]
