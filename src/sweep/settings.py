"""What a sweep is asked to do: one checked object, from Python or from `conf/sweep.yaml`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..device import torch_device
from ..errors import UserError
from ..networks import Generator, Precision, choose_precision
from ..runs import DIRECTIONS, Recipe
from ..tracking import MODES

MIN_LATENTS = 16
LATENTS_CPU, LATENTS_GPU = 256, 512


@dataclass(frozen=True)
class SweepSettings:
    """Settings of a sweep; `conf/sweep.yaml` has the same names, those of the blend under `blend`.

    Attributes:
        resolutions: of the switch, each once, increasing.
        direction: see `runs.Recipe`, as level and width.
        level: 0 or 1.
        width: None for a hard switch.
        snapshot: `"all"`, or names or kimg of snapshots.
        base: `"auto"` for the network that the run started from, or a network's file or name.
        name: of the sweep's folder; None makes one of direction, level and width.
        n_latents: common codes; None for 256, on a GPU 512.
        psi: their truncation.
        seed: of codes and bootstrap.
        alpha: weight of structure in the score, between 0 and 1.
        n_bootstrap: resamplings of the codes.
        gates: whether a blend that fails a gate is left out of the ranking.
        device: `"auto"`, `"cpu"`, `"cuda"`, …
        precision: of the networks: `"fp32"`, `"bf16"`, or on a GPU `"fp16"`.
        tracker: `mode` and `project` of the tracker.
    """

    resolutions: tuple[int, ...]
    direction: str = "cartoon_low"
    level: int = 0
    width: float | None = None
    snapshot: str | float | Sequence[str | float] = "all"
    base: str = "auto"
    name: str | None = None
    n_latents: int | None = None
    psi: float = 0.7
    seed: int = 0
    alpha: float = 0.5
    n_bootstrap: int = 1000
    gates: bool = True
    device: str = "auto"
    precision: str = "fp32"
    tracker: Mapping[str, Any] = field(default_factory=lambda: {"mode": "disabled", "project": "caricature"})

    def __post_init__(self) -> None:
        self._check_names()
        self._check_blend()
        object.__setattr__(self, "resolutions", tuple(sorted(set(self.resolutions))))
        self._check_score()

    def _check_names(self) -> None:
        for key, value in (("base", self.base), ("device", self.device)):
            if not isinstance(value, str) or not value:
                raise UserError(f"{key}={value}: give a text")
        if self.name is not None and (
            not isinstance(self.name, str) or Path(self.name).name != self.name or self.name in ("", "..")
        ):
            raise UserError(f"name={self.name}: a name for the sweep's folder, without / or ..")
        chosen = self.snapshot if isinstance(self.snapshot, list | tuple) else [self.snapshot]
        if not all(isinstance(item, str) or _is_number(item) for item in chosen):
            raise UserError(f"snapshot={self.snapshot}: give all, or names or kimg of snapshots")
        if self.tracker["mode"] not in MODES:
            raise UserError(f"tracker.mode={self.tracker['mode']}: choose one of {', '.join(MODES)}")

    def _check_blend(self) -> None:
        if not _is_int(self.level) or self.level not in (0, 1):
            raise UserError(f"blend.level={self.level}: choose 0 (first convolution of the block) or 1 (second)")
        if not self.resolutions:
            raise UserError("blend.res is empty: give resolutions such as blend.res=8,16,32")
        for r in self.resolutions:
            if not _is_int(r) or r < 4 or r & (r - 1):
                raise UserError(f"blend.res={r}: must be a power of two from 4 up, such as blend.res=8,16,32")
        if self.direction not in DIRECTIONS:
            raise UserError(f"blend.direction={self.direction}: choose {' or '.join(DIRECTIONS)}")
        if self.width is not None and (not _is_number(self.width) or self.width <= 0):
            raise UserError(
                f"blend.width={self.width}: give a width above 0 in layer positions, or null for a hard switch"
            )

    def _check_score(self) -> None:
        if self.n_latents is not None and not _is_int(self.n_latents):
            raise UserError(f"n_latents={self.n_latents}: must be a whole number such as {LATENTS_CPU}, or null")
        if self.n_latents is not None and self.n_latents < MIN_LATENTS:
            raise UserError(f"n_latents={self.n_latents}: at least {MIN_LATENTS} codes are needed to compare blends")
        if not _is_number(self.psi) or not 0 < self.psi <= 1:
            raise UserError(f"psi={self.psi}: truncation lies above 0 (all pictures alike) and up to 1 (none)")
        if not _is_int(self.seed) or self.seed < 0:
            raise UserError(f"seed={self.seed}: must be a whole number from 0 up")
        if not _is_number(self.alpha) or not 0 < self.alpha < 1:
            raise UserError(f"alpha={self.alpha}: must lie between 0 (rendering alone) and 1 (structure alone)")
        if not _is_int(self.n_bootstrap):
            raise UserError(f"n_bootstrap={self.n_bootstrap}: must be a whole number such as 1000")
        if self.n_bootstrap < 100:
            raise UserError(f"n_bootstrap={self.n_bootstrap}: at least 100 are needed for an interval")
        if not isinstance(self.gates, bool):
            raise UserError(f"gates={self.gates}: must be true or false")

    def recipe(self, resolution: int) -> Recipe:
        """How blends at a resolution are made."""
        return Recipe(resolution, self.direction, self.level, self.width)

    @property
    def recipes(self) -> list[Recipe]:
        """Of the blends of each snapshot."""
        return [self.recipe(r) for r in self.resolutions]

    @property
    def folder_name(self) -> str:
        """Name of the sweep's folder."""
        return self.recipes[0].manner if self.name is None else str(self.name)

    def check_against(self, G: Generator) -> None:
        """Check the resolutions against the networks.

        Raises:
            UserError: for a resolution that the network does not have, or at which a blend is the low network itself.
        """
        for recipe in self.recipes:
            recipe.check_against(G, "blend.res")

    def torch_device(self) -> torch.device:
        """The device to compute on.

        Raises:
            UserError: when it is not there.
        """
        return torch_device(self.device)

    def computing(self, resolution: int) -> Precision:
        """In which precision networks of a resolution render.

        Raises:
            UserError: when the device has no such precision.
        """
        try:
            return choose_precision(self.precision, self.torch_device(), resolution)
        except ValueError as error:
            raise UserError(f"precision={self.precision}: {error}") from error

    def num_codes(self) -> int:
        """How many common codes."""
        return self.n_latents or (LATENTS_CPU if self.torch_device().type == "cpu" else LATENTS_GPU)


def settings_of_config(config: Mapping[str, Any]) -> SweepSettings:
    """Make settings of a plain configuration composed from `conf/sweep.yaml`.

    Raises:
        UserError: naming the value that cannot be.
    """
    for group in ("blend", "paths", "tracker", "weights"):
        if not isinstance(config.get(group), Mapping):
            raise UserError(f"{group}={config.get(group)}: is a group of options (see conf/), it cannot be replaced")
    for key, value in (("run", config["run"]), ("paths.runs", config["paths"]["runs"])):
        if not isinstance(value, str) or not value:
            raise UserError(f"{key}={value}: give a text")
    given = config["blend"]["res"]
    kept = (
        "snapshot",
        "base",
        "name",
        "n_latents",
        "psi",
        "seed",
        "alpha",
        "n_bootstrap",
        "gates",
        "device",
        "precision",
    )
    return SweepSettings(
        resolutions=tuple(given) if isinstance(given, list | tuple) else (given,),
        direction=config["blend"]["direction"],
        level=config["blend"]["level"],
        width=config["blend"]["width"],
        tracker={key: config["tracker"][key] for key in ("mode", "project")},
        **{key: config[key] for key in kept},
    )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
