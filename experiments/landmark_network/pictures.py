"""Training pictures of the landmark network: random faces in both renderings, and random views of them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.cariscore.factorial import PARTS, draw_portrait, mixed_geometry
from src.faces.network_landmarks import INPUT_PX, LUMA, normalised, unmirrored
from src.portraits.geometry import build_geometry
from src.portraits.parameters import SHAPE, sample_params

FIRST_SEED = 500_000  # identities that nothing else is trained or tested on
SHAPES = (*SHAPE, "eye_spacing")


def random_face(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one face twice: uint8 `[2, 3, 64, 64]` in people's and the cartoons' rendering, and its points `[68, 2]`.

    Each shape parameter is exaggerated by its own amount, and each part lies between people and cartoons by its own
    weight, so that no part's place follows from the others', nor any from the rendering.
    """
    rng = np.random.default_rng([77, seed])
    params = sample_params(FIRST_SEED + seed)
    strength = np.full(len(SHAPES), rng.uniform(0, 2.4)) if rng.random() < 0.3 else rng.uniform(0, 2.6, len(SHAPES))
    shape = {n: float(np.clip(getattr(params, n) * k, -2.1, 2.1)) for n, k in zip(SHAPES, strength, strict=True)}
    turn = {n: getattr(params, n) * rng.uniform(0.5, 1.6) for n in ("yaw", "pitch")}
    params = replace(params, **shape, **turn, hair_length=float(rng.uniform(-1, 1)))
    weights = np.full(len(PARTS), rng.uniform(-0.2, 1.2)) if rng.random() < 0.3 else rng.uniform(-0.2, 1.25, len(PARTS))
    plain = {n: getattr(params, n) / 2.1 for n in SHAPES}  # a cartoon exaggerates once more
    geometry = mixed_geometry(
        build_geometry(params, False),
        build_geometry(replace(params, **plain), True),
        dict(zip(PARTS, weights.tolist(), strict=True)),
    )
    backdrop = None
    if rng.random() < 0.25:
        backdrop = rng.random() * (rng.random(3) if rng.random() < 0.5 else np.zeros(3))
    pictures = [draw_portrait(geometry, params, rendering, INPUT_PX, backdrop) for rendering in (0, 1)]
    return np.stack(pictures), geometry.landmarks.astype(np.float32)


def random_faces(first: int, count: int) -> tuple[Tensor, Tensor]:
    """Draw faces `first` on: uint8 `[count, 2, 3, 64, 64]` and `[count, 68, 2]`."""
    faces = [random_face(seed) for seed in range(first, first + count)]
    return torch.from_numpy(np.stack([x for x, _ in faces])), torch.from_numpy(np.stack([y for _, y in faces]))


