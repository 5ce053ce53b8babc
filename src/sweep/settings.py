"""What `sweep.py` is asked to do: all options of `conf/sweep.yaml`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from ..fetch import WeightsFolder
from ..options import Device, Options, Range, Seed, matching
from ..plug_in import FUNCTION
from ..runs import BlendSettings, PathsSettings, RunName, SnapshotName
from ..tracking import TrackerSettings

MIN_LATENTS = 16  # to measure blends; for a recommendation see `metrics.MIN_CODES`


@dataclass(frozen=True, kw_only=True)
class SweepSettings(Options):
    """All options of `conf/sweep.yaml`."""

    run: RunName = "latest"
    joint: bool = False  # rank several trainings of one recipe together: `run` names them, separated by commas
    snapshot: Literal["all"] | tuple[SnapshotName, ...] = "all"
    base: str = "auto"  # the network that the run was fine-tuned from; auto is as the run says
    # of the sweep's folder; None makes one of direction, level and width
    name: Annotated[str, matching(r"(?!\.\.?$)[^/]+", "a name for the sweep's folder, without / or ..")] | None = None
    blend: BlendSettings = field(default_factory=BlendSettings)
    n_latents: Annotated[int, Range(MIN_LATENTS)] | None = None  # common codes; None for 256, on a GPU 512
    race: bool = True  # no further codes for blends that cannot be the best any more
    psi: Annotated[float, Range(0, 1, above=True, note="1 is no truncation")] = 0.7  # their truncation
    seed: Seed = 0  # of codes and draws
    landmarks: Literal["auto", "network", "face-alignment", "dlib"] = "auto"  # by which shape is measured
    # which tells whether a blend's faces are the base's; None for their looks
    recogniser: Annotated[str, matching(rf"dlib|{FUNCTION}", "dlib or package.module:function")] | None = None
    # weight of shape in the score
    alpha: Annotated[float, Range(0, 1, above=True, below=True, note="0 rendering alone, 1 shape alone")] = 0.5
    clicks: Path | None = None  # of pick.py, whose alpha is taken; merged files too
    gates: bool = True  # leave blends that fail a gate out of the ranking
    device: Device = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"  # of rendering
    paths: PathsSettings = field(default_factory=PathsSettings)
    weights: WeightsFolder = field(default_factory=WeightsFolder)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)

    @property
    def runs(self) -> list[str]:
        """The runs that are swept."""
        return self.run.split(",") if self.joint else [self.run]

    def check(self) -> None:
        """Clicks say what alpha is."""
        if self.clicks is not None:
            self.refuse_changed("has no effect with clicks=, which say it", "alpha")
