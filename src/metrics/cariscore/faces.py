"""A set of pictures with the landmarks of the one face in each, and where landmarks come from."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserError
from ...faces import MAX_DISAGREEMENT, LandmarkProvider, NetworkLandmarks, predict_landmarks

MIN_PX = 32
MAX_PX = 256  # larger pictures are reduced to it before anything is measured
DETECTOR_PX = 256  # smaller pictures are enlarged for a detector of photographs, which knows no faces so small
EYES = (slice(36, 42), slice(42, 48))  # left and right in the picture (iBUG 300-W order)


@dataclass(frozen=True)
class Faces:
    """N pictures and where their faces are."""

    images: Tensor  # uint8 `[N, 3, H, W]`
    marks: Tensor  # float32 `[N, 68, 2]` (x, y) in parts of the side; of no meaning where no face was found
    found: Tensor  # bool `[N]`

    def __len__(self) -> int:
        return len(self.images)

    def seen(self) -> "Faces":
        """The pictures in which a face was found, alone."""
        return Faces(self.images[self.found], self.marks[self.found], self.found[self.found])

    @property
    def share_found(self) -> float:
        """Part of the pictures in which a face was found."""
        return float(self.found.float().mean())


def check_pictures(images: Tensor, name: str) -> None:
    """Refuse anything but uint8 `[N, 3, H, W]` with N from 1 and H, W from 32."""
    if not isinstance(images, Tensor):
        raise UserError(f"{name}: expected a uint8 tensor [N, 3, H, W], not {type(images).__name__}")
    fits = images.dtype == torch.uint8 and images.ndim == 4 and images.shape[1] == 3
    if not fits or not len(images) or min(images.shape[2:]) < MIN_PX:
        shape = list(images.shape)
        raise UserError(
            f"{name}: expected uint8 pictures [N, 3, H, W] of at least {MIN_PX} px, not {images.dtype} {shape}"
        )


def shrunk(images: Tensor, side: int = MAX_PX) -> Tensor:
    """Uint8 pictures of at most `side` px: antialiased bilinear, rounded."""
    if min(images.shape[2:]) <= side:
        return images
    parts = [
        F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).add_(0.5).to(torch.uint8)
        for part in images.split(64)
    ]
    return torch.cat(parts)


def locate(images: Tensor, provider: LandmarkProvider) -> Faces:
    """Find the face in each picture.

    Args:
        images: uint8 `[N, 3, H, W]`, one aligned face each.
        provider: finds them; where it sees several faces the one nearest to the middle is taken.

    Returns:
        The pictures with their landmarks, on the provider's device.
    """
    if isinstance(provider, NetworkLandmarks):  # it takes many at a time
        marks, apart = predict_landmarks(provider.network, images)
        return Faces(images.to(marks.device), marks, apart <= MAX_DISAGREEMENT)
    images = images.cpu()
    marks, found = torch.zeros(len(images), 68, 2), torch.zeros(len(images), dtype=torch.bool)
    for i, image in enumerate(images):
        larger = _enlarged(image)
        faces = provider.find(larger.permute(1, 2, 0).contiguous().numpy(), "")
        if faces:
            size = np.array([larger.shape[2], larger.shape[1]])
            points = [(face.landmarks + 0.5) / size for face in faces]
            nearest = min(points, key=lambda p: float(np.square(p.mean(axis=0) - 0.5).sum()))
            marks[i], found[i] = torch.from_numpy(nearest).float(), True
    return Faces(images, marks, found)


def _enlarged(image: Tensor) -> Tensor:
    if min(image.shape[1:]) >= DETECTOR_PX:
        return image
    size = [round(side * DETECTOR_PX / min(image.shape[1:])) for side in image.shape[1:]]
    large = F.interpolate(image[None].float(), size, mode="bicubic")[0]
    return large.round().clamp(0, 255).to(torch.uint8)
