"""Say which of two blends you like better, and get the score's weight of shape from it: python pick.py run=mine."""

from typing import Any

from src.cli import script


@script("pick")
def main(config: dict[str, Any]) -> None:
    """Serve the page, as `conf/pick.yaml` and the command line say, until it is closed there."""
    from src.picking import main as pick  # after the options are checked: a wrong one is answered at once

    pick(config)


if __name__ == "__main__":
    main()
