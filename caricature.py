"""Turn photographs into caricatures with a run's recommended blend: python caricature.py photos=FOLDER."""

from typing import Any

from src.cli import script


@script("caricature")
def main(config: dict[str, Any]) -> None:
    """Find, align, project, render, paste back, as `conf/caricature.yaml` and the command line say."""
    from src.caricature import main as caricature  # after the options are checked: a wrong one is answered at once

    caricature(config)


if __name__ == "__main__":
    main()
