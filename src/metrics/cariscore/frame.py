"""The shape-free face: pictures warped so that their landmarks lie where the base's mean face has them.

Thin-plate splines (Bookstein, PAMI 1989) from a fixed frame to each picture's landmarks. The frame's points are the
same for all pictures, so the dense map is one fixed matrix times the landmarks.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .faces import MIN_PX, Faces
from .shape import normalised_shape

MAX_PX = 128
MULTIPLE = 8  # octaves are halved up to three times
RADIUS = 0.36  # rms radius of the mean face, in parts of the frame's side
BATCH = 32  # pictures at a time
SMOOTHING = 1e-3  # of the splines: landmarks are not exact


@dataclass(frozen=True)
class Frame:
    """A mean face in a square."""

    px: int  # pixels a side
    points: Tensor  # `[68, 2]` (x, y) of the mean face in parts of the side
    usual: Tensor  # `[68, 2]` mean landmarks in the base's pictures: where a face that was not found is looked for

    @functools.cached_property
    def spline(self) -> Tensor:
        """`[px², 68]`, from the landmarks' coordinates in a picture to the frame's pixels' coordinates in it."""
        return thin_plate(self.points.double().numpy(), _pixels(self.px))

    @classmethod
    def of(cls, base: Faces) -> "Frame":
        """The frame of the mean face of the base's pictures, as large as they are and at most 128 px."""
        px = min(min(base.images.shape[2:]), MAX_PX) // MULTIPLE * MULTIPLE
        marks = base.seen().marks
        mean = normalised_shape(marks).mean(dim=0)
        mean = mean / mean.square().sum(dim=1).mean().sqrt()
        middle = (mean.amax(dim=0) + mean.amin(dim=0)) / 2
        points = (mean - middle) * RADIUS + 0.5
        return cls(max(px, MIN_PX), points, marks.mean(dim=0))

    def placed(self, faces: Faces) -> Faces:
        """The same with the usual landmarks where no face was found."""
        marks = torch.where(faces.found[:, None, None], faces.marks, self.usual.to(faces.marks.device))
        return Faces(faces.images, marks, faces.found)

    def warp(self, faces: Faces) -> Tensor:
        """Pictures in the frame, float32 `[N, 3, px, px]` in [0, 1]; the last set's are kept for who else asks."""
        return _warped(self, faces)

    def _warp(self, faces: Faces) -> Tensor:
        faces = self.placed(faces)
        images = faces.images.float()
        if min(images.shape[2:]) > self.px:
            images = F.interpolate(images, (self.px, self.px), mode="bilinear", antialias=True)
        images = images / 255
        grid = torch.einsum("pk,nkc->npc", self.spline.to(images.device), faces.marks).unflatten(1, (self.px, self.px))
        return F.grid_sample(images, grid * 2 - 1, padding_mode="border", align_corners=False)


@functools.lru_cache(maxsize=1)
def _warped(frame: Frame, faces: Faces) -> Tensor:
    parts = zip(*(x.split(BATCH) for x in (faces.images, faces.marks, faces.found)), strict=True)
    return torch.cat([frame._warp(Faces(*part)) for part in parts])


def thin_plate(points: np.ndarray, places: np.ndarray) -> Tensor:
    """Thin-plate interpolation matrix `[Q, P]` from values at points `[P, 2]` to values at places `[Q, 2]`."""
    count = len(points)
    affine = np.c_[np.ones(count), points]
    system = np.block([[_kernel(points, points) + SMOOTHING * np.eye(count), affine], [affine.T, np.zeros((3, 3))]])
    basis = np.c_[_kernel(places, points), np.ones(len(places)), places]
    return torch.from_numpy(basis @ np.linalg.inv(system)[:, :count]).float()


def _pixels(px: int) -> np.ndarray:
    """Middles of a square picture's pixels `[px², 2]` (x, y) in parts of the side."""
    axis = (np.arange(px) + 0.5) / px
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    square = np.square(a[:, None] - b[None]).sum(axis=2)
    return np.asarray(square * np.log(square + 1e-20))
