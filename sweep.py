"""Blend every snapshot at every resolution, score, recommend: python sweep.py blend.res=8,16,32,64,128."""

from typing import Any

import src.sweep.sweeper  # noqa: F401 (makes `hydra/sweeper: snapshots` known)
from src.cli import script


@script("sweep")
def main(config: dict[str, Any]) -> None:
    """Run without Hydra's multirun (hydra.mode=RUN): the whole sweep in this process."""
    from src.sweep.run import main as sweep

    sweep(config)


if __name__ == "__main__":
    main()
