"""What reading a file may cost."""

from typing import Any

from .errors import Refused

MAX_OPCODES = 1_000_000
WORK_PER_BYTE, FREE_WORK = 4, 1 << 20


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
