"""The device that a script computes on."""

import torch

from .errors import UserError


def torch_device(name: str) -> torch.device:
    """The device of the option `device`.

    Args:
        name: `"auto"` (CUDA where there is a device), `"cpu"`, `"cuda"` or `"cuda:1"`.

    Raises:
        UserError: when it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"device={name}: choose auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device={name}: choose auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device={name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device
