"""What each phase minimises: the four losses of StyleGAN2 (arXiv 1912.04958) as functions of networks and draws.

Nothing here waits for a device: no value is read back and no shape depends on data, so that a phase can be captured in
a CUDA graph. Whatever changes is changed in place (w_avg, the mean path length, the sum of signs for ADA).
"""

from typing import Protocol

import torch
from torch import Tensor

from ..augment import AdaController, AugmentPipe
from ..networks import Discriminator, Generator
from .compiled import CompiledNetworks
from .losses import discriminator_loss, generator_loss, path_lengths, r1_penalty, structure_loss
from .phases import Batch, Statistics
from .settings import StepSettings


class Parts(Protocol):
    """What the losses are made of; `TrainingStep` is one."""

    G: Generator
    D: Discriminator
    settings: StepSettings
    augment: AugmentPipe | None
    ada: AdaController | None
    compiled: CompiledNetworks | None
    pl_mean: Tensor

    @property
    def source(self) -> Generator | None:
        """The frozen generator of the structure loss."""


def g_main(parts: Parts, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Statistics]:
    """Non-saturating loss of the generator, with the structure loss when it has a weight; moves w_avg."""
    settings, source = parts.settings, parts.source
    ws = style_codes(parts, batch.images.shape[0], batch.c, generator)
    parts.G.mapping.update_w_avg(ws[:, 0], settings.w_avg_beta)
    stats: Statistics = {}
    structure: Tensor | None = None
    if settings.structure_weight > 0 and source is not None:
        images, structure = _with_structure(parts, source, ws, generator)
    else:
        images = _synthesize(parts, ws, generator)
    loss = generator_loss(_discriminate(parts, images, batch.c, generator))
    stats["loss/G"] = loss.detach()
    if structure is not None:
        stats["loss/structure"] = structure.detach()
        loss = loss + settings.structure_weight * structure
    return loss, stats


def g_path_length(parts: Parts, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Statistics]:
    """Path length regularisation (1912.04958, Sec. 3.2) on a part of the batch; moves the mean path length."""
    settings = parts.settings
    n = max(batch.images.shape[0] // settings.pl_batch_shrink, 1)
    c = None if batch.c is None else batch.c[:n]
    ws = style_codes(parts, n, c, generator)
    if not ws.requires_grad:  # the mapping network is frozen
        ws = ws.detach().requires_grad_(True)
    images = parts.G.synthesis(ws, noise="random", generator=generator)
    noise = torch.randn(images.shape, device=images.device, generator=generator)
    lengths = path_lengths(images, ws, noise)
    mean = parts.pl_mean.lerp(lengths.mean(), settings.pl_decay)
    parts.pl_mean.copy_(mean.detach())
    penalty = (lengths - mean).square().mean()
    return settings.pl_weight * penalty, {"loss/path_length": penalty.detach()}


def d_main(parts: Parts, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Statistics]:
    """Logistic loss of the discriminator; adds the signs of its outputs on reals to ADA's sum."""
    with torch.no_grad():
        ws = style_codes(parts, batch.images.shape[0], batch.c, generator)
        fakes = _synthesize(parts, ws, generator)
    fake_logits = _discriminate(parts, fakes, batch.c, generator)
    real_logits = _discriminate(parts, batch.images, batch.c, generator)
    if parts.ada is not None:
        parts.ada.accumulate(real_logits)
    loss = discriminator_loss(real_logits, fake_logits)
    return loss, {
        "loss/D": loss.detach(),
        "logits/real": real_logits.mean().detach(),
        "logits/fake": fake_logits.mean().detach(),
    }


def d_r1(parts: Parts, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Statistics]:
    """R1 (arXiv 1801.04406) at the augmented reals."""
    images = batch.images.detach().requires_grad_(True)
    logits = parts.D(_augmented(parts, images, generator), batch.c)
    penalty = r1_penalty(logits, images).mean()
    return 0.5 * parts.settings.r1_gamma * penalty, {"loss/r1": penalty.detach()}


def style_codes(parts: Parts, n: int, c: Tensor | None, generator: torch.Generator) -> Tensor:
    """Style codes `[n, L, w_dim]` with style mixing (arXiv 1812.04948, Sec. 3.1)."""
    device = parts.pl_mean.device
    mapping, num_ws = parts.G.mapping, parts.G.num_ws
    z = torch.randn([2, n, parts.G.z_dim], device=device, generator=generator)
    chance, place = torch.rand([2], device=device, generator=generator)
    if parts.settings.style_mixing_prob == 0:
        return mapping(z[0], c)
    both = None if c is None else torch.cat([c, c])
    first, second = mapping.map(z.flatten(0, 1), both).chunk(2)
    # the first `cutoff` codes come from the first latent, the rest from the second; no mixing: all of them
    cutoff = 1 + torch.floor(place * (num_ws - 1))
    mixed = (chance < parts.settings.style_mixing_prob) & (torch.arange(num_ws, device=device) >= cutoff)
    return torch.where(mixed[None, :, None], second[:, None], first[:, None])


def _with_structure(parts: Parts, source: Generator, ws: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images, and the structure loss at the resolution on the way to them."""
    level, synthesis = parts.settings.structure_resolution, parts.G.synthesis
    low = synthesis.run_blocks(ws, stop=level, noise="random", generator=generator)
    with torch.no_grad():
        reference = source.synthesis.run_blocks(ws, stop=level, noise="none")
    assert low.rgb is not None and reference.rgb is not None
    structure = structure_loss(low.rgb, reference.rgb)
    state = synthesis.run_blocks(ws, 2 * level, None, low, noise="random", generator=generator)
    assert state.rgb is not None
    return state.rgb, structure


def _synthesize(parts: Parts, ws: Tensor, generator: torch.Generator) -> Tensor:
    if parts.compiled is not None:
        return parts.compiled.synthesize(ws, generator)
    return parts.G.synthesis(ws, noise="random", generator=generator)


def _discriminate(parts: Parts, images: Tensor, c: Tensor | None, generator: torch.Generator) -> Tensor:
    images = _augmented(parts, images, generator)
    return parts.D(images, c) if parts.compiled is None else parts.compiled.discriminate(images, c)


def _augmented(parts: Parts, images: Tensor, generator: torch.Generator) -> Tensor:
    return images if parts.augment is None else parts.augment(images, generator=generator)
