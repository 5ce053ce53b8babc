"""Whether a detector's shapes can be trusted on these pictures: its own 2 x 2 of shape and rendering.

Base pictures are warped to the cartoons' mean shape, and cartoons to the base's. A perfect detector puts the first at
S = 1, whatever their rendering, and the second at S = 0. Where the second are found at or above the first, what moves
its points is the rendering, and S says nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...faces import LandmarkProvider
from .faces import EYES, Faces, locate
from .frame import thin_plate
from .shape import ShapeAxis, normalised_shape

PICTURES = 48  # of each reference, evenly spread
GRID_PX = 64  # places a side at which the shift of a warp is computed
EDGE = torch.tensor([(x, y) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0) if (x, y) != (0.5, 0.5)])


@dataclass(frozen=True)
class Trust:
    """Where a detector puts warped references."""

    shape: float  # S of base pictures with the cartoons' shape; 1 by construction
    # S of cartoons with the base's shape; 0 by construction. Where no warped face is seen, the two the other way
    # round
    leak: float

    @property
    def trusted(self) -> bool:
        """Whether shape moves the points more than rendering does."""
        return self.shape > self.leak

    def warning(self, detector: str) -> str | None:
        """One sentence where S cannot be trusted."""
        if self.trusted:
            return None
        return (
            f"landmarks={detector} cannot tell shape from rendering here (cartoons warped to the people's shape are "
            f"found at S = {self.leak:.2f}, people warped to the cartoons' at {self.shape:.2f}): scores do not say "
            "whether a blend has the cartoons' shape"
        )


@torch.inference_mode()
def check_detector(base: Faces, cartoons: Faces, provider: LandmarkProvider) -> Trust:
    """Measure a detector on warped references.

    Args:
        base: the base's pictures with its landmarks.
        cartoons: the cartoons' with its landmarks.
        provider: the detector.

    Raises:
        UserError: when the two mean shapes cannot be told apart at all.
    """
    axis = ShapeAxis()
    scale = axis.between(axis.features(base), axis.features(cartoons.seen()))
    people, drawn = (_some(faces.seen()) for faces in (base, cartoons))
    shapes = [normalised_shape(faces.seen().marks).mean(dim=0) for faces in (base, cartoons)]
    move = shapes[1] - shapes[0]
    as_cartoons = locate(warped(people, move), provider)
    as_people = locate(warped(drawn, -move), provider)
    if not (as_cartoons.found.any() and as_people.found.any()):
        return Trust(shape=0.0, leak=1.0)
    start, end = axis.features(people).mean(axis=0), axis.features(drawn).mean(axis=0)
    v = scale.target - scale.base.mean(axis=0)

    def along(faces: Faces, origin: np.ndarray) -> float:
        return float((axis.features(faces.seen()).mean(axis=0) - origin) @ v / (v @ v))

    return Trust(along(as_cartoons, start), 1 + along(as_people, end))


def warped(faces: Faces, move: Tensor) -> Tensor:
    """Move every face's landmarks by one displacement of its normalised shape.

    It is `[68, 2]` in rms radii, along and across the line through the eyes. Pictures are uint8, like `faces.images`;
    their edges stay where they are.
    """
    result = []
    places = _places(*faces.images.shape[2:])
    coarse = _places(*(min(side, GRID_PX) for side in faces.images.shape[2:]))
    for image, marks in zip(faces.images, faces.marks, strict=True):
        left, right = (marks[eye].mean(dim=0) for eye in EYES)
        x = F.normalize(right - left, dim=0)
        axes = torch.stack([x, torch.stack([-x[1], x[0]])])
        radius = (marks - marks.mean(dim=0)).square().sum(dim=1).mean().sqrt()
        there = torch.cat([marks + radius * move @ axes, EDGE])
        spline = thin_plate(there.double().numpy(), coarse.flatten(0, 1).double().numpy())
        shift = (spline @ torch.cat([marks, EDGE])).view_as(coarse) - coarse  # smooth: a few places tell it everywhere
        shift = F.interpolate(shift.permute(2, 0, 1)[None], image.shape[1:], mode="bicubic")[0].permute(1, 2, 0)
        source = (places + shift)[None] * 2 - 1
        moved = F.grid_sample(image[None].float(), source, padding_mode="border", align_corners=False)
        result.append(moved[0].round().clamp(0, 255).to(torch.uint8))
    return torch.stack(result)


def _places(height: int, width: int) -> Tensor:
    """Centres of pixels, `[H, W, 2]` (x, y) in parts of the sides."""
    rows, columns = ((torch.arange(n) + 0.5) / n for n in (height, width))
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def _some(faces: Faces) -> Faces:
    index = torch.linspace(0, len(faces) - 1, min(PICTURES, len(faces))).round().long()
    return Faces(faces.images[index], faces.marks[index], faces.found[index])
