"""Make a data set of pictures: python prepare.py dataset=ferg source=FERG_DB_256, or source=PICTURES."""

from typing import Any

from src.cli import script
from src.exits import with_errors_as_lines


@script("prepare")
def main(config: dict[str, Any]) -> None:
    """Prepare as `conf/prepare.yaml` and the command line say."""
    from src.prepare import main as prepare  # after the options are checked: a wrong one is answered at once

    with_errors_as_lines(lambda: prepare(config), stopped="stopped: the same command goes on from here")


if __name__ == "__main__":
    main()
