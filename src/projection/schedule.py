"""How a projection runs: its settings, ready-made ones of other projectors, learning rate and noise by step."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from ..options import Count, NotNegative, OptionError, Options, Positive, Range, choice

Space = Literal["w", "w+"]
Distance = Literal["auto", "lpips", "embedded"]
Format = Literal["fp32", "bf16"]
Plateau = Annotated[float, Range(0, 1, above=True, below=True)]


@dataclass(frozen=True)
class ProjectionSettings(Options):
    """Schedule of a projection; defaults are this project's own recipe (see `RECIPES`)."""

    steps: Count = 200  # optimiser steps
    space: Space = "w+"  # `"w+"` (a code a layer) or `"w"` (one code)
    lr: Positive = 0.1  # peak learning rate of the codes
    lr_rampup: float = 0.05  # share of the steps in which it rises from 0
    lr_rampdown: float = 0.25  # share of the steps in which it falls back to 0
    noise_factor: NotNegative = 0.05  # start of the noise added to the codes, in `noise_unit`
    # `"component"`, the standard deviation of a component of W; `"nvidia"`, the root of the mean squared length of w
    # - w_avg, √w_dim times as much; `"fork"`, that of all layers' codes together, √L times more
    noise_unit: Literal["component", "nvidia", "fork"] = "component"
    noise_ramp: float = 0.75  # share of the steps after which that noise is gone
    samples: Annotated[int, Range(0)] = 0  # random faces, the nearest of which a picture begins with; 0: the average
    code_weight: NotNegative = 0.2  # weight of the mean squared distance from w_avg, in variances of W
    noise: bool = False  # whether the noise maps are optimised too, and kept
    noise_weight: NotNegative = 1e5  # of the regulariser that keeps them noise (StyleGAN2, App. D)
    # `"lpips"`, `"embedded"`, or `"auto"`: LPIPS when its weights are on disk (see `perceptual_distance`)
    distance: Distance = "auto"
    # a picture whose distance has fallen by less than `plateau` over so many steps goes to its final descent of the
    # learning rate; None goes through all steps
    patience: Count | None = None
    plateau: Plateau = 0.01  # see `patience`; a share
    # `"fp32"`, or `"bf16"` for the generator's blocks (codes, noise maps and distance stay fp32)
    precision: Format = "fp32"


#: `own`: stays near w_avg, so that a blend can render the codes too; few steps. `nvidia`: stylegan2-ada's projector,
#: one code for all layers. `fork`: justinpinkney/stylegan2's, a code a layer, which starts with the most noise.
RECIPES: dict[str, ProjectionSettings] = {
    "own": ProjectionSettings(),
    "nvidia": ProjectionSettings(steps=1000, space="w", noise_unit="nvidia", code_weight=0.0, noise=True),
    "fork": ProjectionSettings(steps=1000, space="w+", noise_unit="fork", code_weight=0.0, noise=True),
}


def recipe(name: str, **changes: object) -> ProjectionSettings:
    """The settings of a recipe, some of them changed; a change to None leaves the recipe's.

    An OptionError for an unknown recipe, or settings that cannot be.
    """
    if name not in RECIPES:
        raise OptionError("recipe", name, f"choose {', '.join(RECIPES)}")
    given = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(RECIPES[name], **given)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class ProjectionChoice(Options):
    """The group of options `projection`; None is the recipe's."""

    recipe: Annotated[str, choice(*RECIPES)] = "own"
    space: Space | None = None
    steps: Count | None = None
    noise: bool | None = None  # optimise and keep the noise maps too
    distance: Distance = "auto"
    start: str | None = None  # a file of codes to begin with; None for the average code
    samples: Annotated[int, Range(0)] = 0  # begin with the nearest of so many random faces
    patience: Count | None = None  # steps without an improvement before a picture goes to the final descent
    plateau: Plateau = 0.01  # what counts as one
    precision: Format = "fp32"
    batch: Count | None = None  # pictures at a time

    def check(self) -> None:
        """Refuse what has no effect, and a patience without end."""
        if self.start is not None:
            self.refuse_changed("has no effect beside projection.start: leave out one of them", "samples")
        if self.patience is None:
            self.refuse_changed("has no effect without projection.patience: set it, or leave the plateau", "plateau")
        elif self.patience >= self.settings.steps:
            raise self.wrong("patience", f"has no effect: there are {self.settings.steps} steps; give fewer")

    @property
    def settings(self) -> ProjectionSettings:
        """The recipe's settings with what is chosen here."""
        names = ("space", "steps", "noise", "distance", "samples", "patience", "plateau", "precision")
        return recipe(self.recipe, **{name: getattr(self, name) for name in names})


def learning_rate(step: int, settings: ProjectionSettings) -> float:
    """Learning rate of step 0 … steps - 1: linear up, cosine down (App. D)."""
    t = step / settings.steps
    down = min(1.0, (1.0 - t) / settings.lr_rampdown)
    down = 0.5 - 0.5 * math.cos(down * math.pi)
    return settings.lr * down * min(1.0, t / settings.lr_rampup)


def noise_scale(step: int, settings: ProjectionSettings) -> float:
    """Noise on the codes at a step, in `noise_unit` (App. D)."""
    return settings.noise_factor * max(0.0, 1.0 - step / settings.steps / settings.noise_ramp) ** 2


def noise_unit(settings: ProjectionSettings, w_dim: int, num_ws: int) -> float:
    """The unit of `noise_scale` in standard deviations of a component of W."""
    return {"component": 1.0, "nvidia": math.sqrt(w_dim), "fork": math.sqrt(w_dim * num_ws)}[settings.noise_unit]


def descent_start(settings: ProjectionSettings) -> int:
    """First step of the final descent of the learning rate."""
    return min(math.ceil((1 - settings.lr_rampdown) * settings.steps), settings.steps - 1)
