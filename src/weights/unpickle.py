"""A pickle machine that builds data and runs nothing.

Python's own unpickler imports and calls whatever the file names. This one reads the same opcodes (protocols 0 to 5),
but a name in the file stays a name: `Global("os", "system")` is two strings. What a name may build is decided by the
short table in `standins`; everything else is refused. No object of the file's choosing is imported, called, hashed
or compared.

Bounded: bytes are views into the file; opcodes are counted, and so is all data that is copied or looked through, for
the whole file with the pickles inside of it (`Work`); dictionary keys are texts and small numbers, alone or a few in a
tuple (others can take forever to hash); nothing here recurses.
"""

import struct
from typing import Any

from .errors import Damaged, Refused
from .opcodes import HANDLERS
from .pickle_machine import PickleMachine, real


class Unpickler(PickleMachine):
    """Reads one pickle from a buffer; made as the machine is."""

    def load(self) -> Any:
        """Return the pickled value; `position` is behind it afterwards.

        Raises:
            Refused: for a damaged pickle, or one that wants more than data.
        """
        try:
            return self._run()
        except (IndexError, struct.error, UnicodeDecodeError, ValueError, TypeError, OverflowError) as error:
            raise Damaged(f"damaged pickle data near byte {self.position}: was it copied in full?") from error

    def _run(self) -> Any:
        stack, data = self.stack, self.data
        while True:
            self.work.step()
            code = data[self.position]
            self.position += 1
            if code == 0x2E:  # STOP
                value = stack.pop()
                real(value)
                return value
            handler = HANDLERS.get(code)
            if handler is None:
                raise Refused(
                    f"pickle opcode {code:#04x} near byte {self.position} is not one that a network file needs"
                )
            handler(self)
