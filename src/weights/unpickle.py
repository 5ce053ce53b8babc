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
from collections.abc import Callable
from typing import Any

from .opcodes import HANDLERS, MARK, is_key, real, scalar_set
from .refused import Damaged, Global, Refused, Work, shown

MAX_TEXT_LINE = 4096
Construct = Callable[[Global, tuple[Any, ...]], Any]


class Unpickler:
    """Reads one pickle from a buffer.

    Args:
        data: the file.
        position: where the pickle starts.
        construct: makes a value of a name and arguments (REDUCE, NEWOBJ), or raises `Refused`.
        set_state: gives a value its state (BUILD), or raises `Refused`.
        persistent: makes a value of a persistent id; None refuses them.
        work: what the whole file may cost.
    """

    def __init__(
        self,
        data: memoryview,
        position: int = 0,
        *,
        construct: Construct,
        set_state: Callable[[Any, Any], None],
        persistent: Callable[[Any], Any] | None = None,
        work: Work,
    ) -> None:
        self.data, self.position = data, position
        self.construct, self.set_state, self.persistent = construct, set_state, persistent
        self.work = work
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

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

    # Reading

    def take(self, count: int) -> memoryview:
        """The next `count` bytes, without copying."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise Damaged(f"cut off or damaged near byte {self.position}: was it copied in full?")
        view = self.data[self.position : end]
        self.position = end
        return view

    def number(self, form: str) -> int:
        """The next little-endian whole number of a `struct` form."""
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def line(self) -> str:
        """A text argument up to the end of its line (protocols 0 and 1)."""
        window = bytes(self.data[self.position : self.position + MAX_TEXT_LINE])
        end = window.index(b"\n")
        self.position += end + 1
        return window[:end].decode("utf-8")

    # Stack

    def pop(self) -> Any:
        """The top value, which must not be a mark."""
        value = self.stack.pop()
        real(value)
        return value

    def pop_mark(self) -> list[Any]:
        """All values above the last mark."""
        stack = self.stack
        for start in range(len(stack) - 1, -1, -1):
            if stack[start] is MARK:
                values = stack[start + 1 :]
                del stack[start:]
                return values
        raise Damaged(f"damaged pickle data near byte {self.position} (no mark)")

    def top(self, kind: type) -> Any:
        """The top value, of a kind."""
        value = self.stack[-1]
        if not isinstance(value, kind):
            raise Damaged(f"damaged pickle data near byte {self.position} (expected a {kind.__name__})")
        return value

    def set_items(self, values: list[Any]) -> None:
        """Put keys and values in turn into the dictionary on top."""
        target = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not is_key(key):
                raise Refused(f"a dictionary key near byte {self.position} is neither text nor small number")
            target[key] = value

    def add_items(self, values: list[Any]) -> None:
        """Put scalars into the set on top."""
        self.work.spend(values)
        self.top(set).update(scalar_set(values))

    def global_named(self, module: Any, name: Any) -> Global:
        """A name that stays a name."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged(f"damaged pickle data near byte {self.position} (a name is not text)")
        return Global(module, name)

    def make(self, callee: Any, args: Any) -> None:
        """Push what a name and arguments stand for."""
        if not isinstance(callee, Global) or not isinstance(args, tuple):
            raise Damaged(f"damaged pickle data near byte {self.position} (a call of something that is not a name)")
        for argument in args:
            self.work.spend(argument)
        self.stack.append(self.construct(callee, args))

    def restore(self, value: Any) -> None:
        """Push the value of a persistent id."""
        if self.persistent is None:
            raise Refused("a reference to data outside of the pickle: not a network file")
        self.stack.append(self.persistent(value))

    def remember(self, index: int) -> None:
        """Put the top value into the memo."""
        real(self.stack[-1])
        if not 0 <= index < 2**32:
            raise Damaged(f"damaged pickle data near byte {self.position} (memo {shown(index)})")
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Push a value of the memo."""
        if index not in self.memo:
            raise Damaged(f"damaged pickle data near byte {self.position} (no value {index})")
        self.stack.append(self.memo[index])
