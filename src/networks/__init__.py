"""StyleGAN2 networks (arXiv 1912.04958): nn.Modules and pure functions on them. Needs `ops` and torch alone."""

from .architecture import channels_per_resolution, resolutions_of
from .blend import blend, blend_networks, blend_weights
from .discriminator import Discriminator
from .generator import Generator
from .mapping import MappingNetwork
from .synthesis import SynthesisNetwork, SynthesisState

__all__ = [
    "Discriminator",
    "Generator",
    "MappingNetwork",
    "SynthesisNetwork",
    "SynthesisState",
    "blend",
    "blend_networks",
    "blend_weights",
    "channels_per_resolution",
    "resolutions_of",
]
