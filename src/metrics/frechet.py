"""Fréchet distance of Gaussians fitted to two feature sets (arXiv 1706.08500, Eq. 6); torchmetrics accumulates.

Sums and second moments are float64 whatever the features are. The reals are added once and stay. torchmetrics takes the
eigenvalues of the product of the covariances: 4 s for 2048 features on one core.
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
    """Takes reals once and fakes as often as wanted.

    Args:
        num_features: d.
    """

    def __init__(self, num_features: int) -> None:
        self._metric = FrechetInceptionDistance(
            feature=_Identity(num_features),
            reset_real_features=False,
            input_img_size=(3, 8, 8),
            distributed_available_fn=lambda: False,  # features are gathered before they come here
        )

    @torch.inference_mode()
    def add_reals(self, features: Tensor) -> None:
        """Add real features `[n, d]`."""
        self._add(features, real=True)

    @torch.inference_mode()
    def distance_of(self, fakes: Tensor) -> float:
        """Measure the distance of `[n, d]` from all reals added so far.

        Args:
            fakes: at least 2 rows.
        """
        self._metric.reset()
        self._add(fakes, real=False)
        return float(self._metric.compute())

    def _add(self, features: Tensor, *, real: bool) -> None:
        for block in features.split(BLOCK):
            self._metric.update(block.double(), real=real)
