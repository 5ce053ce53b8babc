"""The phases of an iteration: a loss, the network it trains, how often, and the optimiser that takes the step.

Lazy regularisation (arXiv 1912.04958, Sec. 3.1) is a phase that runs every `interval`-th iteration with its loss
multiplied by `interval`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..draws import Draws
from .settings import StepSettings


class Batch(NamedTuple):
    """Reals of one iteration: `images` float32 `[N, 3, H, W]` in [-1, 1], one-hot `c` `[N, c_dim]` or None."""

    images: Tensor
    c: Tensor | None


Statistics = dict[str, Tensor]
#: Moments of a batch among the statistics, not shown: the mean code `[w_dim]`, the mean path length.
W_MEAN, LENGTH = "moment/w", "moment/length"
#: The loss of a phase as a scalar, and what it tells of itself, detached: means over the samples.
Objective = Callable[[Batch, Draws], tuple[Tensor, Statistics]]


@dataclass(frozen=True)
class Phase:
    """One optimiser step of an iteration."""

    name: str  # `"G_main"`, `"G_reg"`, `"D_main"` or `"D_reg"`
    network: str  # `"G"` or `"D"`, which it trains
    kind: str  # `"main"` or `"reg"`
    interval: int  # it runs in every `interval`-th iteration
    optimizer: torch.optim.Optimizer  # of the network's parameters
    objective: Objective  # what it minimises


def build_phases(
    settings: StepSettings,
    trained: Mapping[str, Sequence[nn.Parameter]],
    objectives: Mapping[str, Objective],
) -> list[Phase]:
    """Make the phases that the weights of `settings` ask for, in the order in which they run.

    That is G_main, G_reg, D_main, D_reg, without those whose weight is 0; `trained` are the parameters by network.
    """
    weight = {"G": settings.pl_weight, "D": settings.r1_gamma}
    interval = {"G": settings.pl_interval, "D": settings.r1_interval}
    lr = {"G": settings.lr_g, "D": settings.lr_d}
    phases = []
    for network in ("G", "D"):
        # Lazy regularisation takes (k + 1) / k optimiser steps an iteration: Adam is slowed by that ratio.
        ratio = interval[network] / (interval[network] + 1) if weight[network] > 0 else 1.0
        optimizer = torch.optim.Adam(
            trained[network],
            lr=lr[network] * ratio,
            betas=(settings.beta1**ratio if settings.beta1 > 0 else 0.0, settings.beta2**ratio),
            eps=settings.eps,
            fused=True,
        )
        for kind, every in (("main", 1), ("reg", interval[network])):
            if kind == "main" or weight[network] > 0:
                name = f"{network}_{kind}"
                phases.append(Phase(name, network, kind, every, optimizer, objectives[name]))
    return phases
