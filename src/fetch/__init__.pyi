from .checksums import forget as forget, wrong_bytes as wrong_bytes
from .download import fetch_file as fetch_file
from .remote import RemoteFile as RemoteFile, configure as configure, settings as settings
