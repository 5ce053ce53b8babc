"""What training minimises: the loss terms as formulas, then what each phase (arXiv 1912.04958) makes of them.

Non-saturating logistic (arXiv 1406.2661), R1 (1801.04406), path length (1912.04958). Nothing here waits for a device:
no value is read back and no shape depends on data, so that a phase can be captured in a CUDA graph. The batch may be a
part of one: losses and statistics are means, which are averaged over the parts; so are the moments that move w_avg and
the mean path length. ADA's sum of signs is added to in place.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..augment import AdaController
from ..draws import Draws
from ..networks import Generator
from .phases import LENGTH, W_MEAN, Batch, Statistics
from .settings import StepSettings

#: Images `[N, 3, H, W]` of codes `[N, L, w_dim]`, with drawn noise.
Synthesize = Callable[[Tensor, Draws], Tensor]
#: Logits `[N, 1]` of augmented images `[N, 3, H, W]`, so many batches one after another, and their one-hot classes.
Discriminate = Callable[[Tensor, Tensor | None, Draws, int], Tensor]


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating generator loss, -log sigmoid(D(G(z))), mean over the batch `[N, 1]`."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Logistic discriminator loss, -log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))), mean over the batch."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, images: Tensor) -> Tensor:
    """Squared gradient norm `[N]` of D at real images (1801.04406, Eq. 9 without γ/2), differentiable.

    The logits `[N, 1]` are computed from the images `[N, 3, H, W]`, which require a gradient.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))


def path_lengths(images: Tensor, ws: Tensor, noise: Tensor) -> Tensor:
    """Length `[N]` of Jᵀy for random images y (1912.04958, Sec. 3.2, Eq. 4), root mean square over the codes.

    Args:
        images: `[N, 3, H, W]`, synthesised from `ws`.
        ws: `[N, L, w_dim]`.
        noise: standard normal, like `images`; scaled here by 1/√(H·W).
    """
    scaled = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * scaled).sum(), ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def structure_loss(rgb: Tensor, source_rgb: Tensor) -> Tensor:
    """Mean squared difference of RGB sums `[N, 3, r, r]` of the tuned and the source generator for the same codes.

    Keeps the layout of the source while fine-tuning (Cartoon-StyleGAN, arXiv 2106.12445, Sec. 3.2).
    """
    return F.mse_loss(rgb, source_rgb)


def g_main(
    G: Generator,
    batch: Batch,
    settings: StepSettings,
    draws: Draws,
    synthesize: Synthesize,
    discriminate: Discriminate,
    source: Generator | None,
) -> tuple[Tensor, Statistics]:
    """Non-saturating loss of the generator, with the structure loss when it has a weight; tells the mean code."""
    ws = style_codes(G, batch.images.shape[0], batch.c, settings.style_mixing_prob, draws)
    stats: Statistics = {W_MEAN: ws[:, 0].detach().mean(dim=0)}
    structure: Tensor | None = None
    if settings.structure_weight > 0 and source is not None:
        images, structure = _with_structure(G, source, ws, settings.structure_resolution, draws)
    else:
        images = synthesize(ws, draws)
    loss = generator_loss(discriminate(images, batch.c, draws, 1))
    stats["loss/G"] = loss.detach()
    if structure is not None:
        stats["loss/structure"] = structure.detach()
        loss = loss + settings.structure_weight * structure
    return loss, stats


def g_path_length(
    G: Generator,
    batch: Batch,
    settings: StepSettings,
    draws: Draws,
    pl_mean: Tensor,
    whole: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Statistics]:
    """Path length regularisation (1912.04958, Sec. 3.2) on a part of the batch; tells the mean length.

    The mean from which lengths deviate moves with all lengths of the batch, `whole` of those that are here. What that
    adds to the gradient is a term whose value is 0.
    """
    lengths = g_lengths(G, batch, settings, draws)
    length = whole(lengths.detach().mean())
    mean = pl_mean.lerp(length, settings.pl_decay)
    penalty = (lengths - mean).square().mean()
    moved = 2 * settings.pl_decay * (length - mean) * (lengths - lengths.detach()).mean()
    return settings.pl_weight * (penalty - moved), {"loss/path_length": penalty.detach(), LENGTH: length}


