"""Network files in and out, and published ones fetched by name. Loading executes nothing from a file."""

from .catalog import CatalogEntry, catalog_entry, catalog_names
from .download import fetch_file
from .load import load_network
from .native import file_sha256, read_meta, save_network
from .plan import Networks
from .remote import RemoteFile, configure

__all__ = [
    "CatalogEntry",
    "Networks",
    "RemoteFile",
    "catalog_entry",
    "catalog_names",
    "configure",
    "fetch_file",
    "file_sha256",
    "load_network",
    "read_meta",
    "save_network",
]
