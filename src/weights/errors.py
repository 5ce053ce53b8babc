"""Why a file is not read, and how its names and texts are shown."""

from typing import Any

SHOWN_LENGTH = 80


class Refused(Exception):
    """Why a file is not read; the message is one line without the file's name."""


class Damaged(Refused):
    """The data is not what pickle writes: cut off, altered, or no pickle at all."""


def shown(value: Any) -> str:
    """A file's text for a message: short, one line, plain letters; the type's name of anything that is no text."""
    if isinstance(value, bool | int | float) or value is None:
        value = str(value)
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    text = value if len(value) <= SHOWN_LENGTH else value[: SHOWN_LENGTH - 3] + "..."
    return ascii(text)[1:-1].replace("\\'", "'")
