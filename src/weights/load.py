"""`load_network`: one door for every network, by path or by name. The content tells the format, never the suffix."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import expanded
from .catalog import CatalogEntry, catalog_entry, catalog_names, check_architecture
from .errors import Damaged, Refused, shown
from .native import read_native
from .network_file import PARTS, NetworkFile, Networks, Plan, build
from .nvlabs import is_nvlabs, is_state_dict, read_nvlabs, read_state_dicts
from .rosinality import is_rosinality, read_rosinality
from .run_checkpoint import IN_RUN, is_run_checkpoint, read_run_checkpoint
from .standins import StandIn
from .tensorflow import is_tensorflow, read_tensorflow
from .torchfile import ZIP_MAGIC, forget_pages, is_legacy, open_buffer, read_legacy, read_pickle, read_zip

#: Networks shipped with the project, by name.
SHIPPED = {"demo": Path(__file__).parent / "demo.safetensors"}
KNOWN = (
    "this project's safetensors and runs, TensorFlow StyleGAN2(-ADA) pickles, stylegan2-ada-pytorch and stylegan3 "
    "pickles, and rosinality checkpoints"
)
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
#: What tells a format, and what reads it.
READERS: list[tuple[Callable[[Any], bool], Callable[[Any, NetworkFile], Plan]]] = [
    (is_tensorflow, read_tensorflow),
    (is_nvlabs, read_nvlabs),
    (is_state_dict, read_state_dicts),
    (is_rosinality, read_rosinality),
    (is_run_checkpoint, read_run_checkpoint),
]


def is_at_hand(source: str | Path, *, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> bool:
    """Whether the file behind a source lies there already, so that `resolve_network` neither fails nor fetches."""
    entry = catalog_entry(str(source))
    if entry is not None:
        return weights_folder.has(entry.file)
    return _path_of(source).is_file()


def resolve_network(source: str | Path, *, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> Path:
    """Find the file behind a path, a run folder (its last checkpoint) or the name of a network.

    Names are those of shipped and of published networks; a published one is fetched when it is not there yet. A path
    that is called like one is written `./NAME`.

    Raises:
        UserError: when there is none, or it cannot be fetched.
    """
    entry = catalog_entry(str(source))
    if entry is not None:
        return entry.fetch(weights_folder)
    path = _path_of(source)
    if path.is_file():
        return path
    raise UserError(
        f"network {str(source)!r}: neither a file, nor a run folder with {IN_RUN}, nor the name of a "
        f"network ({', '.join([*SHIPPED, *catalog_names()])}); check the path"
    )


def load_network(
    source: str | Path,
    *,
    device: torch.device | str = "cpu",
    parts: Collection[str] = PARTS,
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> Networks:
    """Load a network of any known format, its architecture taken from the file. Nothing in the file is executed.

    Args:
        source: path of a network file, of a run folder or its checkpoint, `"demo"`, or the name of a published network.
        device: where the tensors go.
        parts: which of `G_ema`, `G` and `D` to build, where the file has them; G_ema always is.
        weights_folder: where published networks lie and come from.

    Returns:
        `Networks(G_ema, G | None, D | None, meta)`, in eval mode, without gradients; `meta["format"]` names the format.

    Raises:
        UserError: when the file is missing, damaged, of an unknown format, holds something that this project cannot
            represent, its tensors do not match, or a published network is not the one that the catalogue describes.
    """
    entry = catalog_entry(str(source))
    if entry is not None:
        return _published(entry, device, parts, weights_folder)
    path = resolve_network(source)
    try:
        data = open_buffer(path)
        origin = NetworkFile.of(path, len(data))
        networks = build(_plan(data, origin), parts, lambda: forget_pages(data))
        networks.meta.update(origin.notes)
    except Refused as error:
        raise UserError(f"{path}: {error}") from error
    except UNFORESEEN as error:  # of a file that no test has thought of: still one line, still nothing executed
        raise UserError(
            f"{path}: damaged, or not a network file ({type(error).__name__}: {shown(str(error))})"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    for module in (networks.G_ema, networks.G, networks.D):
        if isinstance(module, nn.Module):
            module.to(device)
    return networks


def _path_of(source: str | Path) -> Path:
    """Where the file of an unpublished network would lie."""
    path = SHIPPED.get(str(source)) or expanded(source)
    return path / IN_RUN if path.is_dir() else path


def _published(
    entry: CatalogEntry, device: torch.device | str, parts: Collection[str], weights_folder: WeightsFolder
) -> Networks:
    """Load a published network; a file that is another is not remembered as the right one."""
    path = entry.fetch(weights_folder)
    try:
        networks = load_network(path, device=device, parts=parts)
        check_architecture(entry, networks.G_ema.config, networks.meta["format"])
    except UserError as error:
        if entry.file.sha256 is None:
            weights_folder.forget(entry.file)
        raise UserError(f"{error}; if {path} is not the right file delete it: it is fetched again") from error
    return networks


def _plan(data: memoryview, origin: NetworkFile) -> Plan:
    if _is_safetensors(data):
        return read_native(origin)
    value = _read(data)
    for belongs, read in READERS:
        if belongs(value):
            return read(value, origin)
    raise Refused(f"not a StyleGAN2 network file: it holds {_described(value)}; known are {KNOWN}")


def _read(data: memoryview) -> Any:
    if bytes(data[:4]) == ZIP_MAGIC:
        return read_zip(data)
    if is_legacy(data):
        return read_legacy(data)
    if data[0] == 0x80:  # a pickle of protocol 2 and up
        return read_pickle(data)
    if bytes(data[:1]) in b"(]}c":  # perhaps one of protocol 0 or 1
        with suppress(Damaged):
            return read_pickle(data)
    head = bytes(data[:512]).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        raise Refused("a web page instead of a network file: the download did not give the file")
    if head.startswith(b"version https://git-lfs"):
        raise Refused("a Git LFS pointer instead of the file itself: fetch it with git lfs pull")
    raise Refused(f"not a network file of a known format; known are {KNOWN}")


def _is_safetensors(data: memoryview) -> bool:
    return len(data) > 8 and data[8] == ord("{") and int.from_bytes(data[:8], "little") <= 100 << 20


def _described(value: Any) -> str:
    if isinstance(value, dict):
        names = [shown(key)[:30] for key in list(value)[:6]]
        return (
            f"a dictionary of {', '.join(names)}{', …' if len(value) > 6 else ''}" if names else "an empty dictionary"
        )
    return f"a {shown(value.kind)!r}" if isinstance(value, StandIn) else f"a {type(value).__name__}"
