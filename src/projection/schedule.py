"""How a projection runs: its settings, ready-made ones of other projectors, learning rate and noise by step."""

import dataclasses
import math
from dataclasses import dataclass

from ..errors import UserError

SPACES = ("w", "w+")
NOISE_UNITS = ("component", "nvidia", "fork")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class ProjectionSettings:
    """Schedule of a projection; defaults are this project's own recipe (see `RECIPES`).

    Attributes:
        steps: optimiser steps.
        space: `"w+"` (a code a layer) or `"w"` (one code).
        lr: peak learning rate of the codes.
        lr_rampup: share of the steps in which it rises from 0.
        lr_rampdown: share of the steps in which it falls back to 0.
        noise_factor: start of the noise added to the codes, in `noise_unit`.
        noise_unit: `"component"`, the standard deviation of a component of W; `"nvidia"`, the root of the mean squared
            length of w - w_avg, √w_dim times as much; `"fork"`, that of all layers' codes together, √L times more.
        noise_ramp: share of the steps after which that noise is gone.
        code_weight: weight of the mean squared distance from w_avg, in variances of W.
        noise: whether the noise maps are optimised too, and kept.
        noise_weight: of the regulariser that keeps them noise (StyleGAN2, App. D).
        distance: `"lpips"`, `"embedded"`, or `"auto"`: LPIPS when its weights are on disk (see `perceptual_distance`).
        patience: a picture whose distance has fallen by less than `plateau` over so many steps goes to its final
            descent of the learning rate; None goes through all steps.
        plateau: see `patience`; a share.
        precision: `"fp32"`, or `"bf16"` for the generator's blocks (codes, noise maps and distance stay fp32).
    """

    steps: int = 200
    space: str = "w+"
    lr: float = 0.1
    lr_rampup: float = 0.05
    lr_rampdown: float = 0.25
    noise_factor: float = 0.05
    noise_unit: str = "component"
    noise_ramp: float = 0.75
    code_weight: float = 0.2
    noise: bool = False
    noise_weight: float = 1e5
    distance: str = "auto"
    patience: int | None = None
    plateau: float = 0.01
    precision: str = "fp32"

    def check(self) -> None:
        """Check the values.

        Raises:
            UserError: naming the first that cannot be.
        """
        if self.space not in SPACES:
            raise UserError(f"projection space {self.space!r}: choose w or w+")
        if self.steps < 1:
            raise UserError(f"projection steps={self.steps}: at least 1")
        if self.noise_unit not in NOISE_UNITS:
            raise UserError(f"projection noise_unit={self.noise_unit}: choose {', '.join(NOISE_UNITS)}")
        if self.precision not in PRECISIONS:
            raise UserError(f"projection precision={self.precision}: choose {' or '.join(PRECISIONS)}")
        if self.patience is not None and self.patience < 1:
            raise UserError(f"projection patience={self.patience}: a number of steps from 1 up, or null")


#: `own`: stays near w_avg, so that a blend can render the codes too; few steps. `nvidia`: stylegan2-ada's projector,
#: one code for all layers. `fork`: justinpinkney/stylegan2's, a code a layer, which starts with the most noise.
RECIPES: dict[str, ProjectionSettings] = {
    "own": ProjectionSettings(),
    "nvidia": ProjectionSettings(steps=1000, space="w", noise_unit="nvidia", code_weight=0.0, noise=True),
    "fork": ProjectionSettings(steps=1000, space="w+", noise_unit="fork", code_weight=0.0, noise=True),
}


def recipe(name: str, **changes: object) -> ProjectionSettings:
    """The settings of a recipe, some of them changed; a change to None leaves the recipe's.

    Raises:
        UserError: for an unknown recipe, or settings that cannot be.
    """
    if name not in RECIPES:
        raise UserError(f"projection.recipe={name}: choose {', '.join(RECIPES)}")
    given = {key: value for key, value in changes.items() if value is not None}
    settings = dataclasses.replace(RECIPES[name], **given)  # type: ignore[arg-type]
    settings.check()
    return settings


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
