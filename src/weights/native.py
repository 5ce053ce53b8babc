"""The native network file: safetensors, plus one JSON string in its header that holds everything else.

Tensor names are `G_ema.<state dict key>` (and `G.`, `D.` in a full file). The header names format version, architecture
and where the network comes from. Nothing in the file is ever executed.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..errors import UserError
from ..networks import Discriminator, Generator
from .plan import PARTS, Plan, filled

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
    """Write a network file, whole or not at all.

    Args:
        path: target; its folder is made.
        G_ema: averaged generator.
        G: generator in training, for a full file.
        D: discriminator, for a full file.
        meta: plain data for the header.
        dtype: of the stored tensors, `torch.float32` or `torch.float16`.

    Returns:
        The path written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    modules: dict[str, nn.Module] = {"G_ema": G_ema}
    architecture: dict[str, Any] = {"G": _plain(G_ema.config)}
    if G is not None:
        modules["G"] = G
    if D is not None:
        modules["D"] = D
        architecture["D"] = _plain(D.config)
    tensors = {
        f"{name}.{key}": value.detach().to("cpu", dtype).contiguous().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    header = {**(meta or {}), "format_version": FORMAT_VERSION, "architecture": architecture}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        save_file(tensors, partial, metadata={_HEADER_KEY: json.dumps(header, allow_nan=False)})
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_meta(path: str | Path) -> dict[str, Any]:
    """Read the header of a native file without its tensors.

    Raises:
        UserError: when the file is missing, damaged, or not a native network.
    """
    with _open(Path(path)) as file:
        return _header(Path(path), file.metadata())


def read_native(path: str | Path) -> Plan:
    """Plan the networks of a native file.

    Raises:
        UserError: as `read_meta`, and when the architecture in its header is not one that this version knows.
    """
    path = Path(path)
    with _open(path) as file:
        meta = _header(path, file.metadata())
        names = list(file.keys())
    architecture = meta.get("architecture", {})
    try:
        configs = {name: _with_channels(architecture["D" if name == "D" else "G"]) for name in _held(names)}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: the architecture in its header is not one this version knows ({error})") from error
    parts = {name: partial(_network, path, name, config) for name, config in configs.items()}
    return Plan(parts, {**meta, "format": "native"})


def _held(names: Collection[str]) -> list[str]:
    return [part for part in PARTS if any(name.startswith(f"{part}.") for name in names)]


def _network(path: Path, name: str, config: Mapping[str, Any]) -> Any:
    prefix = f"{name}."
    with _open(path) as file:
        keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 (not a mapping)
        tensors = {key.removeprefix(prefix): file.get_tensor(key).float() for key in keys}
    kind: Any = Discriminator if name == "D" else Generator
    return filled(kind, config, tensors, str(path))


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise UserError(
            f"{path}: a safetensors file, but not a network of this project (its header has no description)"
        )
    if header.get("format_version") != FORMAT_VERSION:
        version = header.get("format_version")
        raise UserError(f"{path}: file format version {version}; this version of the program reads {FORMAT_VERSION}")
    return header


def _with_channels(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "channels": {int(r): int(c) for r, c in config["channels"].items()}}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: {str(r): c for r, c in v.items()} if isinstance(v, Mapping) else v for k, v in config.items()}
