"""Projecting pictures to style codes by optimisation (StyleGAN2, arXiv 1912.04958, App. D), in batches.

W+ gives each layer a code of its own (Image2StyleGAN, arXiv 1904.03189). Codes are held near the average code, in
units of the spread of W, so that another network (a blend) can render them as well.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from ..data import to_uint8
from ..errors import UserError
from ..networks import Generator
from .perceptual import Distance, perceptual_distance

W_SAMPLES = 10_000
NOISE_MIN_PX = 8


@dataclass(frozen=True)
class ProjectionSettings:
    """Schedule of a projection; defaults are NVIDIA's, except for the number of steps.

    Attributes:
        steps: optimiser steps.
        space: `"w+"` (a code a layer) or `"w"` (one code).
        lr: peak learning rate of the codes.
        lr_rampup: share of the steps in which it rises from 0.
        lr_rampdown: share of the steps in which it falls back to 0.
        noise_factor: start of the noise added to the codes, in standard deviations of W.
        noise_ramp: share of the steps after which that noise is gone.
        code_weight: weight of the mean squared distance from w_avg, in variances of W.
        distance: `"lpips"`, `"embedded"`, or `"auto"`: LPIPS when its weights are on disk (see `perceptual_distance`).
    """

    steps: int = 200
    space: str = "w+"
    lr: float = 0.1
    lr_rampup: float = 0.05
    lr_rampdown: float = 0.25
    noise_factor: float = 0.05
    noise_ramp: float = 0.75
    code_weight: float = 0.2
    distance: str = "auto"


@dataclass(frozen=True)
class Projection:
    """Result of a projection.

    Attributes:
        codes: `[N, L, w_dim]` float32.
        images: reconstructions, uint8 `[N, 3, H, W]`.
        distances: perceptual distance of each reconstruction, float32 `[N]`.
        start_distances: the same of the average face that each began at, float32 `[N]`.
        measure: name of the perceptual distance.
    """

    codes: Tensor
    images: Tensor
    distances: Tensor
    start_distances: Tensor
    measure: str


def project(
    G: Generator,
    targets: Tensor,
    *,
    settings: ProjectionSettings | None = None,
    seed: int = 0,
    batch: int = 16,
    progress: bool = True,
) -> Projection:
    """Find codes that render as the targets.

    Args:
        G: the *base* generator: real pictures lie in its range, not in a fine-tuned one's.
        targets: uint8 `[N, 3, H, W]`, aligned, at the generator's resolution.
        settings: schedule.
        seed: of the noise; each picture has its own, so its result does not depend on its neighbours.
        batch: pictures at a time.
        progress: show a bar.

    Returns:
        The projection.

    Raises:
        UserError: for targets of another size, an unknown space or distance, or without the weights of the distance.
    """
    settings = settings or ProjectionSettings()
    _check(G, targets, settings)
    distance = perceptual_distance(settings.distance, device=G.mapping.w_avg.device)
    state = G.training
    frozen = [p for p in G.parameters() if p.requires_grad]
    G.eval().requires_grad_(False)
    w_avg, w_std = _w_statistics(G)
    parts = []
    with tqdm(
        total=-(-len(targets) // batch) * settings.steps,
        desc=f"projecting ({distance.name})",
        disable=None if progress else True,
    ) as bar:
        for start in range(0, len(targets), batch):
            seeds = [seed + start + i for i in range(len(targets[start : start + batch]))]
            parts.append(
                _project_batch(G, targets[start : start + batch], settings, distance, w_avg, w_std, seeds, bar)
            )
    G.train(state)
    for parameter in frozen:
        parameter.requires_grad_(True)
    codes, images, distances, starts = (torch.cat(column) for column in zip(*parts, strict=True))
    return Projection(codes, images, distances, starts, measure=distance.name)


def learning_rate(step: int, settings: ProjectionSettings) -> float:
    """Learning rate of step 0 … steps - 1: linear up, cosine down (App. D)."""
    t = step / settings.steps
    down = min(1.0, (1.0 - t) / settings.lr_rampdown)
    down = 0.5 - 0.5 * math.cos(down * math.pi)
    return settings.lr * down * min(1.0, t / settings.lr_rampup)


def noise_scale(step: int, settings: ProjectionSettings) -> float:
    """Noise on the codes at a step, in standard deviations of W (App. D)."""
    return settings.noise_factor * max(0.0, 1.0 - step / settings.steps / settings.noise_ramp) ** 2


def _project_batch(
    G: Generator,
    targets: Tensor,
    settings: ProjectionSettings,
    distance: Distance,
    w_avg: Tensor,
    w_std: Tensor,
    seeds: list[int],
    bar: tqdm,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, layers = len(targets), G.num_ws if settings.space == "w+" else 1
    with torch.no_grad():
        described = distance.describe(targets.float() / 127.5 - 1)
    codes = w_avg.expand(n, layers, -1).clone().requires_grad_(True)
    optimizer = torch.optim.Adam([codes], betas=(0.9, 0.999), lr=settings.lr)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    for step in range(settings.steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, settings)
        noise = torch.stack([torch.randn([layers, G.w_dim], generator=g) for g in generators])
        noisy = codes + noise * w_std * noise_scale(step, settings)
        images = G.synthesis(noisy.expand(-1, G.num_ws, -1))
        far = ((codes - w_avg) / w_std).square().mean(dim=(1, 2))
        # a sum, not a mean: a picture's gradient does not depend on how many there are
        loss = (distance.compare(images, described) + settings.code_weight * far).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bar.update()
    with torch.no_grad():
        ws = codes.detach().expand(-1, G.num_ws, -1).contiguous()
        images = G.synthesis(ws)
        start = distance.compare(G.synthesis(w_avg.expand(n, G.num_ws, -1)), described)
        return ws, to_uint8(images), distance.compare(images, described), start


def _w_statistics(G: Generator) -> tuple[Tensor, Tensor]:
    """Mean of W `[w_dim]` and its standard deviation (one number, the root of the mean variance)."""
    with torch.no_grad():
        z = torch.randn([W_SAMPLES, G.z_dim], generator=torch.Generator().manual_seed(123))
        c = torch.eye(G.c_dim)[torch.arange(W_SAMPLES) % G.c_dim] if G.c_dim else None
        w = G.mapping.map(z, c)
        return w.mean(dim=0), (w - w.mean(dim=0)).square().mean().sqrt()


def _check(G: Generator, targets: Tensor, settings: ProjectionSettings) -> None:
    if targets.dtype != torch.uint8 or targets.ndim != 4 or targets.shape[1:] != (3, G.resolution, G.resolution):
        wanted = f"uint8 [N, 3, {G.resolution}, {G.resolution}]"
        raise UserError(f"projection takes aligned pictures {wanted}, not {targets.dtype} {list(targets.shape)}")
    if settings.space not in ("w", "w+"):
        raise UserError(f"projection space {settings.space!r}: choose w or w+")
    if settings.steps < 1:
        raise UserError(f"projection steps={settings.steps}: at least 1")
