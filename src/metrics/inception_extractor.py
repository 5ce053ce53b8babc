"""`inception`: features of the FID network, from the published state dict or from NVIDIA's TorchScript file.

The state dict is data: its tensors go into our own module. A TorchScript file is a program. It runs in TorchScript's
interpreter, which cannot reach Python but has operators that write files, and NVIDIA publishes no sha256 of its file;
so it is only run when the user names the sha256 of the file to trust. Its tensors alone would not do: their names and
order are NVIDIA's, and nothing here can check a mapping of them.
"""

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import file_sha256
from ..options import read
from ..weights import load_matching, read_state_dict
from . import published
from .inception import INPUT_PX, NUM_FEATURES, UNUSED_TENSORS, FidInception
from .network_extractor import NetworkExtractor
from .settings import MetricsSettings


def inception_extractor(
    network: Callable[[Tensor], Tensor], *, sha256: str, resizer: str, device: torch.device
) -> NetworkExtractor:
    """The extractor of a network, whichever file it comes from."""
    return NetworkExtractor("inception", "fid", network, NUM_FEATURES, sha256, resizer, device)


def load_inception(
    weights: str,
    weights_sha256: str | None,
    device: torch.device,
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> NetworkExtractor:
    """Load the extractor of `"published"` weights (state dict), or of `"nvidia"` ones (TorchScript, by its sha256)."""
    chosen = read(MetricsSettings, {"weights": weights, "weights_sha256": weights_sha256})
    if chosen.weights_sha256 is None:
        path = weights_folder.fetch(published.INCEPTION)
        network = FidInception()
        load_matching(network, read_state_dict(path), path, ignore=UNUSED_TENSORS)
        for parameter in network.parameters():
            if parameter.ndim == 4:  # channels last: a quarter faster on a processor, equal to 1e-5
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        network = network.eval().requires_grad_(False).to(device)
        sha256 = published.INCEPTION.sha256 or file_sha256(path)
        return inception_extractor(network, sha256=sha256, resizer=f"tf1-bilinear-{INPUT_PX}", device=device)
    return _load_torchscript(chosen.weights_sha256, device, weights_folder)


def _load_torchscript(sha256: str, device: torch.device, weights_folder: WeightsFolder) -> NetworkExtractor:
    path = weights_folder.fetch(dataclasses.replace(published.INCEPTION_NVIDIA, sha256=sha256.lower()))
    script = _read_torchscript(path, device)

    def network(images: Tensor) -> Tensor:
        features = script(images, return_features=True)
        if features.shape != (len(images), NUM_FEATURES):
            raise UserError(f"{path} gives {list(features.shape)} for {len(images)} pictures, not [N, {NUM_FEATURES}]")
        return features

    return inception_extractor(network, sha256=sha256.lower(), resizer="in-torchscript-file", device=device)


def _read_torchscript(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # the file is TorchScript, nothing to port
            script = torch.jit.load(str(path), map_location=device).eval()
        names = [argument.name for argument in script.forward.schema.arguments]
    except (OSError, RuntimeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is no TorchScript file that this torch reads: get the file again") from error
    if "return_features" not in names:
        raise UserError(f"{path} takes ({', '.join(names[1:])}), not (images, return_features): it is another network")
    return script
