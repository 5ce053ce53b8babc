"""Fréchet distance of Gaussians fitted to two feature sets (arXiv 1706.08500, Eq. 6); torchmetrics accumulates.

It is biased upwards at a few hundred pictures, and called FID only where the features are Inception's. Sums and second
moments are float64 whatever the features are. torchmetrics' own `compute` takes the eigenvalues of the covariances'
product, 4 s for 2048 features on one core. With C = FᵀF for the reals, those are the eigenvalues of the symmetric
F C' Fᵀ, small when the reals are few (0.1 s for 400), and F is computed once.
"""

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

BLOCK = 1024  # rows an update: its cost is one d x d product however few they are


class _Identity(nn.Module):
    """Lets torchmetrics accumulate features that are computed already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


class FrechetAccumulator:
    """Takes reals, features `[M, d]` with M at least 2, once and fakes as often as wanted."""

    @torch.inference_mode()
    def __init__(self, reals: Tensor) -> None:
        self._metric = FrechetInceptionDistance(
            feature=_Identity(reals.shape[1]),
            reset_real_features=False,
            input_img_size=(3, 8, 8),
            distributed_available_fn=lambda: False,  # features are gathered before they come here
        )
        self._add(reals, real=True)
        self._mean, covariance = self._moments("real")
        self._trace = covariance.trace()
        if len(reals) <= reals.shape[1]:
            self._factor = (reals.double() - self._mean) / (len(reals) - 1) ** 0.5
        else:
            values, vectors = torch.linalg.eigh(covariance)
            self._factor = (vectors * values.clamp(min=0).sqrt()).t()

    @torch.inference_mode()
    def distance_of(self, fakes: Tensor) -> float:
        """Measure the distance of fakes, features `[N, d]` with N at least 2, from the reals."""
        self._metric.reset()
        self._add(fakes, real=False)
        mean, covariance = self._moments("fake")
        product = self._factor @ covariance @ self._factor.t()
        root_trace = torch.linalg.eigvalsh((product + product.t()) / 2).clamp(min=0).sqrt().sum()
        return float((self._mean - mean).square().sum() + self._trace + covariance.trace() - 2 * root_trace)

    def bias_of(self, fakes: Tensor) -> float | None:
        """Estimate how much too large `distance_of` is because these are not infinitely many fakes.

        The bias falls as 1 / N (Chong and Forsyth, arXiv 1911.07023), so it is what halves of the fakes have more. They
        are `[N, d]` in the order in which they were drawn; None for fewer than 4.
        """
        half = len(fakes) // 2
        if half < 2:
            return None
        halves = [self.distance_of(fakes[:half]), self.distance_of(fakes[half : 2 * half])]
        return sum(halves) / 2 - self.distance_of(fakes)

    def _add(self, features: Tensor, *, real: bool) -> None:
        for block in features.split(BLOCK):
            self._metric.update(block.double(), real=real)

    def _moments(self, side: str) -> tuple[Tensor, Tensor]:
        """Mean `[d]` and covariance `[d, d]` of what was accumulated."""
        total, products, count = (
            getattr(self._metric, f"{side}_features_{name}") for name in ("sum", "cov_sum", "num_samples")
        )
        mean = total / count
        return mean, (products - count * torch.outer(mean, mean)) / (count - 1)
