"""Pictures, pipes and geometries for the tests of augmentation."""

import torch
import torch.nn.functional as F

from src.augment.geometry import GeometryDraws
from src.augment.pipe import AugmentPipe, PipeSettings


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def noise_images(num=2, height=32, width=32, seed=0, dtype=torch.float32):
    return torch.rand(num, 3, height, width, generator=rng(seed), dtype=dtype) * 2 - 1


def smooth_images(num=2, size=64):
    return F.interpolate(noise_images(num, 4, 4), size=[size, size], mode="bicubic", align_corners=False)


def single(name, p=1.0, **values):
    pipe = AugmentPipe(PipeSettings(**({name: 1.0} | values)))
    pipe.p.fill_(p)
    return pipe


def fixed(name, percentile, images, **values):
    return single(name, **values)(images, generator=rng(), fixed_percentile=percentile)


def geometry(num=1, **values):
    values = {name: values.get(name, 0.0) for name in GeometryDraws._fields}
    return GeometryDraws(*(torch.full([num], float(value)) for value in values.values()))


# --- what an augmentation does