def g_lengths(G: Generator, batch: Batch, settings: StepSettings, draws: Draws) -> Tensor:
    """Path lengths `[n]` of drawn codes, of the share of the batch that the regularisation takes."""
    n = max(batch.images.shape[0] // settings.pl_batch_shrink, 1)
    c = None if batch.c is None else batch.c[:n]
    ws = style_codes(G, n, c, settings.style_mixing_prob, draws)
    if not ws.requires_grad:  # the mapping network is frozen
        ws = ws.detach().requires_grad_(True)
    images = G.synthesis(ws, noise=noise_maps(G, n, draws))
    return path_lengths(images, ws, draws.normal(images.shape))


def d_main(
    G: Generator,
    batch: Batch,
    settings: StepSettings,
    draws: Draws,
    synthesize: Synthesize,
    discriminate: Discriminate,
    ada: AdaController | None,
) -> tuple[Tensor, Statistics]:
    """Logistic loss of the discriminator; adds the signs of its outputs on reals to ADA's sum.

    Fakes and reals go through the discriminator in one pass, each batch by itself where it looks at batches.
    """
    with torch.no_grad():
        ws = style_codes(G, batch.images.shape[0], batch.c, settings.style_mixing_prob, draws)
        fakes = synthesize(ws, draws)
    both = None if batch.c is None else torch.cat([batch.c, batch.c])
    fake_logits, real_logits = discriminate(torch.cat([fakes, batch.images]), both, draws, 2).chunk(2)
    if ada is not None:
        ada.accumulate(real_logits)
    loss = discriminator_loss(real_logits, fake_logits)
    return loss, {
        "loss/D": loss.detach(),
        "logits/real": real_logits.mean().detach(),
        "logits/fake": fake_logits.mean().detach(),
    }


def d_r1(batch: Batch, settings: StepSettings, draws: Draws, discriminate: Discriminate) -> tuple[Tensor, Statistics]:
    """R1 (arXiv 1801.04406) at the augmented reals."""
    images = batch.images.detach().requires_grad_(True)
    logits = discriminate(images, batch.c, draws, 1)
    penalty = r1_penalty(logits, images).mean()
    return 0.5 * settings.r1_gamma * penalty, {"loss/r1": penalty.detach()}


def style_codes(G: Generator, n: int, c: Tensor | None, mixing_prob: float, draws: Draws) -> Tensor:
    """Draw style codes `[n, L, w_dim]`, with style mixing at a probability (arXiv 1812.04948, Sec. 3.1)."""
    mapping, num_ws = G.mapping, G.num_ws
    device = mapping.w_avg.device
    z = draws.normal([2, n, G.z_dim], dim=1)
    chance, place = draws.common(2)
    if mixing_prob == 0:
        return mapping(z[0], c)
    both = None if c is None else torch.cat([c, c])
    first, second = mapping.map(z.flatten(0, 1), both).chunk(2)
    # the first `cutoff` codes come from the first latent, the rest from the second; no mixing: all of them
    cutoff = 1 + torch.floor(place * (num_ws - 1))
    mixed = (chance < mixing_prob) & (torch.arange(num_ws, device=device) >= cutoff)
    return torch.where(mixed[None, :, None], second[:, None], first[:, None])


def noise_maps(G: Generator, n: int, draws: Draws) -> list[Tensor]:
    """Draw the noise of every convolution, maps `[n, 1, r, r]`."""
    return [draws.normal([n, 1, layer.resolution, layer.resolution]) for layer in G.synthesis.layers()]


def _with_structure(G: Generator, source: Generator, ws: Tensor, level: int, draws: Draws) -> tuple[Tensor, Tensor]:
    """Images, and the structure loss at the resolution `level` on the way to them."""
    synthesis = G.synthesis
    maps = noise_maps(G, len(ws), draws)
    low = synthesis.run_blocks(ws, stop=level, noise=maps)
    with torch.no_grad():
        reference = source.synthesis.run_blocks(ws, stop=level, noise="none")
    assert low.rgb is not None and reference.rgb is not None
    structure = structure_loss(low.rgb, reference.rgb)
    state = synthesis.run_blocks(ws, 2 * level, None, low, noise=maps)
    assert state.rgb is not None
    return state.rgb, structure
