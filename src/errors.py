"""The one exception that is the user's to read, and the end that it has: a line on stderr and exit code 2."""

import sys
from collections.abc import Callable
from typing import Any

EXIT_USER_ERROR, EXIT_INTERRUPTED = 2, 130


class UserError(Exception):
    """A wrong option, value, file or picture: one message that names it and says what to do.

    Raised anywhere in the package; the entry scripts print the message without a traceback and exit with code 2.
    """


def with_errors_as_lines(call: Callable[[], Any], *, stopped: str = "stopped") -> Any:
    """Run `call` and return its result; a UserError becomes one line on stderr and exit code 2, Ctrl-C `stopped`."""
    try:
        return call()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
