"""How a program ends: a mistake of the user's and a signal are one line each, with their exit codes."""

import errno
import sys
from collections.abc import Callable
from typing import Any

from .errors import UserError, lacking_memory
from .files import FULL, unwritable
from .signals import Stopped, answer, answer_as, stop

EXIT_USER_ERROR, EXIT_INTERRUPTED = 2, 130
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, *FULL)  # what a file system does not let us do


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
    except OSError as error:
        if error.errno not in DENIED or error.filename is None:
            raise
        full = error.errno in FULL
        line = unwritable(str(error.filename), error) if full else f"{error.filename}: {error.strerror}"
        print(f"error: {line}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except (RuntimeError, MemoryError) as error:
        whose = lacking_memory(error)
        if whose is None:
            raise
        what = "use the processor" if whose == "device" else "use a machine with more"
        print(f"error: the {whose} has too little memory: end what else takes it, or {what}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except (Stopped, KeyboardInterrupt) as error:
        print(stopped, file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, Stopped) else EXIT_INTERRUPTED)
    finally:
        answer_as(before)
