"""Why a file is not read, how its names and texts are shown, and what reading it may cost."""

from typing import Any, NamedTuple

MAX_OPCODES = 1_000_000
WORK_PER_BYTE, FREE_WORK = 4, 1 << 20
SHOWN_LENGTH = 80


class Refused(Exception):
    """Why a file is not read; the message is one line without the file's name."""


class Damaged(Refused):
    """The data is not what pickle writes: cut off, altered, or no pickle at all."""


class Global(NamedTuple):
    """A name in the file: never looked up."""

    module: str
    name: str

    @property
    def shown(self) -> str:
        """The name for a message."""
        return shown(f"{self.module}.{self.name}")


class Work:
    """What reading one file may cost, pickles inside of it included: little more than its size.

    Args:
        num_bytes: of the file.
    """

    def __init__(self, num_bytes: int) -> None:
        self._opcodes, self._items = MAX_OPCODES, WORK_PER_BYTE * num_bytes + FREE_WORK

    def step(self) -> None:
        """Count an opcode.

        Raises:
            Refused: when there are too many for a network file.
        """
        self._opcodes -= 1
        if self._opcodes < 0:
            raise Refused(f"more than {MAX_OPCODES} pickle opcodes: not a network file")

    def spend(self, value: Any) -> None:
        """Count the bytes or items of a value that is about to be copied or looked through.

        Raises:
            Refused: when the file has the same data handled again and again.
        """
        if isinstance(value, str | bytes | memoryview | list | tuple | dict | set):
            self._items -= len(value)
        if self._items < 0:
            raise Refused("it has the same data built again and again: not a network file")


def shown(value: Any) -> str:
    """A file's text for a message: short, one line, plain letters; the type's name of anything that is no text."""
    if isinstance(value, bool | int | float) or value is None:
        value = str(value)
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    text = value if len(value) <= SHOWN_LENGTH else value[: SHOWN_LENGTH - 3] + "..."
    return ascii(text)[1:-1].replace("\\'", "'")
