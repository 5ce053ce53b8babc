"""From what a file holds to networks: what a reader promises, and how it is built, checked and filled."""

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..networks import RESAMPLE_TAPS, Discriminator, Generator
from ..ops import setup_filter
from .errors import Refused, shown

PARTS = ("G_ema", "G", "D")
MAX_LISTED = 8
MEMORY_PER_BYTE, FREE_MEMORY = 4, 64 << 20
MAX_WIDTH, MAX_RESOLUTION = 1 << 16, 1 << 11
#: Smallest and largest value of what is not simply a width.
LIMITS = {
    "resolution": (8, MAX_RESOLUTION),
    "c_dim": (0, MAX_WIDTH),
    "num_mapping_layers": (0, 64),
    "mbstd_group_size": (1, MAX_WIDTH),
    "mbstd_channels": (0, MAX_WIDTH),
}
OPTIONAL = ("conv_clamp", "mapping_features", "embed_features", "cmap_dim", "mbstd_group_size")
Network = TypeVar("Network", Generator, Discriminator)


@dataclass
class Networks:
    """What a network file holds."""

    G_ema: Generator  # the averaged generator, the one to render with
    G: Generator | None = None  # the generator in training, or None in a light file
    D: Discriminator | None = None  # the discriminator, or None in a light file
    # header facts: `format_version`, `kimg`, `dataset`, `parent`, … (plain data)
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass
class Plan:
    """What a file holds, before it is built."""

    parts: Mapping[str, Callable[[], Any]]  # makes `G_ema`, and `G` and `D` where the file has them
    meta: dict[str, Any]  # facts about the file; building may add to them


def build(plan: Plan, wanted: Collection[str], release: Callable[[], None]) -> Networks:
    """Build the networks of a file one after the other, G_ema and those `wanted`; `release` gives memory back."""
    if "G_ema" not in plan.parts:
        raise Refused("it holds no averaged generator (G_ema)")
    parts: dict[str, Any] = {}
    for name in PARTS:
        if name in plan.parts and (name in wanted or name == "G_ema"):
            parts[name] = plan.parts[name]()
            release()
    G_ema, G, D = parts["G_ema"], parts.get("G"), parts.get("D")
    if G is not None and G.config != G_ema.config:
        raise Refused("its two generators have different architectures")
    if D is not None and (D.resolution, D.c_dim) != (G_ema.resolution, G_ema.c_dim):
        raise Refused(
            f"its generator ({G_ema.resolution} px, {G_ema.c_dim} classes) and discriminator ({D.resolution} px, "
            f"{D.c_dim} classes) do not belong together"
        )
    return Networks(G_ema=G_ema, G=G, D=D, meta=plan.meta)


@dataclass
class NetworkFile:
    """The file that networks come from, and how much memory they may take."""

    path: Path  # for messages
    left: int  # bytes; a few times the file's size, so that a small file cannot ask for a large network
    notes: dict[str, str] = field(default_factory=dict)  # what was made up because the file does not have it

    @classmethod
    def of(cls, path: Path, num_bytes: int) -> "NetworkFile":
        """The origin of a file of that size."""
        return cls(path, MEMORY_PER_BYTE * num_bytes + FREE_MEMORY)

    def reserve(self, module: nn.Module) -> None:
        """Take the memory of a network."""
        self.left -= 4 * sum(value.numel() for value in module.state_dict().values())
        if self.left < 0:
            raise Refused("its networks would be many times larger than the file: not a network file")


def filled(
    kind: type[Network], config: Mapping[str, Any], tensors: Mapping[str, Tensor], origin: NetworkFile
) -> Network:
    """Build a network and fill it; what does not fit is refused before the network's memory is taken."""
    check_config(kind, config)
    try:
        with torch.device("meta"):
            sketch = kind(**config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise Refused(f"its architecture cannot be built ({shown(str(error))})") from error
    wrong = differences(sketch.state_dict(), tensors)
    if wrong:
        more = f" and {len(wrong) - MAX_LISTED} more" if len(wrong) > MAX_LISTED else ""
        raise Refused(f"its tensors do not match its architecture: {'; '.join(wrong[:MAX_LISTED])}{more}")
    if broken := not_finite(tensors):
        what = "discriminator" if kind is Discriminator else "generator"
        raise Refused(f"its {what} is not finite: {broken}; take a file of before its training failed")
    origin.reserve(sketch)
    network = sketch.to_empty(device="cpu")
    network.load_state_dict(dict(tensors))
    for module in network.modules():
        if "resample_filter" in dict(module.named_buffers(recurse=False)):  # not part of the state dict
            module.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS), persistent=False)
    return network.eval().requires_grad_(False)


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name the first tensor that holds nan or inf, and how many others do; None when all are finite."""
    broken = [name for name, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if not broken:
        return None
    kinds = "nan" if bool(torch.isnan(tensors[broken[0]]).any()) else "inf"
    return f"{broken[0]} holds {kinds}" + (f", and so do {len(broken) - 1} other tensors" if len(broken) > 1 else "")


def check_config(kind: type[nn.Module], config: Mapping[str, Any]) -> None:
    """Check a configuration that came from a file: known names, plain values, sizes within reason."""
    known = inspect.signature(kind.__init__).parameters
    for key, value in config.items():
        if key not in known:
            raise Refused(f"its architecture has {shown(key)}, which this version does not know")
        if key == "channels":
            good = isinstance(value, dict) and all(
                _whole(r, 4, MAX_RESOLUTION) and _whole(c, 1) for r, c in value.items()
            )
        elif key in OPTIONAL and value is None:
            good = True
        elif key in ("conv_clamp", "mapping_lr_multiplier"):
            good = type(value) in (int, float) and 0 < value < math.inf
        elif key in ("architecture", "label_layout"):
            good = isinstance(value, str)
        else:
            good = _whole(value, *LIMITS.get(key, (1, MAX_WIDTH)))
        if not good:
            raise Refused(f"its architecture has {key}={shown(value)}, which cannot be")
    maps, channels = config.get("mbstd_channels", 1), config["channels"]
    if maps and kind is Discriminator and channels.get(4, 0) % maps:
        raise Refused(f"its minibatch standard deviation has {maps} maps of {channels.get(4)} features")


def _whole(value: Any, low: int, high: int = MAX_WIDTH) -> bool:
    return type(value) is int and low <= value <= high


def differences(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    """In what tensors differ from a module's own, in names and shapes; empty when they fit."""
    wrong = [f"missing {key}" for key in own if key not in tensors]
    wrong += [f"unexpected {shown(key)}" for key in tensors if key not in own]
    wrong += [
        f"{key} is {list(tensors[key].shape)}, expected {list(value.shape)}"
        for key, value in own.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    return wrong
