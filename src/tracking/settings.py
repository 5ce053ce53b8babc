"""Where numbers and pictures of a run are shown: the group of options `tracker`."""

from dataclasses import dataclass
from typing import Literal

from ..options import Options


@dataclass(frozen=True, kw_only=True)
class TrackerSettings(Options):
    """The group `tracker`."""

    name: str = "none"  # of the choice
    # of W&B's copy; auto is online with a key and a server, otherwise offline
    mode: Literal["auto", "online", "offline", "disabled"] = "disabled"
    project: str | None = None  # W&B's; None is as W&B's own settings say, or caricature
