"""The native network file: safetensors, plus one JSON string in its header that holds everything else.

Tensor names are `G_ema.<state dict key>` (and `G.`, `D.` in a full file). The header names format version, architecture
and where the network comes from. Nothing in the file is ever executed.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from ..device import on_host
from ..errors import UserError
from ..files import atomic_write
from ..networks import Discriminator, Generator
from .errors import Refused, shown
from .network_file import PARTS, NetworkFile, Plan, filled

FORMAT_VERSION = 1
_HEADER_KEY = "caricature"


def save_network(
    path: str | Path,
    *,
    G_ema: Generator,
    G: Generator | None = None,
    D: Discriminator | None = None,
    meta: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a network file, whole or not at all, and return its path.

    Args:
        path: target; its folder is made.
        G_ema: averaged generator.
        G: generator in training, for a full file.
        D: discriminator, for a full file.
        meta: plain data for the header.
        dtype: of the stored tensors, `torch.float32` or `torch.float16`; see `stored`.

    Raises:
        UserError: when it cannot be written.
    """
    path = Path(path)
    modules: dict[str, nn.Module] = {"G_ema": G_ema}
    architecture: dict[str, Any] = {"G": _plain(G_ema.config)}
    if G is not None:
        modules["G"] = G
    if D is not None:
        modules["D"] = D
        architecture["D"] = _plain(D.config)
    states = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    tensors = {key: stored(value, dtype) for key, value in zip(states, on_host(list(states.values())), strict=True)}
    header = {**(meta or {}), "format_version": FORMAT_VERSION, "architecture": architecture}
    with atomic_write(path) as partial:
        partial.write_bytes(save(tensors, metadata={_HEADER_KEY: json.dumps(header, allow_nan=False)}))
    return path


def stored(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A copy for a file, on the processor; in full precision where its numbers are too large for `dtype`."""
    full = value.detach().to("cpu")
    copy = full.to(dtype, copy=True).contiguous()
    return full.clone().contiguous() if bool((torch.isinf(copy) & torch.isfinite(full)).any()) else copy


def read_meta(path: str | Path) -> dict[str, Any]:
    """Read the header of a native file without its tensors.

    Raises:
        UserError: when the file is missing, damaged, or not a native network.
    """
    with _open(Path(path)) as file:
        return _header(Path(path), file.metadata())


def read_native(origin: NetworkFile) -> Plan:
    """Plan the networks of a native file."""
    with _open(origin.path) as file:
        meta = _header(origin.path, file.metadata())
        names = list(file.keys())
    held = [part for part in PARTS if any(name.startswith(f"{part}.") for name in names)]
    try:
        configs = {name: _with_channels(meta["architecture"]["D" if name == "D" else "G"]) for name in held}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused("the architecture in its header is not one this version knows") from error
    parts = {name: partial(_network, name, config, origin) for name, config in configs.items()}
    return Plan(parts, {**meta, "format": "native"})


def _network(name: str, config: Mapping[str, Any], origin: NetworkFile) -> Any:
    prefix = f"{name}."
    try:
        with _open(origin.path) as file:
            keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 (not a mapping)
            tensors = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    except SafetensorError as error:
        raise Refused("its tensors cannot be read: was it copied in full?") from error
    if not all(tensor.is_floating_point() for tensor in tensors.values()):
        raise Refused("it holds tensors that are not of real numbers")
    kind: Any = Discriminator if name == "D" else Generator
    return filled(kind, config, tensors, origin)


def _open(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: no such network file")
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); was it copied in full?") from error


def _header(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    text = (metadata or {}).get(_HEADER_KEY)
    try:
        header = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise UserError(
            f"{path}: a safetensors file, but not a network of this project (its header has no description)"
        )
    if header.get("format_version") != FORMAT_VERSION:
        version = shown(header.get("format_version"))
        raise UserError(f"{path}: file format version {version}; this version of the program reads {FORMAT_VERSION}")
    return header


def _with_channels(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "channels": {int(r): int(c) for r, c in config["channels"].items()}}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: {str(r): c for r, c in v.items()} if isinstance(v, Mapping) else v for k, v in config.items()}
