"""From named tensors to networks: the architecture is read from shapes, and every tensor must find its place.

Readers bring a file's tensors under this project's names (`mapping.fc0.weight`, `synthesis.b8.conv0.weight`, …); what
shapes cannot tell comes as hints. Nothing is assumed from a format's usual sizes.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..networks import RESAMPLE_TAPS, Discriminator, Generator
from ..ops import setup_filter
from .errors import Refused
from .network_file import MAX_RESOLUTION, NetworkFile, filled

W_AVG_SAMPLES, W_AVG_SEED = 10_000, 0
ESTIMATE_PRODUCTS, ESTIMATE_VALUES = 4 * 10**10, 1 << 22  # of a whole estimate, of one batch
NOISE_SEED = 0
Tensors = dict[str, Tensor]


def make_generator(tensors: Tensors, origin: NetworkFile, **hints: Any) -> Generator:
    """Build a generator of the architecture that tensors under this project's names have, and fill it.

    `synthesis.*.noise_const` and `noise_strength` may be missing together (a network without noise), and so may
    `mapping.w_avg` (it is estimated): what had to be made up is noted in `origin`. Hints are `conv_clamp`,
    `mapping_lr_multiplier`, `label_layout`.
    """
    tensors = _without_filters(tensors)
    channels = _channels(tensors, r"synthesis\.b(\d{1,5})\.conv1\.weight", axis=0)
    resolution = max(channels)
    first = _shape(tensors, "synthesis.b4.const", 3)
    if first[1:] != (4, 4):
        raise Refused(
            f"its constant input is {first[1]}x{first[2]}: only square networks that begin at 4x4 are supported"
        )
    colours = _shape(tensors, f"synthesis.b{resolution}.torgb.weight", 4)[0]
    if colours != 3:
        raise Refused(f"it makes pictures of {colours} channel(s): only RGB networks are supported")
    config: dict[str, Any] = {
        "w_dim": _shape(tensors, "synthesis.b4.conv1.affine.weight", 2)[1],
        "resolution": resolution,
        "channels": channels,
        "architecture": _generator_architecture(tensors, channels),
        **_mapping_config(tensors, str(hints.get("label_layout", "embed"))),
        **hints,
    }
    _add_noise(tensors, channels, origin)
    estimate = "mapping.w_avg" not in tensors
    if estimate:
        tensors["mapping.w_avg"] = torch.zeros([config["w_dim"]])
    G = filled(Generator, config, tensors, origin)
    if estimate:
        origin.notes["w_avg"] = f"not in the file: estimated from {estimate_w_avg(G)} latents"
    return G


def make_discriminator(tensors: Tensors, origin: NetworkFile, **hints: Any) -> Discriminator:
    """Build a discriminator of the architecture that tensors under this project's names have, and fill it.

    Hints are `conv_clamp`, `mbstd_group_size`, `mapping_lr_multiplier`, `label_layout`, and `c_dim` where the label
    layout keeps no class tensors.
    """
    tensors = _without_filters(tensors)
    channels = _channels(tensors, r"b(\d{1,5})\.conv0\.weight", axis=0)
    conv = _shape(tensors, "b4.conv.weight", 4)
    channels[4] = conv[0]
    colours = _shape(tensors, f"b{max(channels)}.fromrgb.weight", 4)[1]
    if colours != 3:
        raise Refused(f"its discriminator takes pictures of {colours} channel(s): only RGB networks are supported")
    config: dict[str, Any] = {
        "resolution": max(channels),
        "channels": channels,
        "architecture": _discriminator_architecture(tensors),
        "mbstd_channels": conv[1] - _shape(tensors, "b8.conv1.weight", 4)[0],
    }
    if "mapping.embed.weight" in tensors:
        mapping = _mapping_config(tensors, "embed", width="b4.out.weight")
        config.update(
            {key: mapping[key] for key in ("c_dim", "num_mapping_layers", "mapping_features", "embed_features")}
        )
        config["cmap_dim"] = _shape(tensors, "b4.out.weight", 2)[0]
    config.update(hints)
    return filled(Discriminator, config, tensors, origin)


@torch.no_grad()
def estimate_w_avg(G: Generator) -> int:
    """Set w_avg to the mean of w over seeded latents, and return how many (10,000, or fewer if the mapping is huge)."""
    sizes = [p.numel() for p in G.mapping.parameters()]
    samples = min(max(ESTIMATE_PRODUCTS // max(sum(sizes), 1), 16), W_AVG_SAMPLES)
    widest = max([G.z_dim, G.c_dim, G.w_dim, *(p.shape[0] for p in G.mapping.parameters())])
    batch = min(max(ESTIMATE_VALUES // widest, 1), 1000)
    generator = torch.Generator().manual_seed(W_AVG_SEED)
    total = torch.zeros([G.w_dim], dtype=torch.float64)
    for first in range(0, samples, batch):
        index = torch.arange(first, min(first + batch, samples))
        z = torch.randn([len(index), G.z_dim], generator=generator)
        c = torch.nn.functional.one_hot(index % G.c_dim, G.c_dim).float() if G.c_dim else None
        total += G.mapping.map(z, c).double().sum(dim=0)
    G.mapping.w_avg.copy_(total / samples)
    return samples


def _mapping_config(tensors: Mapping[str, Tensor], label_layout: str, width: str = "") -> dict[str, Any]:
    layers = sorted(int(m[1]) for key in tensors if (m := re.fullmatch(r"mapping\.fc(\d{1,5})\.weight", key, re.ASCII)))
    if layers != list(range(len(layers))):
        raise Refused(f"layers of its mapping network are missing: it has {layers[:20]}")
    config: dict[str, Any] = {"num_mapping_layers": len(layers)}
    embedded = 0
    if "mapping.embed.weight" in tensors:
        embedded, config["c_dim"] = _shape(tensors, "mapping.embed.weight", 2)
        config["embed_features"] = embedded
    out = _shape(tensors, width or "synthesis.b4.conv1.affine.weight", 2)[0 if width else 1]
    inputs = _shape(tensors, "mapping.fc0.weight", 2)[1] if layers else out
    config["z_dim"] = inputs - embedded
    hidden = {_shape(tensors, f"mapping.fc{i}.weight", 2)[0] for i in layers[:-1]}
    if len(hidden) > 1:
        raise Refused(f"its mapping network's hidden layers have different widths {sorted(hidden)}")
    config["mapping_features"] = hidden.pop() if hidden and hidden != {out} else None
    default = config["z_dim"] if label_layout == "matrix" else out
    config["embed_features"] = embedded if embedded not in (0, default) else None
    return config


def _channels(tensors: Mapping[str, Tensor], pattern: str, axis: int) -> dict[int, int]:
    found = {}
    for key in tensors:
        match = re.fullmatch(pattern, key, re.ASCII)
        if match:
            found[int(match[1])] = _shape(tensors, key, 4)[axis]
    if not found:
        raise Refused("it holds no StyleGAN2 network (no convolution layers were found)")
    top = max(found)
    wanted = [r for r in (2**k for k in range(2, MAX_RESOLUTION.bit_length())) if r <= top]
    if sorted({4, *found}) != wanted or top < 8:
        given = sorted(found)[:20]
        raise Refused(f"its layers have the resolutions {given}, expected a power of two with all below it")
    return found


def _generator_architecture(tensors: Mapping[str, Tensor], channels: Mapping[int, int]) -> str:
    if all(f"synthesis.b{r}.torgb.weight" in tensors for r in channels):
        return "skip"
    return "resnet" if any(key.endswith(".skip.weight") for key in tensors) else "orig"


def _discriminator_architecture(tensors: Mapping[str, Tensor]) -> str:
    if any(key.endswith(".skip.weight") for key in tensors):
        return "resnet"
    return "skip" if "b4.fromrgb.weight" in tensors else "orig"


def _without_filters(tensors: Tensors) -> Tensors:
    """Leave out the resampling filters, which must be the usual one."""
    usual = setup_filter(RESAMPLE_TAPS, separable=False)
    kept = {}
    for key, value in tensors.items():
        if not key.endswith(".resample_filter"):
            kept[key] = value
        elif value.shape != (4, 4) and value.shape != (4,):
            raise Refused(f"its resampling filter has {list(value.shape)} taps; only [1, 3, 3, 1] is supported")
        else:
            square = value.float() if value.ndim == 2 else torch.outer(value, value).float()
            if not torch.allclose(square, usual, atol=1e-5):
                raise Refused("its resampling filter is another than [1, 3, 3, 1]")
    return kept


def _add_noise(tensors: Tensors, channels: Mapping[int, int], origin: NetworkFile) -> None:
    """Without noise inputs: noise of strength 0. With strengths and without maps (old rosinality): maps are drawn."""
    layers = [(r, f"synthesis.b{r}.{conv}") for r in sorted(channels) for conv in ("conv0", "conv1")][1:]
    if not any(key.endswith("noise_strength") for key in tensors):
        for r, layer in layers:
            tensors[f"{layer}.noise_const"] = torch.zeros([r, r])
            tensors[f"{layer}.noise_strength"] = torch.zeros([])
    elif not any(key.endswith("noise_const") for key in tensors):
        generator = torch.Generator().manual_seed(NOISE_SEED)
        for r, layer in layers:
            tensors[f"{layer}.noise_const"] = torch.randn([r, r], generator=generator)
        origin.notes["noise_const"] = f"not in the file: drawn with seed {NOISE_SEED}"


def _shape(tensors: Mapping[str, Tensor], key: str, ndim: int) -> tuple[int, ...]:
    if key not in tensors:
        raise Refused(f"it holds no tensor {key}: not a complete StyleGAN2 network")
    shape = tuple(tensors[key].shape)
    if len(shape) != ndim:
        raise Refused(f"{key} has shape {list(shape)}, expected {ndim} dimensions")
    return shape
