"""StyleGAN2 networks (arXiv 1912.04958): nn.Modules and pure functions on them. Needs `ops` and torch alone."""

from .architecture import channels_per_resolution, resolutions_of
from .blend import blend, blend_weights, mix_networks
from .discriminator import Discriminator
from .generator import Generator
from .kinship import UNRELATED, kinship
from .layers import RESAMPLE_TAPS, Conv2dLayer, FullyConnectedLayer
from .mapping import MappingNetwork
from .precision import FP32, NAMES, TF32, Precision, choose_precision, computing_in, regularizer_precision, slow_format
from .synthesis import SynthesisNetwork, SynthesisState
from .synthesis_layers import SkipLayer, SynthesisLayer, ToRGBLayer

__all__ = [
    "FP32",
    "NAMES",
    "RESAMPLE_TAPS",
    "TF32",
    "UNRELATED",
    "Conv2dLayer",
    "Discriminator",
    "FullyConnectedLayer",
    "Generator",
    "MappingNetwork",
    "Precision",
    "SkipLayer",
    "SynthesisLayer",
    "SynthesisNetwork",
    "SynthesisState",
    "ToRGBLayer",
    "blend",
    "blend_weights",
    "channels_per_resolution",
    "choose_precision",
    "computing_in",
    "kinship",
    "mix_networks",
    "regularizer_precision",
    "resolutions_of",
    "slow_format",
]
