"""The loss terms of StyleGAN2: non-saturating logistic (arXiv 1406.2661), R1 (1801.04406), path length (1912.04958)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating generator loss, -log sigmoid(D(G(z))), mean over the batch `[N, 1]`."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Logistic discriminator loss, -log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))), mean over the batch."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, images: Tensor) -> Tensor:
    """Squared gradient norm of D at real images (1801.04406, Eq. 9 without γ/2).

    Args:
        real_logits: `[N, 1]`, computed from `images`.
        images: `[N, 3, H, W]` that require a gradient.

    Returns:
        `[N]`, differentiable.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))


def path_lengths(images: Tensor, ws: Tensor, noise: Tensor) -> Tensor:
    """Length of Jᵀy for random images y (1912.04958, Sec. 3.2, Eq. 4), root mean square over the codes.

    Args:
        images: `[N, 3, H, W]`, synthesised from `ws`.
        ws: `[N, L, w_dim]`.
        noise: standard normal, like `images`; scaled here by 1/√(H·W).

    Returns:
        `[N]`, differentiable.
    """
    scaled = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * scaled).sum(), ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def structure_loss(rgb: Tensor, source_rgb: Tensor) -> Tensor:
    """Mean squared difference of low-resolution RGB sums of the tuned and the source generator for the same codes.

    Keeps the layout of the source while fine-tuning (Cartoon-StyleGAN, arXiv 2106.12445, Sec. 3.2).

    Args:
        rgb: `[N, 3, r, r]` of the generator in training.
        source_rgb: the same of the frozen source.
    """
    return F.mse_loss(rgb, source_rgb)
