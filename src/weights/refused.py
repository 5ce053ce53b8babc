"""Why a file is not read, and the names in it."""

from typing import NamedTuple


class Refused(Exception):
    """Why a file is not read; the message is one line without the file's name."""


class Damaged(Refused):
    """The data is not what pickle writes: cut off, altered, or no pickle at all."""


class Global(NamedTuple):
    """A name in the file: never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def shown(self) -> str:
        """The name for a message: short, in plain letters."""
        text = str(self)
        return ascii(text if len(text) <= 80 else text[:77] + "...")[1:-1]
