"""The networks inside of a run's checkpoint: what another run can start from without an export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..networks import Discriminator, Generator
from .native import Networks, fill
from .tensors import View, as_tensor

FORMAT = "run checkpoint"
IN_RUN = Path("checkpoints") / "last.ckpt"
#: Where a checkpoint keeps the networks' configurations, and the prefix of their tensors.
ARCHITECTURE, PREFIX = "networks", "step."


def is_run_checkpoint(value: Any) -> bool:
    """Whether a value read from a file is a checkpoint of `train.py`."""
    return isinstance(value, Mapping) and {ARCHITECTURE, "state_dict", "nimg"} <= value.keys()


def read_run_checkpoint(checkpoint: Mapping[str, Any], source: str) -> Networks:
    """Build G, D and G_ema of a checkpoint.

    Raises:
        UserError: when the checkpoint is damaged, or with the tensors that do not match.
    """
    configs, state = checkpoint[ARCHITECTURE], checkpoint["state_dict"]
    try:
        nimg = int(checkpoint["nimg"])
        networks = Networks(
            G_ema=Generator(**configs["G"]),
            G=Generator(**configs["G"]),
            D=Discriminator(**configs["D"]),
            meta={"format": FORMAT, "nimg": nimg, "kimg": nimg / 1000},
        )
        tensors = {str(key): as_tensor(value, str(key)) for key, value in state.items() if isinstance(value, View)}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{source}: its networks are not ones this version knows ({error})") from error
    for name in ("G_ema", "G", "D"):
        prefix = f"{PREFIX}{name}."
        module = getattr(networks, name)
        fill(module, {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}, source)
        module.eval().requires_grad_(False)
    return networks
