"""`load_network`: one door for every network, by path or by name."""

from pathlib import Path

import torch

from ..errors import UserError
from .native import Networks, load_native

#: Networks shipped with the project, by name.
SHIPPED = {"demo": Path(__file__).parent / "demo.safetensors"}


def resolve_network(source: str | Path) -> Path:
    """Find the file behind a path or the name of a shipped network.

    Raises:
        UserError: when there is neither.
    """
    path = SHIPPED.get(str(source), Path(source))
    if path.is_file():
        return path
    raise UserError(
        f"network {str(source)!r}: neither a file nor a shipped network ({', '.join(SHIPPED)}); check the path"
    )


def load_network(source: str | Path, *, device: torch.device | str = "cpu") -> Networks:
    """Load a network, its architecture taken from the file.

    Args:
        source: path of a network file, or `"demo"`.
        device: where the tensors go.

    Returns:
        `Networks(G_ema, G | None, D | None, meta)`, in eval mode, without gradients.

    Raises:
        UserError: when the file is missing, damaged, of an unknown format, or its tensors do not match.
    """
    return load_native(resolve_network(source), device=device)
