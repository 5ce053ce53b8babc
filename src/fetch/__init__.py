"""Downloads: published files into the weights folder, whole and checked."""

from .download import fetch_file
from .remote import RemoteFile, configure

__all__ = ["RemoteFile", "configure", "fetch_file"]
