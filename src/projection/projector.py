"""Projecting pictures to style codes by optimisation (StyleGAN2, arXiv 1912.04958, App. D), in batches.

W+ gives each layer a code of its own (Image2StyleGAN, arXiv 1904.03189). In this project's recipe codes are held near
the average code, in units of the spread of W, so that another network (a blend) can render them as well.

Each picture has a clock and random numbers of its own, which depend on the picture alone: its result does not depend on
which others it shares a batch with, up to the rounding of batched arithmetic.
"""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor
from tqdm import tqdm

from ..cuda_graphs import CudaRecorder
from ..data import to_uint8
from ..device import memory_advice, memory_in_use, send
from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..networks import Generator
from .descent import Descent, Frame
from .noise_maps import fresh_maps
from .perceptual import perceptual_distance
from .samples import Samples, random_codes
from .schedule import ProjectionSettings

W_SAMPLES, W_SEED = 10_000, 123
BATCH, BATCH_PIXELS = 16, 16 * 256 * 256  # pictures at a time: 16 up to 256 px, fewer of larger ones


@dataclass(frozen=True)
class Projection:
    """Result of a projection."""

    codes: Tensor  # `[N, L, w_dim]` float32
    images: Tensor  # reconstructions, uint8 `[N, 3, H, W]`
    distances: Tensor  # perceptual distance of each reconstruction, float32 `[N]`
    start_distances: Tensor  # the same of the average face, float32 `[N]`
    measure: str  # name of the perceptual distance
    steps: Tensor  # optimiser steps that each picture took, `[N]`
    # optimised noise maps `[N, r, r]`, one a convolution; None where they were left alone
    noise: list[Tensor] | None = None

    def quality(self) -> Tensor:
        """`[N]`: 1 for the picture itself, 0 for the average face, below 0 for worse."""
        return 1 - self.distances / self.start_distances.clamp(min=1e-8)


