"""What `caricature.py` is asked to do: one checked object (from `conf/caricature.yaml`: options.py)."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..device import torch_device
from ..errors import UserError
from ..faces import Limits
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..projection import ProjectionSettings
from ..runs import Recipe

MAX_STRENGTH = 1.5
#: One of `strength={NAME:NUMBER,…}`: a name may stand in quotes, and must where it has a comma.
NAMED = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|([^,]*?))\s*:\s*([^,:]*?)\s*(?:,|$)""")


@dataclass(frozen=True)
class BlendChoice:
    """Which blend of a run; None is as the sweep recommends."""

    snapshot: str | float | None = None
    resolution: int | None = None
    direction: str | None = None
    level: int | None = None
    width: float | None = None
    sweep: str | None = None

    @property
    def is_recommended(self) -> bool:
        """Whether it is the one that a sweep recommends."""
        return self == BlendChoice(sweep=self.sweep)

    def recipe(self, recommended: Recipe | None) -> Recipe | None:
        """Make the recipe of what is asked for, the rest as recommended; None when nothing says the resolution."""
        asked = {name: getattr(self, name) for name in ("resolution", "direction", "level", "width")}
        given = {name: value for name, value in asked.items() if value is not None}
        if recommended is not None:
            return replace(recommended, **given)
        return Recipe(**given) if "resolution" in given else None


@dataclass(frozen=True)
class FaceChoice:
    """Which faces, see `faces.FaceSettings`; `min_px=None` is half of the network's size."""

    which: str = "largest"
    landmarks: str = "auto"
    aligned: bool = False
    align_px: int = 1024
    min_px: float | None = None
    max_yaw: float | None = 45.0
    min_sharpness: float | None = 10.0
    max_outside: float | None = 0.4

    def limits(self, resolution: int) -> Limits:
        """The limits for a network of some resolution."""
        smallest = resolution / 2 if self.min_px is None else self.min_px
        return Limits(smallest, self.max_yaw, self.min_sharpness, self.max_outside)


@dataclass(frozen=True)
class TuningSettings:
    """See `projection.tuning.tune`.

    Attributes:
        steps: the most steps; 0 leaves the networks as they are.
        lr: learning rate.
        stop: mean distance at which it is enough.
    """

    steps: int = 0
    lr: float = 3e-4
    stop: float = 0.03


@dataclass(frozen=True)
class CaricatureSettings:
    """Settings of a run of `caricature.py`; `conf/caricature.yaml` has the same names.

    Attributes:
        photos: a picture, folder or zip; None with `codes`.
        codes: a file or folder of codes.
        out: folder of the results; None for one in the run's.
        run: `"latest"`, a name or folder.
        base: network to project into; `"auto"` for the run's.
        network: a network file to render with instead of the run's blends.
        blend: which blend.
        strength: how much of the caricature, 0 to 1.5: for all faces, one a face, or by name with a `default`; the
            last also as the text `{NAME:NUMBER,…}`.
        paste: whether to put the caricatures back into their photographs.
        feather: see `faces.paste_back`.
        faces: which faces.
        projection: schedule.
        start: file of codes to begin the projection with.
        batch: pictures projected at a time.
        tuning: of the network to the faces.
        page_strengths: stops of the page's slider.
        page_resolutions: of its other slider; None for all.
        seed: of the projection.
        device: `"auto"`, `"cpu"`, `"cuda"`, …
        weights: where published files lie and come from.
    """

    photos: str | Path | None = None
    codes: str | Path | None = None
    out: str | Path | None = None
    run: str | Path = "latest"
    base: str = "auto"
    network: str | None = None
    blend: BlendChoice = BlendChoice()
    strength: str | float | Sequence[float] | Mapping[str, float] = 1.0
    paste: bool = True
    feather: float = 0.15
    faces: FaceChoice = FaceChoice()
    projection: ProjectionSettings = field(default_factory=ProjectionSettings)
    start: str | None = None
    batch: int | None = None
    tuning: TuningSettings = field(default_factory=TuningSettings)
    page_strengths: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    page_resolutions: tuple[int, ...] | None = None
    seed: int = 0
    device: str = "auto"
    weights: WeightsFolder = DEFAULT_FOLDER

    def __post_init__(self) -> None:
        if (self.photos is None) == (self.codes is None):
            raise UserError("say which pictures: photos=FOLDER, or codes=FOLDER of projected ones; one of the two")
        if self.network is not None and self.blend != BlendChoice():
            raise UserError("network= renders with that file: snapshot=, sweep= and blend.* have no effect beside it")
        if self.codes is not None and self.tuning.steps:
            raise UserError("tuning.steps needs the faces' pictures: give photos= instead of codes=")
        if isinstance(self.strength, str) and self.strength.startswith("{"):
            object.__setattr__(self, "strength", _named_strengths(self.strength))
        self._check_range()
        if not self.page_strengths:
            raise UserError("page.strengths is empty: give at least one strength such as [1]")

    def _check_range(self) -> None:
        values: Sequence[Any] = [self.strength]
        if isinstance(self.strength, Mapping):
            values = list(self.strength.values())
        elif isinstance(self.strength, list | tuple):
            values = self.strength
        for name, given in (("strength", values), ("page.strengths", self.page_strengths)):
            for value in given:
                if not _is_number(value) or not 0 <= value <= MAX_STRENGTH:
                    raise UserError(
                        f"{name}={value}: give a number from 0 (no caricature) to {MAX_STRENGTH}, 1 the blend"
                    )

    def strengths(self, names: Sequence[str]) -> list[float]:
        """Strength of each face; it takes nothing but their names, so that it can be asked before anything is computed.

        Raises:
            UserError: for a list of another length, or a name that no face has.
        """
        if isinstance(self.strength, Mapping):
            unknown = [name for name in self.strength if name not in (*names, "default")]
            if unknown:
                known = ", ".join(names[:8])
                raise UserError(f"strength={{{unknown[0]}: …}}: there is no such face; faces are {known}")
            return [float(self.strength.get(name, self.strength.get("default", 1.0))) for name in names]
        if isinstance(self.strength, list | tuple):
            if len(self.strength) != len(names):
                raise UserError(f"strength has {len(self.strength)} values for {len(names)} faces: give one for each")
            return [float(value) for value in self.strength]
        assert isinstance(self.strength, int | float)
        return [float(self.strength)] * len(names)

    def torch_device(self) -> torch.device:
        """The device to compute on.

        Raises:
            UserError: when it is not there.
        """
        return torch_device(self.device)


def _named_strengths(text: str) -> dict[str, Any]:
    """Read `{NAME:NUMBER,…}`; a value that is no number stays a text."""
    inner, found, at = text.strip()[1:-1], {}, 0
    if not text.rstrip().endswith("}"):
        raise UserError(f"strength={text}: the closing }} is missing")
    while at < len(inner):
        match = NAMED.match(inner, at)
        name = next((part for part in match.groups()[:3] if part), None) if match else None
        if match is None or name is None:
            raise UserError(f"strength={text}: give names and numbers such as {{anna:0.5,default:1}}")
        if name in found:
            raise UserError(f"strength={text}: {name} stands in it twice")
        found[name] = _as_number(match[4])
        at = match.end()
    return found


def _as_number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
