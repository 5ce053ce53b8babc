"""Blend every snapshot at every resolution, score, recommend: python sweep.py blend.res=8,16,32,64,128.

With hydra.mode=RUN the whole sweep runs in this process, without Hydra's jobs.
"""

import sys
from typing import Any

from src.cli import script
from src.exits import with_errors_as_lines
from src.sweeper import as_lists


@script("sweep")
def main(config: dict[str, Any]) -> None:
    """Run without Hydra's multirun (hydra.mode=RUN): the whole sweep in this process."""
    from src.sweep import main as sweep

    sweep(config)


if __name__ == "__main__":
    sys.argv[1:] = with_errors_as_lines(lambda: as_lists(sys.argv[1:]))
    main()
