"""Pivotal tuning (Roich et al., arXiv 2106.05744): the codes are held, the network moves a little to the pictures.

One network is tuned for all pictures together. What it learns can be handed on to a blend of the same family.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import UserError
from ..networks import Generator
from .perceptual import perceptual_distance

CHUNK_PIXELS = 8 * 256 * 256


@dataclass(frozen=True)
class Tuned:
    """A tuned network.

    Attributes:
        G: the network.
        before: perceptual distances of the pictures' reconstructions before, `[N]`.
        after: the same after.
        steps: taken.
        measure: name of the distance.
    """

    G: Generator
    before: Tensor
    after: Tensor
    steps: int
    measure: str


def tune(
    G: Generator,
    targets: Tensor,
    codes: Tensor,
    *,
    noise: str | list[Tensor] = "const",
    steps: int = 350,
    lr: float = 3e-4,
    stop: float = 0.03,
    pixel_weight: float = 1.0,
    distance: str = "auto",
    progress: bool = True,
) -> Tuned:
    """Tune a copy of a network so that codes render as their pictures.

    Args:
        G: the base network.
        targets: uint8 `[N, 3, H, W]`.
        codes: of the pictures, `[N, L, w_dim]`; they stay as they are.
        noise: as for `G.synthesis`.
        steps: the most optimiser steps, each on all pictures.
        lr: learning rate of Adam.
        stop: mean distance at which it is enough.
        pixel_weight: of the mean squared difference of pixels.
        distance: see `perceptual_distance`.
        progress: show a bar.

    Returns:
        The tuned copy (mapping and noise maps are G's) and what it brought.

    Raises:
        UserError: for codes and pictures that do not belong together.
    """
    if len(targets) != len(codes) or len(targets) == 0 or targets.shape[-1] != G.resolution:
        raise UserError(f"tuning takes a code for each {G.resolution} px picture, not {len(codes)} for {len(targets)}")
    measure = perceptual_distance(distance, device=G.mapping.w_avg.device)
    device = G.mapping.w_avg.device
    tuned = copy.deepcopy(G).eval().requires_grad_(False)
    parameters = [p.requires_grad_(True) for p in tuned.synthesis.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=lr)
    images, ws = targets.to(device).float() / 127.5 - 1, codes.to(device)
    size = max(CHUNK_PIXELS // G.resolution**2, 1)
    chunks = [slice(i, i + size) for i in range(0, len(images), size)]
    with torch.no_grad():
        described = [measure.describe(images[c]) for c in chunks]

    def distances(backward: bool) -> Tensor:
        found = []
        for chunk, wanted in zip(chunks, described, strict=True):
            maps = noise if isinstance(noise, str) else [m[chunk] for m in noise]
            made = tuned.synthesis(ws[chunk], noise=maps)
            apart = measure.compare(made, wanted)
            if backward:
                pixels = (made - images[chunk]).square().mean(dim=(1, 2, 3))
                ((apart + pixel_weight * pixels).sum() / len(images)).backward()
            found.append(apart.detach())
        return torch.cat(found)

    with torch.no_grad():
        before = distances(False)
    taken = 0
    with tqdm(total=steps, desc="tuning the network", unit="step", disable=None if progress else True) as bar:
        while taken < steps:
            optimizer.zero_grad()
            if float(distances(True).mean()) <= stop:
                break
            optimizer.step()
            taken += 1
            bar.update()
    tuned.requires_grad_(False)
    with torch.no_grad():
        after = distances(False)
    return Tuned(tuned, before.cpu(), after.cpu(), taken, measure.name)


@torch.no_grad()
def handed_on(other: Generator, base: Generator, tuned: Generator) -> Generator:
    """Give another network of the family what the base learnt: other + (tuned - base), in all synthesis parameters.

    Returns:
        A new generator.
    """
    result = copy.deepcopy(other)
    before, after = dict(base.synthesis.named_parameters()), dict(tuned.synthesis.named_parameters())
    for name, parameter in result.synthesis.named_parameters():
        parameter.add_(after[name] - before[name])
    return result
