"""From what a file holds to networks: what a reader promises, and how it is built, checked and filled."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..networks import Discriminator, Generator
from ..networks.layers import RESAMPLE_TAPS
from ..ops import setup_filter
from .refused import Refused

PARTS = ("G_ema", "G", "D")
MAX_LISTED = 8
Network = TypeVar("Network", Generator, Discriminator)


@dataclass
class Networks:
    """What a network file holds.

    Attributes:
        G_ema: the averaged generator, the one to render with.
        G: the generator in training, or None in a light file.
        D: the discriminator, or None in a light file.
        meta: header facts: `format_version`, `kimg`, `dataset`, `parent`, … (plain data).
    """

    G_ema: Generator
    G: Generator | None = None
    D: Discriminator | None = None
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass
class Plan:
    """What a file holds, before it is built.

    Attributes:
        parts: makes `G_ema`, and `G` and `D` where the file has them.
        meta: facts about the file; building may add to them.
    """

    parts: Mapping[str, Callable[[], Any]]
    meta: dict[str, Any]


def build(plan: Plan, wanted: Collection[str], release: Callable[[], None]) -> Networks:
    """Build the networks of a file one after the other.

    Args:
        plan: made by a reader.
        wanted: which of `G_ema`, `G`, `D`; G_ema is always built.
        release: called after each, to give back memory of the file.

    Raises:
        Refused: without G_ema, or when they do not belong together.
        UserError: with the tensors that do not match.
    """
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
        raise Refused(f"its generator makes {G_ema.resolution} px pictures, its discriminator takes {D.resolution} px")
    return Networks(G_ema=G_ema, G=G, D=D, meta=plan.meta)


def filled(kind: type[Network], config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str) -> Network:
    """Build a network and fill it; shapes that do not fit are refused before any memory is taken.

    Raises:
        Refused: when there is no such network.
        UserError: with the tensors that do not match.
    """
    try:
        with torch.device("meta"):
            sketch = kind(**config)
    except (ValueError, TypeError, RuntimeError) as error:
        raise Refused(f"its architecture cannot be built ({str(error).splitlines()[0]})") from error
    check_fit(sketch, tensors, source)
    network = sketch.to_empty(device="cpu")
    network.load_state_dict(dict(tensors))
    for module in network.modules():
        if "resample_filter" in dict(module.named_buffers(recurse=False)):  # not part of the state dict
            module.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS), persistent=False)
    return network.eval().requires_grad_(False)


def differences(module: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """In what tensors differ from a module's state dict, in names and shapes; empty when they fit."""
    own = module.state_dict()
    wrong = [f"missing {key}" for key in own if key not in tensors]
    wrong += [f"unexpected {key}" for key in tensors if key not in own]
    wrong += [
        f"{key} is {list(tensors[key].shape)}, expected {list(value.shape)}"
        for key, value in own.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    return wrong


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Check that tensors are exactly a module's.

    Raises:
        UserError: naming the tensors that are missing, unexpected, or of another shape.
    """
    wrong = differences(module, tensors)
    if wrong:
        more = f" and {len(wrong) - MAX_LISTED} more" if len(wrong) > MAX_LISTED else ""
        listed = "; ".join(wrong[:MAX_LISTED])
        raise UserError(f"{source}: its tensors do not match its architecture: {listed}{more}")
