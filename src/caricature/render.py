"""Codes rendered: in the chosen blend at each face's strength, and over a grid of blends and strengths for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from ..data import to_uint8
from ..networks import Generator
from ..projection import stacked
from .gather import Subject
from .models import Models, dialled

CHUNK_PIXELS = 16 * 256 * 256


@dataclass(frozen=True)
class Grid:
    """Pictures for the page.

    Attributes:
        resolutions: of the switch; empty for a network file.
        strengths: of the caricature.
        pictures: uint8 `[max(R, 1), S, N, 3, r, r]`.
        chosen: index into the resolutions of the blend that was asked for.
    """

    resolutions: list[int]
    strengths: list[float]
    pictures: Tensor
    chosen: int


def render(G: Generator, subjects: Sequence[Subject]) -> Tensor:
    """Render the subjects' codes, with their own noise maps where they have some: uint8 `[N, 3, r, r]` on the CPU."""
    chunk = max(min(CHUNK_PIXELS // G.resolution**2, 32), 1)
    images = []
    for first in range(0, len(subjects), chunk):
        ws, noise = stacked([subject.codes for subject in subjects[first : first + chunk]], G)
        with torch.inference_mode():
            images.append(to_uint8(G.synthesis(ws, noise=noise)).cpu())
    return torch.cat(images)


def render_strengths(models: Models, subjects: Sequence[Subject], strengths: Sequence[float]) -> Tensor:
    """Render each subject at its strength: uint8 `[N, 3, r, r]`."""
    images: list[Tensor | None] = [None] * len(subjects)
    for strength in sorted(set(strengths)):
        chosen = [i for i, s in enumerate(strengths) if s == strength]
        G = dialled(models.base, models.chosen, strength)
        for i, image in zip(chosen, render(G, [subjects[i] for i in chosen]), strict=True):
            images[i] = image
    return torch.stack([image for image in images if image is not None])


def render_grid(
    models: Models, subjects: Sequence[Subject], strengths: Sequence[float], resolutions: Sequence[int] | None
) -> Grid:
    """Render all subjects at all strengths of all blends.

    Args:
        models: the networks.
        subjects: the faces.
        strengths: stops of the slider.
        resolutions: of the other slider; None for all that differ from the low network.
    """
    if models.ends is None:
        switches: list[int] = []
    else:
        switches = sorted({*(models.resolutions() if resolutions is None else resolutions), models.resolution or 0})
    networks = [models.at(r) for r in switches] if switches else [models.chosen]
    rows = []
    with tqdm(total=len(networks) * len(strengths), desc="rendering the page", leave=False, disable=None) as bar:
        for blended in networks:
            row = []
            for strength in strengths:
                row.append(render(dialled(models.base, blended, strength), subjects))
                bar.update()
            rows.append(torch.stack(row))
    chosen = switches.index(models.resolution) if models.resolution in switches else 0
    return Grid(switches, list(strengths), torch.stack(rows), chosen)
