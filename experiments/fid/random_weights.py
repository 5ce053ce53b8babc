"""A state dict for FID's Inception with random weights, and pictures on which its features differ."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.metrics.inception import FidInception


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """Tensors under the published names, `fc` included; numpy's frozen generator, so the same on every machine.

    Gains are such that activations neither vanish nor grow through the network.
    """
    rng, state = np.random.RandomState(seed), {}
    for name, like in FidInception().state_dict().items():
        shape = tuple(like.shape)
        if name.endswith("conv.weight"):
            value = rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
        elif name.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif name.endswith("bn.weight"):
            value = rng.uniform(0.6, 1.4, shape)
        elif name.endswith("num_batches_tracked"):
            continue
        else:
            value = rng.standard_normal(shape) * 0.3
        state[name] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    state["fc.weight"], state["fc.bias"] = torch.zeros([1008, 2048]), torch.zeros([1008])
    return state


def random_pictures(num: int, px: int, *, seed: int, grain: int) -> Tensor:
    """Uint8 `[num, 3, px, px]`: random colours on a grid of `grain`, enlarged, each picture of its own contrast."""
    rng = np.random.RandomState(seed)
    coarse = torch.from_numpy(rng.uniform(-1, 1, [num, 3, grain, grain]).astype(np.float32))
    contrast = torch.from_numpy(rng.uniform(20, 120, [num, 1, 1, 1]).astype(np.float32))
    smooth = F.interpolate(coarse, (px, px), mode="bilinear", align_corners=False)
    return (128 + contrast * smooth).round().clamp(0, 255).to(torch.uint8)
