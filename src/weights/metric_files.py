"""The weight files behind FID and LPIPS: where they are published, their sha256, reading their tensors.

FID numbers are comparable only between equal weights, so each file is pinned; the sha256 travels with every number.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..fetch.download import fetch_file
from ..fetch.remote import RemoteFile, settings
from .network_file import differences

#: The FID network of 2015-12-05, converted from TensorFlow's graph; one file under two names.
INCEPTION = RemoteFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    urls=(
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    ),
    licence="Apache-2.0",
    size=95_628_359,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
#: The same network as TorchScript. Nobody publishes its sha256, so the user has to give it (see `metrics.torchscript`).
INCEPTION_NVIDIA = RemoteFile(
    name="inception-2015-12-05.pt",
    urls=("https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",),
    licence="Apache-2.0 for the network, from TensorFlow; NVIDIA states none for its file",
)
#: ImageNet classification, from torchvision.
VGG16 = RemoteFile(
    name="vgg16-397923af.pth",
    urls=("https://download.pytorch.org/models/vgg16-397923af.pth",),
    licence="BSD-3-Clause (torchvision); trained on ImageNet",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)
#: LPIPS v0.1: weights of VGG16's channels, fitted to human judgements.
LPIPS_VGG = RemoteFile(
    name="lpips-v0.1-vgg.pth",
    urls=("https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/vgg.pth",),
    licence="BSD-2-Clause",
    size=7289,
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
)


def metric_file(file: RemoteFile) -> Path:
    """Fetch one of the files above.

    Raises:
        UserError: when it cannot be had; the message says which file to put where.
    """
    return fetch_file(file)


def is_on_disk(file: RemoteFile) -> bool:
    """Whether the file is there already, so that `metric_file` needs no network."""
    return (settings().folder / file.name).is_file()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a published state dict; nothing in the file is executed.

    Raises:
        UserError: when the file is no state dict.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{path} cannot be read as a state dict ({reason[0][:120]}): get the file again") from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path} is not a state dict (names to tensors): get the published file")
    return dict(state)


def load_matching(module: torch.nn.Module, state: Mapping[str, Tensor], path: Path, *, ignore: tuple[str, ...]) -> None:
    """Load a state dict into a module, every tensor of the right name and shape.

    Args:
        module: the network.
        state: tensors by name.
        path: their file, for the message.
        ignore: ends and beginnings of names that do not matter, on either side.

    Raises:
        UserError: listing the tensors that are missing, unexpected or of another shape.
    """

    def matters(name: str) -> bool:
        return not name.startswith(ignore) and not name.endswith(ignore)

    wanted = {k: v for k, v in module.state_dict().items() if matters(k)}
    given = {k: v for k, v in state.items() if matters(k)}
    wrong = differences(wanted, given)
    if wrong:
        more = f" and {len(wrong) - 6} more" if len(wrong) > 6 else ""
        raise UserError(f"{path} is not the expected network: {'; '.join(wrong[:6])}{more}; get the published file")
    module.load_state_dict({k: v.float() for k, v in given.items()}, strict=False)
