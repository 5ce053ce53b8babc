"""How a program ends: a mistake of the user's and a signal are one line each, with their exit codes."""

import sys
from collections.abc import Callable
from typing import Any

from .errors import UserError, is_out_of_memory
from .signals import Stopped, answer, answer_as, stop

EXIT_USER_ERROR, EXIT_INTERRUPTED = 2, 130


def with_errors_as_lines(call: Callable[[], Any], *, stopped: str = "stopped") -> Any:
    """Run `call` and return its result; a UserError becomes one line on stderr and exit code 2.

    A signal that asks to stop becomes the line `stopped` and exit code 130 (Ctrl-C), 143 (SIGTERM) or 128 and its
    number.
    """
    before = answer(stop)  # a training run answers by itself while it trains
    try:
        return call()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).split(". ")[0] or "too little memory"
        print(f"error: {reason}: end what else takes memory, or choose device=cpu", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except (Stopped, KeyboardInterrupt) as error:
        print(stopped, file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, Stopped) else EXIT_INTERRUPTED)
    finally:
        answer_as(before)
