"""What `caricature.py` is asked to do: all options of `conf/caricature.yaml`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from ..data import Backdrop, parse_backdrop
from ..errors import UserError
from ..faces import FaceSettings
from ..fetch import WeightsFolder
from ..options import Device, Kind, NotNegative, Options, Positive, Range, Seed, kind_of
from ..projection import ProjectionChoice
from ..runs import Direction, Level, PathsSettings, RunName, SnapshotName, Switch

#: One of `strength={NAME:NUMBER,…}`: a name may stand in quotes, and must where it has a comma.
NAMED = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|([^,]*?))\s*:\s*([^,:]*?)\s*(?:,|$)""")
Strength = Annotated[float, Range(0, 1.5, note="0 is no caricature, 1 the blend")]
_STRENGTHS = kind_of(tuple[Strength, ...])


def _strength(given: Any) -> Any:
    """A number, a tuple of numbers, or numbers by name."""
    if isinstance(given, str) and given.startswith("{"):
        given = _named_strengths(given)
    if isinstance(given, Mapping):
        return dict(zip(given, _STRENGTHS.accept(list(given.values())), strict=True))
    numbers = _STRENGTHS.accept(given)
    return numbers if isinstance(given, list | tuple) else numbers[0]


def _named_strengths(text: str) -> dict[str, Any]:
    """Read `{NAME:NUMBER,…}`; a value that is no number stays a text."""
    inner, found, at = text.strip()[1:-1], {}, 0
    if not text.rstrip().endswith("}"):
        raise ValueError("the closing } is missing")
    while at < len(inner):
        match = NAMED.match(inner, at)
        name = next((part for part in match.groups()[:3] if part), None) if match else None
        if match is None or name is None:
            raise ValueError("give names and numbers such as {anna:0.5,default:1}")
        if name in found:
            raise ValueError(f"{name} stands in it twice")
        found[name] = _as_number(match[4])
        at = match.end()
    return found


def _as_number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True, kw_only=True)
class BlendChoice(Options):
    """The group `blend`; None is as the sweep recommends."""

    res: Switch | None = None
    direction: Direction | None = None
    level: Level | None = None
    width: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class TuningSettings(Options):
    """The group `tuning`, see `projection.tune`."""

    steps: Annotated[int, Range(0)] = 0  # the most; 0 leaves the networks as they are
    lr: Positive = 3e-4  # learning rate
    stop: NotNegative = 0.03  # mean distance at which it is enough

    def check(self) -> None:
        """Refuse to say how where nothing is tuned."""
        if self.steps == 0:
            self.refuse_changed("has no effect with tuning.steps=0: set the steps", "lr", "stop")


@dataclass(frozen=True, kw_only=True)
class PageSettings(Options):
    """The group `page`: stops of its sliders."""

    strengths: tuple[Strength, ...] = (0, 0.5, 1, 1.5)
    resolutions: Literal["auto"] | tuple[Switch, ...] = "auto"  # auto is all of the network's

    @property
    def chosen(self) -> tuple[int, ...] | None:
        """The resolutions; None for all."""
        return self.resolutions if isinstance(self.resolutions, tuple) else None


@dataclass(frozen=True, kw_only=True)
class CaricatureSettings(Options):
    """All options of `conf/caricature.yaml`."""

    photos: Annotated[Path, "a picture, a folder or a zip"] | None = None  # of faces
    codes: Annotated[Path, "a file or a folder"] | None = None  # instead of photographs
    out: Annotated[Path, "a folder"] | None = None  # None for one in the run's
    run: RunName = "latest"
    base: str = "auto"  # network to project into; auto is the run's
    sweep: str | None = None  # whose recommendation is rendered; None for the newest
    snapshot: SnapshotName | None = None  # another than the recommended
    network: str | None = None  # a network file to render with instead of the run's blends
    blend: BlendChoice = field(default_factory=BlendChoice)
    # how much of the caricature: for all faces, one a face, or by name with a `default`
    strength: Annotated[
        float | tuple[float, ...] | Mapping[str, float],
        Kind((*_STRENGTHS.words, "{NAME:NUMBER,default:NUMBER}"), _strength, text=r"\{"),
    ] = 1.0
    background: str = "white"  # behind transparent photographs: a colour, a picture's file, or own
    paste: bool = True  # put the caricatures back into their photographs
    feather: Annotated[float, Range(0, 0.5)] = 0.15  # of the face over which it fades
    faces: FaceSettings = field(default_factory=FaceSettings)
    projection: ProjectionChoice = field(default_factory=ProjectionChoice)
    tuning: TuningSettings = field(default_factory=TuningSettings)
    page: PageSettings = field(default_factory=PageSettings)
    seed: Seed = 0  # of the projection
    device: Device = "auto"
    paths: PathsSettings = field(default_factory=PathsSettings)
    weights: WeightsFolder = field(default_factory=WeightsFolder)

    def check(self) -> None:
        """Refuse what has no effect beside a network file, or codes."""
        if (self.photos is None) == (self.codes is None):
            raise UserError("say which pictures: photos=FOLDER, or codes=FOLDER of projected ones; one of the two")
        if self.network is not None:
            self.refuse_changed(f"has no effect with network={self.network}", "snapshot", "sweep", "blend.")
            self.refuse_changed("has no effect with network=: its slider is of a run's blends", "page.resolutions")
            if self.base != "auto":
                self.refuse_changed("has no effect beside network= and base=", "run")
        if self.codes is not None:
            self.refuse_changed("needs the faces' pictures: give photos= instead of codes=", "tuning.steps")
            of_photos = ("background", "paste", "feather", "faces.", "projection.", "seed")
            self.refuse_changed("has no effect with codes=: they are rendered as they are", *of_photos)
        if not self.paste:
            self.refuse_changed("has no effect with paste=false", "feather")
        _ = self.backdrop

    @cached_property
    def backdrop(self) -> Backdrop:
        """What lies behind transparent photographs."""
        return self.parsed("background", parse_backdrop)

    def strengths(self, names: Sequence[str]) -> list[float]:
        """Strength of each face; it takes nothing but their names, so that it can be asked before anything is computed.

        A UserError for a list of another length, or a name that no face has.
        """
        if isinstance(self.strength, Mapping):
            unknown = [name for name in self.strength if name not in (*names, "default")]
            if unknown:
                known = ", ".join(names[:8])
                raise UserError(f"strength={{{unknown[0]}: …}}: there is no such face; faces are {known}")
            return [float(self.strength.get(name, self.strength.get("default", 1.0))) for name in names]
        if isinstance(self.strength, tuple):
            if len(self.strength) != len(names):
                raise UserError(f"strength has {len(self.strength)} values for {len(names)} faces: give one for each")
            return [float(value) for value in self.strength]
        return [float(self.strength)] * len(names)
