"""What `generate.py` is asked to do: all options of `conf/generate.yaml`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from ..fetch import WeightsFolder
from ..options import Device, Kind, Options, Positive, Range
from ..runs import Direction, Level, PathsSettings, RunName, SnapshotName, Switch
from .seed_ranges import parse_numbers

SEEDS = {"grid": 36, "truncation": 6, "mix": 4, "pairs": 8, "blends": 1, "film": 6}  # how many, when none are asked for
PSI, FPS = 0.7, 24
MAX_GIF_FPS = 50  # a GIF counts in hundredths of a second; players show what is given less than two for ten
MAX_SEED, MAX_CLASS, MAX_LAYER = 2**32 - 1, 9999, 63

Psi = Annotated[float, Range(-4, 4, note="0 is the average, 1 no truncation")]


def _numbers(high: int) -> Kind:
    return Kind(("numbers and ranges such as 7, 0-5 or [1,2,5-9]",), lambda value: parse_numbers(value, high=high))


@dataclass(frozen=True, kw_only=True)
class BlendOptions(Options):
    """The group `blend`: blends of the run's snapshot with the network that it was fine-tuned from."""

    res: tuple[Switch, ...] | None = None  # of the switch; None for no blend, where several are shown for all
    direction: Direction | None = None  # None for cartoon_low
    level: Level | None = None  # None for 0
    width: Positive | None = None  # None for a hard switch


@dataclass(frozen=True, kw_only=True)
class GridSettings(Options):
    """The group `grid`."""

    columns: Annotated[int, Range(1, 1000)] | None = None  # pictures a row; None for about a square


@dataclass(frozen=True, kw_only=True)
class TruncationSettings(Options):
    """The group `truncation`."""

    psi: tuple[Psi, ...] | None = None  # rows


@dataclass(frozen=True, kw_only=True)
class MixSettings(Options):
    """The group `mix`."""

    seeds: Annotated[list[int], _numbers(MAX_SEED)] | None = None  # columns
    layers: Annotated[list[int], _numbers(MAX_LAYER)] | None = None  # taken from the column's code


@dataclass(frozen=True, kw_only=True)
class PairsSettings(Options):
    """The group `pairs`."""

    columns: Literal["best", "resolutions", "snapshots"] | None = None  # None for best


