"""A pickle machine that builds data and runs nothing.

Python's own unpickler imports and calls whatever the file names. This one reads the same opcodes (protocols 0 to 5),
but a name in the file stays a name: `Global("os", "system")` is two strings. What a name may build is decided by the
short table in `standins`; everything else is refused. No object of the file's choosing is imported, called, hashed
or compared.

Bounded: bytes are views into the file; opcodes are counted, and so is all data that is copied or looked through, for
the whole file with the pickles inside of it (`Work`); dictionary keys are texts and small numbers, alone or a few in a
tuple (others can take forever to hash); nothing here recurses.

Left out on purpose, and refused: EXT1/2/4 (a registry of names), INST and OBJ (protocol 0's calls), PERSID, out-of-band
buffers.
"""

import struct
from collections.abc import Callable
from typing import Any

from .errors import Damaged, Refused
from .pickle_machine import MARK, PickleMachine, real, scalar_set

MAX_INT_BYTES = 64


def _long(u: PickleMachine, count: int) -> int:
    if count > MAX_INT_BYTES:
        raise Refused(f"a whole number of {count} bytes near byte {u.position}")
    return int.from_bytes(u.take(count), "little", signed=True)


def _int_line(text: str) -> int | bool:
    if text in ("00", "01"):  # how protocol 0 writes booleans
        return text == "01"
    if len(text) > 2 * MAX_INT_BYTES:
        raise Refused("a whole number of absurd length")
    return int(text.removesuffix("L"))


def _quoted_line(text: str) -> str:
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"" or "\\" in text:
        raise Refused("a quoted text of protocol 0 that needs evaluation")
    return text[1:-1]


def _text(u: PickleMachine, count: int, encoding: str = "utf-8") -> str:
    return str(u.take(count), encoding, "surrogatepass" if encoding == "utf-8" else "strict")


def _binary(make: Callable[[PickleMachine], Any]) -> Callable[[PickleMachine], None]:
    """A handler that pushes what `make` reads."""
    return lambda u: u.stack.append(make(u))


def _append(u: PickleMachine, values: list[Any]) -> None:
    u.top(list).extend(values)


def _pairs(u: PickleMachine) -> None:
    values = u.pop_mark()
    u.stack.append({})
    u.set_items(values)


def _one_item(u: PickleMachine) -> None:
    value, key = u.pop(), u.pop()
    u.set_items([key, value])


def _duplicate(u: PickleMachine) -> None:
    real(u.stack[-1])
    u.stack.append(u.stack[-1])


def _reduce(u: PickleMachine) -> None:
    args, callee = u.pop(), u.pop()
    u.make(callee, args)


def _new_object_keywords(u: PickleMachine) -> None:
    keywords, args, callee = u.pop(), u.pop(), u.pop()
    if keywords != {}:
        raise Refused("an object made with keyword arguments")
    u.make(callee, args)


def _build(u: PickleMachine) -> None:
    state = u.pop()
    real(u.stack[-1])
    u.set_state(u.stack[-1], state)


def _stack_global(u: PickleMachine) -> None:
    name, module = u.pop(), u.pop()
    u.stack.append(u.global_named(module, name))


def _tuple_of(count: int) -> Callable[[PickleMachine], None]:
    def handler(u: PickleMachine) -> None:
        values = [u.pop() for _ in range(count)]
        u.stack.append(tuple(reversed(values)))

    return handler


HANDLERS: dict[int, Callable[[PickleMachine], Any]] = {
    ord(code): handler
    for code, handler in {
        "\x80": lambda u: u.take(1),  # PROTO
        "\x95": lambda u: u.take(8),  # FRAME
        "0": lambda u: u.stack.pop(),
        "1": lambda u: u.pop_mark(),
        "2": _duplicate,
        "(": lambda u: u.stack.append(MARK),
        "N": _binary(lambda u: None),
        "\x88": _binary(lambda u: True),
        "\x89": _binary(lambda u: False),
        "I": _binary(lambda u: _int_line(u.line())),
        "L": _binary(lambda u: _int_line(u.line())),
        "J": _binary(lambda u: u.number("<i")),
        "K": _binary(lambda u: u.number("<B")),
        "M": _binary(lambda u: u.number("<H")),
        "\x8a": _binary(lambda u: _long(u, u.number("<B"))),
        "\x8b": _binary(lambda u: _long(u, u.number("<i"))),
        "F": _binary(lambda u: float(u.line())),
        "G": _binary(lambda u: struct.unpack(">d", u.take(8))[0]),
        "S": _binary(lambda u: _quoted_line(u.line())),
        "T": _binary(lambda u: _text(u, u.number("<i"), "latin-1")),
        "U": _binary(lambda u: _text(u, u.number("<B"), "latin-1")),
        "V": _binary(lambda u: u.line()),
        "X": _binary(lambda u: _text(u, u.number("<I"))),
        "\x8c": _binary(lambda u: _text(u, u.number("<B"))),
        "\x8d": _binary(lambda u: _text(u, u.number("<Q"))),
        "B": _binary(lambda u: u.take(u.number("<I"))),
        "C": _binary(lambda u: u.take(u.number("<B"))),
        "\x8e": _binary(lambda u: u.take(u.number("<Q"))),
        "\x96": _binary(lambda u: u.take(u.number("<Q"))),
        "]": _binary(lambda u: []),
        "l": _binary(lambda u: u.pop_mark()),
        "a": lambda u: _append(u, [u.pop()]),
        "e": lambda u: _append(u, u.pop_mark()),
        ")": _binary(lambda u: ()),
        "t": _binary(lambda u: tuple(u.pop_mark())),
        "\x85": _tuple_of(1),
        "\x86": _tuple_of(2),
        "\x87": _tuple_of(3),
        "}": _binary(lambda u: {}),
        "d": _pairs,
        "s": _one_item,
        "u": lambda u: u.set_items(u.pop_mark()),
        "\x8f": _binary(lambda u: set()),
        "\x90": lambda u: u.add_items(u.pop_mark()),
        "\x91": _binary(lambda u: scalar_set(u.pop_mark())),
        "g": lambda u: u.recall(int(u.line())),
        "h": lambda u: u.recall(u.number("<B")),
        "j": lambda u: u.recall(u.number("<I")),
        "p": lambda u: u.remember(int(u.line())),
        "q": lambda u: u.remember(u.number("<B")),
        "r": lambda u: u.remember(u.number("<I")),
        "\x94": lambda u: u.remember(len(u.memo)),
        "c": _binary(lambda u: u.global_named(u.line(), u.line())),
        "\x93": _stack_global,
        "R": _reduce,
        "\x81": _reduce,  # NEWOBJ: a class and its arguments
        "\x92": _new_object_keywords,
        "b": _build,
        "Q": lambda u: u.restore(u.pop()),
    }.items()
}


class Unpickler(PickleMachine):
    """Reads one pickle from a buffer; made as the machine is."""

    def load(self) -> Any:
        """Return the pickled value; `position` is behind it afterwards."""
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
