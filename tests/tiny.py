"""Tiny networks: the one way in which tests build them."""

import torch

from src.networks import Discriminator, Generator

TINY_PX = 16


def make_tiny(seed=0, resolution=TINY_PX, *, c_dim=0, channel_base=128, channel_max=8, noise=0.1, **generator):
    """A generator and a discriminator with random weights; the global random state stays as it was.

    Args:
        seed: of the weights.
        resolution: px.
        c_dim: classes.
        channel_base: widths, as the networks take it.
        channel_max: likewise.
        noise: strength of the noise maps, which would have no effect in a fresh network.
        generator: other arguments of the generator; latents have 8 dimensions, the mapping 2 layers.

    Returns:
        (G, D).
    """
    size = {"resolution": resolution, "channel_base": channel_base, "channel_max": channel_max, "c_dim": c_dim}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = Generator(**{"z_dim": 8, "w_dim": 8, "num_mapping_layers": 2, **generator}, **size)
        D = Discriminator(**size)
    for name, parameter in G.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(noise)
    return G, D
