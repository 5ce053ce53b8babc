"""The machine that pickle opcodes work on: a position, a stack, a memo; and what may be a key or a set in it."""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from .errors import Damaged, Refused, shown

MAX_TEXT_LINE = 4096
MAX_OPCODES = 1_000_000
WORK_PER_BYTE, FREE_WORK = 4, 1 << 20
MAX_KEY_NUMBER = 2**60  # larger ones can be chosen so that all of them fall on the same place of a dictionary
MAX_KEY_PARTS = 4


class Global(NamedTuple):
    """A name in the file: never looked up."""

    module: str
    name: str

    @property
    def shown(self) -> str:
        """The name for a message."""
        return shown(f"{self.module}.{self.name}")


Construct = Callable[[Global, tuple[Any, ...]], Any]


class Mark:
    """Marks a place on the stack."""


MARK = Mark()


def scalar_set(values: Any) -> set[Any]:
    """A set of texts and numbers, nothing whose hash could take long."""
    if not isinstance(values, list | tuple | set) or not all(is_key(v) for v in values):
        raise Refused("a set of something else than texts and small numbers")
    return set(values)


def is_key(value: Any) -> bool:
    """Whether a value hashes quickly whatever the file says: text, small number, or a short tuple of these."""
    if type(value) is tuple:
        return len(value) <= MAX_KEY_PARTS and all(type(v) is not tuple and is_key(v) for v in value)
    if isinstance(value, str | bool) or value is None:
        return True
    return isinstance(value, int) and abs(value) < MAX_KEY_NUMBER


def real(value: Any) -> None:
    """Check that a value is not a mark."""
    if value is MARK:
        raise Damaged("damaged pickle data (a mark instead of a value)")


class Work:
    """What reading one file may cost, pickles inside of it included: little more than its size."""

    def __init__(self, num_bytes: int) -> None:
        self._opcodes, self._items = MAX_OPCODES, WORK_PER_BYTE * num_bytes + FREE_WORK

    def step(self) -> None:
        """Count an opcode."""
        self._opcodes -= 1
        if self._opcodes < 0:
            raise Refused(f"more than {MAX_OPCODES} pickle opcodes: not a network file")

    def spend(self, value: Any) -> None:
        """Count the bytes or items of a value that is about to be copied or looked through."""
        if isinstance(value, str | bytes | memoryview | list | tuple | dict | set):
            self._items -= len(value)
        if self._items < 0:
            raise Refused("it has the same data built again and again: not a network file")


class PickleMachine:
    """The state of reading one pickle: its position, stack and memo, and the steps that opcodes are made of."""

    def __init__(
        self,
        data: memoryview,
        position: int = 0,  # where the pickle starts
        *,
        construct: Construct,  # a value of a name and arguments (REDUCE, NEWOBJ), or raises `Refused`
        set_state: Callable[[Any, Any], None],  # gives a value its state (BUILD), or raises `Refused`
        persistent: Callable[[Any], Any] | None = None,  # makes a value of a persistent id; None refuses them
        work: Work,  # what the whole file may cost
    ) -> None:
        self.data, self.position = data, position
        self.construct, self.set_state, self.persistent = construct, set_state, persistent
        self.work = work
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

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
