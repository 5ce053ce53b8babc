"""Codes rendered: in the chosen blend at each face's strength, and over a grid of blends and strengths for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from ..data import jpeg_text, to_uint8
from ..networks import Generator
from ..projection import stacked
from .gather import Subject
from .models import Models, dialled

FACE_PX = 256  # of a picture on the page


@dataclass(frozen=True)
class Grid:
    """Pictures for the page."""

    resolutions: list[int]  # of the switch; empty for a network file
    stops: list[list[float]]  # each face's strengths, increasing: those of the slider and the face's own
    pictures: list[list[list[str]]]  # as `face_text` makes them, by face, resolution (one for a network file) and stop
    chosen: int  # index into the resolutions of the blend that was asked for


def face_text(picture: Tensor) -> str:
    """Encode a picture, uint8 `[3, r, r]`, for the page."""
    return jpeg_text(picture.permute(1, 2, 0), FACE_PX)


def render(G: Generator, subjects: Sequence[Subject]) -> Tensor:
    """Render the subjects' codes, with their own noise maps where they have some: uint8 `[N, 3, r, r]` on the CPU."""
    images = []
    for first in range(0, len(subjects), G.chunk_size):
        ws, noise = stacked([subject.codes for subject in subjects[first : first + G.chunk_size]], G)
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
    models: Models,
    subjects: Sequence[Subject],
    own: Sequence[float],
    strengths: Sequence[float],
    resolutions: Sequence[int] | None,
) -> Grid:
    """Render all subjects at all `strengths` (and each at its `own`) of all blends.

    Blends are those at `resolutions`; None for all that differ from the low network.
    """
    switches: list[int] = []
    if models.recipe is not None and models.snapshot is not None:
        others = models.resolutions() if resolutions is None else resolutions
        switches = sorted({*others, models.recipe.resolution})
    networks = [models.at(r) for r in switches] if switches else [models.chosen]
    stops = [sorted({*strengths, strength}) for strength in own]
    wanted = {s: [i for i in range(len(subjects)) if s in stops[i]] for s in sorted({*strengths, *own})}
    pictures: list[list[list[str]]] = [[] for _ in subjects]
    with tqdm(total=len(networks) * len(wanted), desc="rendering the page", leave=False, disable=None) as bar:
        for blended in networks:
            rows: list[list[str]] = [[] for _ in subjects]
            for strength, chosen in wanted.items():  # increasing, as the stops are
                images = render(dialled(models.base, blended, strength), [subjects[i] for i in chosen])
                for i, image in zip(chosen, images, strict=True):
                    rows[i].append(face_text(image))
                bar.update()
            for mine, row in zip(pictures, rows, strict=True):
                mine.append(row)
    chosen_index = switches.index(models.recipe.resolution) if models.recipe is not None and switches else 0
    return Grid(switches, stops, pictures, chosen_index)
