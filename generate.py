"""Pictures and films from any network: python generate.py seeds=0-35 psi=0.7, mode=mix, mode=pairs, mode=film."""

from typing import Any

from src.cli import script


@script("generate")
def main(config: dict[str, Any]) -> None:
    """Render as `conf/generate.yaml` and the command line say."""
    from src.generate import generate  # after the options are checked: a wrong one is answered at once

    generate(config)


if __name__ == "__main__":
    main()
