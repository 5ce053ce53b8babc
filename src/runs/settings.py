"""Where runs are: the group of options `paths`."""

from dataclasses import dataclass

from ..options import Options


@dataclass(frozen=True, kw_only=True)
class PathsSettings(Options):
    """The group `paths`."""

    runs: str = "runs"  # folder of the runs
