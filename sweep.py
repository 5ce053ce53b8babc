"""Blend every snapshot at every resolution, score, recommend: python sweep.py blend.res=8,16,32,64,128."""

from typing import Any

from src.cli import script


def register() -> None:
    """Make the in-tree sweeper known to Hydra before the configuration is composed."""
    from src.sweep.sweeper import register

    register()


@script("sweep", before=register)
def main(config: dict[str, Any]) -> None:
    """Score one snapshot: the job that the sweeper launches."""
    from src.sweep.run import score_job

    score_job(config)


if __name__ == "__main__":
    main()
