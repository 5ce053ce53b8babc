"""A further process of a run, started by the first one: `python -m src.training.worker`.

Its configuration comes as a line on standard input, which the first process keeps open as long as it lives.
"""

import json
import os
import sys
import threading

from ..errors import UserError
from ..exits import EXIT_USER_ERROR
from ..signals import Stopped, answer, stop
from .run import train


def main() -> None:
    """Take part in the run; what fails here is told in one line, unless another process has told it already."""
    config = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_the_first, daemon=True).start()
    answer(stop)
    try:
        train(config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except Stopped:  # as all have agreed: the first process tells
        pass


def _leave_with_the_first() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
