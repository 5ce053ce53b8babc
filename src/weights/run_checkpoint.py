"""The networks inside of a run's checkpoint: what another run can start from without an export."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..networks import Discriminator, Generator
from .errors import Refused
from .network_file import NetworkFile, Plan, filled
from .tensors import View, as_tensor

FORMAT = "run checkpoint"
IN_RUN = Path("checkpoints") / "last.ckpt"
#: Where a checkpoint keeps the networks' configurations, and the prefix of their tensors.
ARCHITECTURE, PREFIX = "networks", "step."


def is_run_checkpoint(value: Any) -> bool:
    """Whether a value read from a file is a checkpoint of `train.py`."""
    return isinstance(value, Mapping) and {ARCHITECTURE, "state_dict", "nimg"} <= value.keys()


def read_run_checkpoint(checkpoint: Mapping[str, Any], origin: NetworkFile) -> Plan:
    """Plan G, D and G_ema of a checkpoint."""
    try:
        nimg, state = int(checkpoint["nimg"]), dict(checkpoint["state_dict"])
        configs = {name: dict(checkpoint[ARCHITECTURE][name]) for name in ("G", "D")}
        channels = [config["channels"] for config in configs.values()]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Refused("a damaged checkpoint of a run") from error
    if not all(isinstance(table, dict) for table in channels):
        raise Refused("a damaged checkpoint of a run")
    kinds: dict[str, tuple[Any, str]] = {"G_ema": (Generator, "G"), "G": (Generator, "G"), "D": (Discriminator, "D")}
    parts = {
        name: partial(_network, kind, configs[config], state, f"{PREFIX}{name}.", origin)
        for name, (kind, config) in kinds.items()
    }
    return Plan(parts, {"format": FORMAT, "nimg": nimg, "kimg": nimg / 1000})


def _network(kind: Any, config: Mapping[str, Any], state: Mapping[str, Any], prefix: str, origin: NetworkFile) -> Any:
    tensors = {
        key.removeprefix(prefix): as_tensor(value, key)
        for key, value in state.items()
        if isinstance(value, View) and isinstance(key, str) and key.startswith(prefix)
    }
    return filled(kind, config, tensors, origin)
