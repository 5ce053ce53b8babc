"""The arguments that a TensorFlow network was built with: what they may be, and reading them."""

from typing import Any

import numpy as np

from .errors import Refused, shown
from .standins import StandIn
from .tensors import Array

MIN_VERSION = 4
FUNCTIONS = {
    "G_main", "G_mapping", "G_synthesis", "G_synthesis_stylegan2", "G_synthesis_stylegan_revised",
    "D_main", "D_stylegan", "D_stylegan2",
}  # fmt: skip
#: Arguments that change the mathematics in ways that these networks do not have, with the only value read.
FIXED: dict[str, Any] = {
    "num_channels": 3,
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "use_wscale": True,
    "use_attention": False,
    "use_spectral_norm": False,
    "use_pagan": False,
    "adaptive_dropout": 0,
    "score_max": 1,
    "resample_kernel": [1, 3, 3, 1],
    "mapping_func": "G_mapping",
    "fmap_const": None,
}
#: Arguments that the tensors tell as well, that are read below, or that matter in training alone.
KNOWN = {
    "architecture", "augment_strength", "components", "conditioning", "conv_clamp", "dlatent_avg_beta",
    "dlatent_broadcast", "dlatent_size", "dtype", "fmap_base", "fmap_decay", "fmap_max", "fmap_min",
    "force_clean_graph", "freeze_layers", "fused_modconv", "is_template_graph", "is_training", "is_validation",
    "label_fmaps", "label_size", "latent_size", "mapping_fmaps", "mapping_layers", "mapping_lrmul",
    "mbstd_group_size", "mbstd_num_features", "min_h", "min_w", "num_fp16_res", "pagan_fade", "pagan_num",
    "randomize_noise", "res_log2", "resolution", "return_dlatents", "score_size", "structure", "style_mixing_prob",
    "synthesis_func", "truncation_cutoff", "truncation_cutoff_val", "truncation_psi", "truncation_psi_val",
    "use_noise", "w_avg_beta",
}  # fmt: skip


def check_function(network: StandIn) -> None:
    """Check that a network was built by one of StyleGAN2's functions."""
    version, function = network.state.get("version"), network.state.get("build_func_name")
    if type(version) is not int or version < MIN_VERSION or not isinstance(function, str) or function not in FUNCTIONS:
        by = f"version {shown(version)}, built by {shown(function)}"
        raise Refused(f"a TensorFlow network of {by}: StyleGAN1 and others than StyleGAN2 are not supported")


def check_arguments(network: StandIn) -> None:
    """Check that nothing among the arguments changes the mathematics in a way that is not read."""
    arguments = arguments_of(network)
    for key, given in arguments.items():
        value = _plain(given)
        if key in FIXED and not _equal(value, FIXED[key]):
            raise Refused(f"it was built with {key}={_shown(value)}; only {key}={FIXED[key]} is supported")
        if key not in FIXED and key not in KNOWN:
            raise Refused(f"it was built with {shown(key)}={_shown(value)}, which this version does not know")
    for key in ("min_h", "min_w"):
        if _plain(arguments.get(key, 4)) != 4:
            sides = "x".join(_shown(_plain(arguments.get(side, 4))) for side in ("min_h", "min_w"))
            raise Refused(f"a non-square network, or one that begins at {sides}: only 4x4 is supported")


def arguments_of(network: StandIn) -> dict[str, Any]:
    """The arguments that were passed explicitly: all others have the functions' defaults."""
    arguments = network.state.get("static_kwargs", {})
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        raise Refused("a TensorFlow network with damaged arguments")
    return arguments


def number_of(network: StandIn, name: str, default: float | None) -> float | None:
    """A number among the arguments; None where that was given."""
    value = _plain(arguments_of(network).get(name, default))
    if value is not None and type(value) not in (int, float):
        raise Refused(f"it was built with {name}={_shown(value)}, which is no number")
    return value


def _plain(value: Any) -> Any:
    """Numpy's numbers and arrays as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Array):
        array = value.numpy()
        return array.tolist() if array.size <= 16 else value
    return list(value) if isinstance(value, tuple) else value


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(_equal, value, wanted))
    if type(value) not in (bool, int, float, str, type(None)):
        return False
    return bool(value == wanted)


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) <= 8:
        return f"[{', '.join(shown(v) for v in value)}]"
    return shown(value)
