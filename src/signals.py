"""Signals that ask a program to stop: Ctrl-C, `kill`, and the notice of a batch system (Slurm's `--signal=USR1@90`)."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

Handler = Callable[[int, FrameType | None], None]
#: Windows has the first two alone.
STOPPING = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2") if name in signal.Signals.__members__
)


class Stopped(BaseException):
    """A signal, by its number, has stopped the program.

    No KeyboardInterrupt, which Lightning answers with exit code 1, and no Exception, after which other jobs go on.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)

    @property
    def exit_code(self) -> int:
        """As a shell reports a program that this signal ended: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + signal.Signals[str(self)]


def stop(number: int, frame: FrameType | None = None) -> NoReturn:
    """Answer a signal by stopping at once."""
    raise Stopped(number)


def answer(handler: Handler) -> dict[int, Any]:
    """Have `handler` called for every signal that asks to stop; returns what answered them before, for `answer_as`."""
    return {number: signal.signal(number, handler) for number in STOPPING}


def answer_as(before: dict[int, Any]) -> None:
    """Go back to what answered the signals before."""
    for number, handler in before.items():
        signal.signal(number, handler)
