"""`load_network`: one door for every network, by path or by name."""

from pathlib import Path

import torch

from ..errors import UserError
from .catalog import catalog_names, find_entry
from .native import Networks, load_native
from .run_checkpoint import IN_RUN, SUFFIX, load_run_checkpoint

#: Networks shipped with the project, by name.
SHIPPED = {"demo": Path(__file__).parent / "demo.safetensors"}


def resolve_network(source: str | Path) -> Path:
    """Find the file behind a path, a run folder (its last checkpoint) or the name of a network.

    Names are those of shipped and of published networks; a published one is fetched when it is not there yet. A path
    that is called like one is written `./NAME`.

    Raises:
        UserError: when there is none, or it cannot be fetched.
    """
    entry = find_entry(str(source))
    if entry is not None:
        return entry.fetch()
    path = SHIPPED.get(str(source), Path(source))
    if path.is_dir():
        path /= IN_RUN
    if path.is_file():
        return path
    raise UserError(
        f"network {str(source)!r}: neither a file, nor a run folder with {IN_RUN}, nor the name of a "
        f"network ({', '.join([*SHIPPED, *catalog_names()])}); check the path"
    )


def load_network(source: str | Path, *, device: torch.device | str = "cpu") -> Networks:
    """Load a network, its architecture taken from the file.

    Args:
        source: path of a network file, of a run folder or its checkpoint, `"demo"`, or the name of a published network.
        device: where the tensors go.

    Returns:
        `Networks(G_ema, G | None, D | None, meta)`, in eval mode, without gradients.

    Raises:
        UserError: when the file is missing, damaged, of an unknown format, or its tensors do not match.
    """
    path = resolve_network(source)
    load = load_run_checkpoint if path.suffix == SUFFIX else load_native
    return load(path, device=device)
