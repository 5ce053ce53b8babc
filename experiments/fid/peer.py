"""torch-fidelity's own Inception, FID and KID, from their files alone: the package's `__init__` imports torchvision."""

import importlib
import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import src.metrics  # noqa: F401  (first: torchmetrics looks for torch_fidelity while it is imported)

NAME = "torch_fidelity"


def find_peer() -> Path | None:
    """Folder (or wheel) that holds torch_fidelity: named by the variable TORCH_FIDELITY, or installed."""
    if os.environ.get("TORCH_FIDELITY"):
        return Path(os.environ["TORCH_FIDELITY"])
    spec = importlib.util.find_spec(NAME)
    return Path(spec.origin).parents[1] if spec is not None and spec.origin else None


class Peer:
    """Its functions, on features of its network.

    Args:
        root: folder or wheel that holds the package.
        weights: state dict for its Inception.
    """

    def __init__(self, root: Path, weights: Path) -> None:
        package = types.ModuleType(NAME)
        package.__path__ = [str(root / NAME)]
        package.__spec__ = importlib.machinery.ModuleSpec(NAME, None, is_package=True)
        utils = types.ModuleType(f"{NAME}.utils")  # inputs, caches and other networks: the measures do not need them
        utils.__getattr__ = lambda name: None  # type: ignore[method-assign]
        sys.modules.update({NAME: package, utils.__name__: utils})
        names = (
            "feature_extractor_inceptionv3",
            "interpolate_compat_tensorflow",
            "metric_fid",
            "metric_kid",
            "version",
        )
        modules = [importlib.import_module(f"{NAME}.{name}") for name in names]
        self._inception, self._interpolate, self._fid, self._kid, version = modules
        self.version: str = version.__version__
        self._network: Any = self._inception.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )

    @torch.inference_mode()
    def features(self, images: Tensor, batch: int = 32) -> Tensor:
        """Map uint8 `[N, 3, H, W]` to float32 `[N, 2048]`."""
        return torch.cat([self._network(part)[0] for part in images.split(batch)])

    def resize(self, images: Tensor) -> Tensor:
        """Resize float `[N, 3, H, W]` to 299 px."""
        resize = self._interpolate.interpolate_bilinear_2d_like_tensorflow1x
        return resize(images, size=(299, 299), align_corners=False)

    def fid(self, fakes: Tensor, reals: Tensor) -> float:
        """FID of two feature sets."""
        statistics = [self._fid.fid_features_to_statistics(x) for x in (fakes, reals)]
        return float(self._fid.fid_statistics_to_metric(*statistics, False)[self._fid.KEY_METRIC_FID])

    def kid(self, fakes: Tensor, reals: Tensor) -> float:
        """KID with one subset: all pictures of two sets of one size."""
        settings = {"kid_subsets": 1, "kid_subset_size": len(fakes), "rng_seed": 0, "verbose": False}
        return float(self._kid.kid_features_to_metric(fakes, reals, **settings)[self._kid.KEY_METRIC_KID_MEAN])