@dataclass
class Views:
    """Random views of faces: another place, size and bend, and another rendering.

    Args:
        seed: of the draws.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        self._generator = torch.Generator().manual_seed(self.seed)

    def __call__(self, pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return network inputs `[B, 1, 64, 64]` and points `[B, 68, 2]` of faces as `random_faces` gives them."""
        luma = self._grey(pictures)
        luma, points = self._mirrored(luma, points)
        luma, points = self._moved(luma, points)
        return normalised(self._covered(self._filtered(self._lit(luma)))), points

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator)

    def _sometimes(self, count: int, chance: float) -> Tensor:
        return (self._uniform(count, 1, 1, 1) < chance).float()

    def _grey(self, pictures: Tensor) -> Tensor:
        """Mix both renderings (mostly one of them, sometimes beyond), then the colours by random weights."""
        count = len(pictures)
        either, mixed = (self._uniform(count) < 0.5).float(), self._uniform(count) * 1.5 - 0.25
        share = torch.where(self._uniform(count) < 0.6, either, mixed).view(-1, 1, 1, 1)
        people, cartoons = pictures.float().div(255).unbind(1)
        colours = -self._uniform(count, 3).clamp(min=1e-6).log()  # of a Dirichlet distribution, once normalised
        colours = colours / colours.sum(dim=1, keepdim=True)
        colours = torch.where(self._uniform(count, 1) < 0.6, torch.tensor([LUMA]), colours)
        return torch.einsum("nchw,nc->nhw", torch.lerp(people, cartoons, share), colours)[:, None]

    def _mirrored(self, luma: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        turned = self._uniform(len(luma)) < 0.5
        luma = torch.where(turned.view(-1, 1, 1, 1), luma.flip(3), luma)
        return luma, torch.where(turned.view(-1, 1, 1), unmirrored(points), points)

    def _moved(self, luma: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Turn, scale, shift and bend; points follow by solving the inverse map, which is given, for its argument."""
        count, side = len(luma), luma.shape[-1]
        angle = (self._uniform(count) * 2 - 1) * 0.3 * (self._uniform(count) < 0.7)
        scale, aspect = ((self._uniform(count) * 2 - 1) * 0.28).exp(), ((self._uniform(count) * 2 - 1) * 0.1).exp()
        cos, sin = angle.cos() * scale, angle.sin() * scale
        matrix = torch.stack([torch.stack([cos * aspect, -sin], 1), torch.stack([sin, cos / aspect], 1)], 1)
        shift = (self._uniform(count, 1, 2) * 2 - 1) * 0.09
        bend = self._normal(count, 2, 5, 5) * 0.03 * self._uniform(count, 1, 1, 1) * self._sometimes(count, 0.7)
        bend = F.interpolate(bend, (side, side), mode="bicubic", align_corners=True)
        axis = (torch.arange(side) + 0.5) / side
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).flatten(0, 1)
        source = (grid - 0.5) @ matrix.transpose(1, 2) + 0.5 + shift + bend.flatten(2).transpose(1, 2)
        edge = "border" if float(self._uniform(1)) < 0.6 else "reflection"
        moved = F.grid_sample(luma, source.view(count, side, side, 2) * 2 - 1, padding_mode=edge, align_corners=False)
        inverse, wanted = torch.linalg.inv(matrix).transpose(1, 2), points - 0.5 - shift
        found = wanted @ inverse + 0.5
        for _ in range(6):
            there = F.grid_sample(bend, found[:, None] * 2 - 1, padding_mode="border", align_corners=False)[:, :, 0]
            found = (wanted - there.transpose(1, 2)) @ inverse + 0.5
        return moved, found

    def _lit(self, luma: Tensor) -> Tensor:
        """Another gamma, a smooth light, a posterised picture, an inverted one."""
        count = len(luma)
        luma = luma.clamp(0, 1) ** (self._normal(count, 1, 1, 1) * 0.4).exp()
        light = F.interpolate(self._normal(count, 1, 3, 3), luma.shape[2:], mode="bicubic", align_corners=True)
        luma = luma * (light * 0.25 * self._uniform(count, 1, 1, 1) * self._sometimes(count, 0.6)).exp()
        luma = torch.lerp(luma, (luma * 5).round() / 5, self._sometimes(count, 0.12))
        return torch.lerp(luma, 1 - luma, self._sometimes(count, 0.06))

    def _filtered(self, luma: Tensor) -> Tensor:
        """Blurred, sharpened, or as it is; then a random texture and noise."""
        count = len(luma)
        kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = (kernel[:, None] * kernel)[None, None]

        def blurred(x: Tensor) -> Tensor:
            return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel)

        little = blurred(luma)
        much = blurred(blurred(little))
        smooth = torch.lerp(little, much, self._sometimes(count, 0.5))
        amount = self._uniform(count, 1, 1, 1) * 2 * self._sometimes(count, 0.3) - self._sometimes(count, 0.3)
        luma = luma + amount.clamp(-1, 2) * (luma - smooth)
        texture = F.interpolate(self._normal(count, 1, 16, 16), luma.shape[2:], mode="bilinear", align_corners=False)
        luma = luma + texture * 0.05 * self._uniform(count, 1, 1, 1) * self._sometimes(count, 0.4)
        return luma + self._normal(*luma.shape) * 0.08 * self._uniform(count, 1, 1, 1).square()

    def _covered(self, luma: Tensor) -> Tensor:
        """Put up to two grey boxes before it."""
        count, side = len(luma), luma.shape[-1]
        axis = (torch.arange(side) + 0.5) / side
        for _ in range(2):
            centre, size = self._uniform(count, 2, 1), 0.03 + 0.12 * self._uniform(count, 2, 1)
            inside = ((axis - centre).abs() < size).float()
            box = (inside[:, 1, :, None] * inside[:, 0, None, :])[:, None] * self._sometimes(count, 0.25)
            luma = torch.lerp(luma, self._uniform(count, 1, 1, 1).expand_as(luma), box)
        return luma
