"""What `pick.py` is asked to do: all options of `conf/pick.yaml`."""

from dataclasses import dataclass, field
from typing import Annotated

from ..options import Options, Range
from ..runs import PathsSettings, RunName


@dataclass(frozen=True, kw_only=True)
class PickSettings(Options):
    """All options of `conf/pick.yaml`."""

    run: RunName = "latest"
    sweep: str | None = None  # name of the run's sweep; None for the one that recommends its blend
    who: str = "me"  # name beside the clicks
    port: Annotated[int, Range(0, 65535)] = 0  # of 127.0.0.1; 0 for any that is free
    open: bool = True  # show the page in a browser where there is a desktop
    paths: PathsSettings = field(default_factory=PathsSettings)