@dataclass(frozen=True, kw_only=True)
class FilmSettings(Options):
    """The group `film`."""

    format: Literal["mp4", "webp", "gif"] | None = None  # None for mp4 where it can be written, else webp
    frames: Annotated[int, Range(1, 1000)] | None = None  # from one code to the next
    fps: Annotated[float, Range(1, 120)] | None = None

    def check(self) -> None:
        """Refuse what players would slow down."""
        if self.format == "gif" and (self.fps or FPS) > MAX_GIF_FPS:
            reason = f"players slow down a GIF of more than {MAX_GIF_FPS} frames a second"
            raise self.wrong("fps", f"{reason}: choose film.format=webp or mp4, or fewer")


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(Options):
    """All options of `conf/generate.yaml`; None stands for what suits the others, or the network."""

    mode: Literal["grid", "truncation", "mix", "pairs", "blends", "film"] = "grid"
    network: Annotated[str, "a name or a path"] | None = None  # instead of the run's
    run: RunName = "latest"
    snapshot: SnapshotName | tuple[SnapshotName, ...] | None = None
    base: Annotated[str, "a name or a path"] | None = None  # that the run was fine-tuned from
    blend: BlendOptions = field(default_factory=BlendOptions)
    seeds: Annotated[list[int], _numbers(MAX_SEED)] | None = None
    codes: Annotated[str, "a path"] | None = None  # instead of seeds
    psi: Psi | None = None  # truncation
    cutoff: Annotated[int, Range(1, MAX_LAYER + 1)] | None = None  # truncate only so many layers, from the coarsest
    classes: Annotated[list[int], _numbers(MAX_CLASS)] | None = None  # of a conditional network, in turns
    noise: Literal["const", "random", "none"] = "const"
    grid: GridSettings = field(default_factory=GridSettings)
    truncation: TruncationSettings = field(default_factory=TruncationSettings)
    mix: MixSettings = field(default_factory=MixSettings)
    pairs: PairsSettings = field(default_factory=PairsSettings)
    film: FilmSettings = field(default_factory=FilmSettings)
    format: Literal["jpg", "png"] | None = None  # of the sheet
    singles: bool = False  # write each picture as a PNG of its own as well
    save_codes: bool = False  # write the codes
    out: Path | None = None  # None for a folder of the network's, or in the run's
    device: Device = "auto"
    paths: PathsSettings = field(default_factory=PathsSettings)
    weights: WeightsFolder = field(default_factory=WeightsFolder)

    @property
    def used_seeds(self) -> list[int]:
        """The seeds asked for, or as many as suit the mode."""
        return self.seeds or list(range(SEEDS[self.mode]))

    @property
    def used_psi(self) -> float:
        """The truncation asked for, or the usual; codes are taken as they are."""
        return (PSI if self.codes is None else 1.0) if self.psi is None else self.psi

    @property
    def suffix(self) -> str:
        """Of the sheet's file."""
        return self.format or "jpg"

    @property
    def shows_blends(self) -> bool:
        """Whether blends are shown, besides the recommended one."""
        return self.blend.res is not None or "resolutions" in self._several

    @property
    def _several(self) -> tuple[str, ...]:
        """Of what the sheet shows several beside each other."""
        return ("resolutions", "snapshots") if self.mode == "blends" else (self.pairs.columns or "",)

    def check(self) -> None:
        """Refuse what has no effect with the mode, with a network file, or without a blend."""
        for group in SEEDS:
            if group != self.mode:
                self.refuse_changed(f"has no effect with mode={self.mode}: choose mode={group}", f"{group}.")
        if self.codes is not None:
            names = ("seeds",) if self.mode == "mix" else ("seeds", "classes")
            self.refuse_changed(f"has no effect with codes={self.codes}: give one of the two", *names)
        if self.mode == "truncation":
            self.refuse_changed("has no effect with mode=truncation: its rows are truncation.psi", "psi")
        elif self.used_psi == 1:
            self.refuse_changed("has no effect without truncation: set psi below 1", "cutoff")
        if self.mode == "film":
            self.refuse_changed("has no effect with mode=film: film.format is a film's", "format")
        self._check_network()
        self._check_blend()

    def _check_network(self) -> None:
        if self.network is None:
            return
        if self.mode in ("pairs", "blends"):
            self.refuse_changed(
                f"has no effect with mode={self.mode}: it shows the networks of a run (run=NAME)", "network"
            )
        reason = f"has no effect with network={self.network}: it picks a network of run="
        self.refuse_changed(reason, "run", "snapshot", "base", "blend.")

    def _check_blend(self) -> None:
        if self.mode == "pairs" and self.pairs.columns in (None, "best"):
            reason = "has no effect with pairs.columns=best, which shows the recommended blend: choose "
            self.refuse_changed(f"{reason}pairs.columns=resolutions or snapshots", "snapshot", "blend.res")
        if not self.shows_blends:
            names = ("blend.",) if self.mode == "pairs" else ("base", "blend.")
            self.refuse_changed("has no effect without a blend: give blend.res", *names)
        if self.blend.res is not None and len(self.blend.res) > 1 and "resolutions" not in self._several:
            reason = "give one resolution; several are for mode=blends, and mode=pairs pairs.columns=resolutions"
            raise self.wrong("blend.res", reason)
        several = isinstance(self.snapshot, tuple) or self.snapshot == "all"
        if several and "snapshots" not in self._several:
            reason = "give one snapshot; several are for mode=blends, and mode=pairs pairs.columns=snapshots"
            raise self.wrong("snapshot", reason)
