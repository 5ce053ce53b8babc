"""The networks inside of a run's checkpoint: what another run can start from without an export.

Read with `weights_only`: tensors and plain data, nothing in the file is executed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import UserError
from ..networks import Discriminator, Generator
from .native import Networks, fill

SUFFIX = ".ckpt"
IN_RUN = Path("checkpoints") / "last.ckpt"
#: Where a checkpoint keeps the networks' configurations, and the prefix of their tensors.
ARCHITECTURE, PREFIX = "networks", "step."


def load_run_checkpoint(path: Path, *, device: torch.device | str = "cpu") -> Networks:
    """Read G, D and G_ema from a checkpoint of `train.py`.

    Args:
        path: `runs/<name>/checkpoints/last.ckpt`.
        device: where the tensors go.

    Raises:
        UserError: when the file cannot be read or is not such a checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or foreign file provokes
        kind = type(error).__name__
        raise UserError(f"{path}: not a readable checkpoint ({kind}); was it copied in full?") from error
    if not isinstance(checkpoint, Mapping) or not {ARCHITECTURE, "state_dict", "nimg"} <= checkpoint.keys():
        raise UserError(f"{path}: not a checkpoint of train.py")
    configs: Mapping[str, Any] = checkpoint[ARCHITECTURE]
    try:
        networks = Networks(
            G_ema=Generator(**configs["G"]),
            G=Generator(**configs["G"]),
            D=Discriminator(**configs["D"]),
            meta={"nimg": checkpoint["nimg"], "kimg": checkpoint["nimg"] / 1000},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: its networks are not ones this version knows ({error})") from error
    modules: dict[str, nn.Module | None] = {"G_ema": networks.G_ema, "G": networks.G, "D": networks.D}
    for name, module in modules.items():
        assert module is not None
        prefix = f"{PREFIX}{name}."
        state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
        fill(module, state, path)
        module.eval().requires_grad_(False).to(device)
    return networks
