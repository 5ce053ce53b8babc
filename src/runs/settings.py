"""Groups of options about runs and blends of their snapshots that several scripts have."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ..options import Options, Positive, Range

Direction = Literal["cartoon_low", "cartoon_high"]  # coarse layers from the fine-tuned network, or from the base
Switch = Annotated[int, Range(4, binary=True)]  # resolution at which the networks meet
Level = Annotated[int, Range(0, 1, note="first or second convolution of the block")]
RunName = Annotated[str, "latest, a name or a folder"]
SnapshotName = Annotated[str | float, "a name or kimg of a snapshot"]


@dataclass(frozen=True, kw_only=True)
class PathsSettings(Options):
    """The group `paths`."""

    runs: str = "runs"  # folder of the runs


@dataclass(frozen=True, kw_only=True)
class BlendSettings(Options):
    """The group `blend` of `sweep.py`; see `Recipe`."""

    res: Literal["all"] | tuple[Switch, ...] = "all"  # of the switch; all that the networks have
    direction: Direction = "cartoon_low"  # which network is below
    level: Level = 0  # convolution of the block
    width: Positive | None = None  # of a smooth switch in layer positions; None for a hard one