class Projector:
    """Finds codes that render as pictures, a batch at a time; what batches share is set up once.

    Within its block the generator is in evaluation mode, and its parameters take no gradient.

    Args:
        G: the *base* generator: real pictures lie in its range, not in a fine-tuned one's.
        settings: schedule.
        seed: of the noise, together with each picture's pixels.
        batch: pictures at a time; None for 16, fewer above 256 px.
        total: of pictures that are to be projected, for the bar; None shows none.
        weights_folder: where the weights of LPIPS lie and come from; a UserError where they cannot be had.
    """

    def __init__(
        self,
        G: Generator,
        *,
        settings: ProjectionSettings | None = None,
        seed: int = 0,
        batch: int | None = None,
        total: int | None = None,
        weights_folder: WeightsFolder = DEFAULT_FOLDER,
    ) -> None:
        self.G, self.seed, self.batch = G, seed, batch or max(min(BATCH, BATCH_PIXELS // G.resolution**2), 1)
        self._settings, self._total, self._device = settings or ProjectionSettings(), total, G.mapping.w_avg.device
        self._distance = perceptual_distance(
            self._settings.distance, device=self._device, weights_folder=weights_folder
        )

    def __enter__(self) -> Self:
        G, device = self.G, self._device
        recorder = CudaRecorder(device, otherwise="project with device=cpu") if device.type == "cuda" else None
        with ExitStack() as block:
            block.callback(G.train, G.training)
            for parameter in [p for p in G.parameters() if p.requires_grad]:
                block.callback(parameter.requires_grad_, True)
            G.eval().requires_grad_(False)
            self._frame = Frame(G, self._settings, self._distance, *_w_statistics(G), recorder)
            self._samples = Samples(G, count) if (count := self._settings.samples) else None
            self._bar = block.enter_context(
                tqdm(
                    total=(self._total or 0) * self._settings.steps,
                    desc=f"projecting into the base network ({self._distance.name})",
                    unit="step",
                    disable=None if self._total else True,
                )
            )
            self._block = block.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._block.close()

    def __call__(self, targets: Tensor, start: Tensor | None = None) -> Projection:
        """Find codes of a batch, within the block: a `Projection`; takes and raises what `project` does.

        A UserError says which `projection.batch` to take where memory runs out.
        """
        _check(self.G, targets, start)
        begin = None if start is None else start.expand(len(targets), -1, -1)
        at_rest = memory_in_use(self._device)
        with memory_advice(self._device, partial(_what_to_lower, len(targets)), at_rest=at_rest):
            if begin is None and self._samples is not None:
                looks = targets.to(self._device).float() / 127.5 - 1
                begin = self._samples.nearest(looks)[:, None].expand(-1, self.G.num_ws, -1)
            return _project_batch(self._frame, targets, begin, self.seed, self._bar)


def project(
    G: Generator,
    targets: Tensor,
    *,
    settings: ProjectionSettings | None = None,
    seed: int = 0,
    batch: int | None = None,
    start: Tensor | None = None,
    progress: bool = True,
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> Projection:
    """Find codes that render as the targets; G, settings, seed, batch and weights_folder are `Projector`'s.

    Args:
        targets: uint8 `[N, 3, H, W]`, aligned, at the generator's resolution.
        start: codes to begin with, `[N or 1, L, w_dim]`; None for the average code, or as `settings.samples` says.
        progress: show a bar.

    Returns:
        A `Projection`: codes, reconstructions and their distances, in the order of the targets.

    Raises:
        UserError: for targets or start codes of another shape, settings that cannot be, or without the weights of the
            distance.
    """
    _check(G, targets, start)
    total = len(targets) if progress else None
    with Projector(G, settings=settings, seed=seed, batch=batch, total=total, weights_folder=weights_folder) as call:
        batches = targets.split(call.batch)
        starts = [None] * len(batches) if start is None else start.expand(len(targets), -1, -1).split(call.batch)
        return _joined([call(*batch) for batch in zip(batches, starts, strict=True)])


def picture_seed(picture: Tensor, seed: int) -> int:
    """Seed of a picture's own random numbers: of its pixels (uint8 `[3, H, W]`) and `seed`."""
    digest = hashlib.sha256(picture.cpu().numpy().tobytes() + str(seed).encode()).digest()
    return int.from_bytes(digest[:7], "little")


def _project_batch(frame: Frame, targets: Tensor, start: Tensor | None, seed: int, bar: tqdm) -> Projection:
    G, settings, device = frame.G, frame.settings, frame.w_avg.device
    generators = [torch.Generator().manual_seed(picture_seed(target, seed)) for target in targets]
    drawn = [fresh_maps(G, generator) for generator in generators] if settings.noise else []
    maps = [send(torch.stack(each), device) for each in zip(*drawn, strict=True)]
    if start is None:
        codes = frame.w_avg.expand(len(targets), frame.num_codes, -1)
    else:
        codes = (start if settings.space == "w+" else start.mean(dim=1, keepdim=True)).to(device)
    with torch.no_grad():
        described = frame.distance.describe(targets.to(device).float() / 127.5 - 1)
    found = Descent(frame, described, codes, maps, generators).run(bar)
    with torch.no_grad():
        codes = torch.stack([one.codes for one in found]).expand(-1, G.num_ws, -1).contiguous()
        maps = [torch.stack(each) for each in zip(*(one.maps for one in found), strict=True)]
        images = G.synthesis(codes, noise=maps or "const")
        average = G.synthesis(frame.w_avg.expand(1, G.num_ws, -1)).expand(len(targets), -1, -1, -1)
        return Projection(
            codes.cpu(),
            to_uint8(images).cpu(),
            frame.distance.compare(images, described).cpu(),
            frame.distance.compare(average, described).cpu(),
            frame.distance.name,
            torch.tensor([one.steps for one in found]),
            [m[:, 0].cpu() for m in maps] or None,
        )


def _what_to_lower(batch: int, share: float | None) -> str:
    if batch == 1:
        return "it is a single picture: project with device=cpu"
    fit = batch // 2 if share is None else min(max(int(batch * share), 1), batch - 1)
    return f"projection.batch={fit} is the same with less at once"


def _joined(parts: list[Projection]) -> Projection:
    columns = ("codes", "images", "distances", "start_distances", "steps")
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in columns}
    noise = None
    if parts[0].noise is not None:
        noise = [torch.cat(maps) for maps in zip(*(part.noise or [] for part in parts), strict=True)]
    return Projection(**joined, measure=parts[0].measure, noise=noise)


def _w_statistics(G: Generator) -> tuple[Tensor, Tensor]:
    """Mean of W `[w_dim]` and its standard deviation (one number, the root of the mean variance)."""
    w = random_codes(G, W_SAMPLES, W_SEED)
    return w.mean(dim=0), (w - w.mean(dim=0)).square().mean().sqrt()


def _check(G: Generator, targets: Tensor, start: Tensor | None) -> None:
    wanted = f"uint8 [N, 3, {G.resolution}, {G.resolution}]"
    if targets.dtype != torch.uint8 or targets.ndim != 4 or targets.shape[1:] != (3, G.resolution, G.resolution):
        raise UserError(f"projection takes aligned pictures {wanted}, not {targets.dtype} {list(targets.shape)}")
    if len(targets) == 0:
        raise UserError(f"projection takes aligned pictures {wanted}, at least one")
    if start is not None and (start.ndim != 3 or start.shape[1:] != (G.num_ws, G.w_dim)):
        raise UserError(f"start codes of shape {list(start.shape)}: [N, {G.num_ws}, {G.w_dim}] is expected")
    if start is not None and len(start) not in (1, len(targets)):
        raise UserError(f"{len(start)} start codes for {len(targets)} pictures: give one for all, or one for each")
