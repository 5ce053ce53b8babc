"""Pivotal tuning (Roich et al., arXiv 2106.05744): the codes are held, the network moves a little to the pictures.

One network is tuned for all pictures together. What it learns can be handed on to a blend of the same family.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..networks import Generator
from .perceptual import Distance, perceptual_distance

CHUNK_PIXELS = 8 * 256 * 256


@dataclass(frozen=True)
class Tuned:
    """A tuned network."""

    G: Generator  # the network
    before: Tensor  # perceptual distances of the pictures' reconstructions before, `[N]`
    after: Tensor  # the same after
    steps: int  # taken
    measure: str  # name of the distance


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
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
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
        weights_folder: where the weights of LPIPS lie and come from.

    Returns:
        The tuned copy (mapping and noise maps are G's) and what it brought.

    Raises:
        UserError: for codes and pictures that do not belong together.
    """
    if len(targets) != len(codes) or len(targets) == 0 or targets.shape[-1] != G.resolution:
        raise UserError(f"tuning takes a code for each {G.resolution} px picture, not {len(codes)} for {len(targets)}")
    device = G.mapping.w_avg.device
    measure = perceptual_distance(distance, device=device, weights_folder=weights_folder)
    tuned = copy.deepcopy(G).eval().requires_grad_(False)
    parameters = [p.requires_grad_(True) for p in tuned.synthesis.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=lr)
    batch = _Batch(tuned, measure, targets.to(device).float() / 127.5 - 1, codes.to(device), noise, pixel_weight)
    with torch.no_grad():
        before = batch.distances()
    taken = 0
    with tqdm(total=steps, desc="tuning the network", unit="step", disable=None if progress else True) as bar:
        while taken < steps:
            optimizer.zero_grad()
            if float(batch.distances(backward=True).mean()) <= stop:
                break
            optimizer.step()
            taken += 1
            bar.update()
    tuned.requires_grad_(False)
    with torch.no_grad():
        after = batch.distances()
    return Tuned(tuned, before.cpu(), after.cpu(), taken, measure.name)


class _Batch:
    """Pictures and their codes, rendered by the network that is tuned, a few at a time."""

    def __init__(
        self,
        G: Generator,
        measure: Distance,
        images: Tensor,
        ws: Tensor,
        noise: str | list[Tensor],
        pixel_weight: float,
    ) -> None:
        self.G, self.measure, self.images, self.ws = G, measure, images, ws
        self.noise, self.pixel_weight = noise, pixel_weight
        size = max(CHUNK_PIXELS // G.resolution**2, 1)
        self.chunks = [slice(i, i + size) for i in range(0, len(images), size)]
        with torch.no_grad():
            self.described = [measure.describe(images[c]) for c in self.chunks]

    def distances(self, *, backward: bool = False) -> Tensor:
        """Distance of each rendering from its picture, `[N]`; with `backward` the loss's gradients are added."""
        found = []
        for chunk, wanted in zip(self.chunks, self.described, strict=True):
            maps = self.noise if isinstance(self.noise, str) else [m[chunk] for m in self.noise]
            made = self.G.synthesis(self.ws[chunk], noise=maps)
            apart = self.measure.compare(made, wanted)
            if backward:
                pixels = (made - self.images[chunk]).square().mean(dim=(1, 2, 3))
                ((apart + self.pixel_weight * pixels).sum() / len(self.images)).backward()
            found.append(apart.detach())
        return torch.cat(found)


@torch.no_grad()
def handed_on(other: Generator, base: Generator, tuned: Generator) -> Generator:
    """Give another network of the family what the base learnt: other + (tuned - base), in all synthesis parameters.

    Returns:
        A new generator; the three are left as they are.
    """
    result = copy.deepcopy(other)
    before, after = dict(base.synthesis.named_parameters()), dict(tuned.synthesis.named_parameters())
    for name, parameter in result.synthesis.named_parameters():
        parameter.add_(after[name] - before[name])
    return result
