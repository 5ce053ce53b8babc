"""The native network file: safetensors, plus one JSON string in its header that holds everything else.

Tensor names are `G_ema.<state dict key>` (and `G.`, `D.` in a full file). The header names format version, architecture
and where the network comes from. Nothing in the file is ever executed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import UserError
from ..networks import Discriminator, Generator

FORMAT_VERSION = 1
_HEADER_KEY = "caricature"
_MAX_LISTED = 8


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


def load_native(path: str | Path, *, device: torch.device | str = "cpu") -> Networks:
    """Read a native file.

    Raises:
        UserError: as `read_meta`, and with the list of tensors when they do not match the named architecture.
    """
    path = Path(path)
    with _open(path) as file:
        meta = _header(path, file.metadata())
        tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a mapping)
    architecture = meta.get("architecture", {})
    try:
        generator_config = _with_channels(architecture["G"])
        networks = Networks(G_ema=Generator(**generator_config), meta=meta)
        if any(key.startswith("G.") for key in tensors):
            networks.G = Generator(**generator_config)
        if any(key.startswith("D.") for key in tensors):
            networks.D = Discriminator(**_with_channels(architecture["D"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: the architecture in its header is not one this version knows ({error})") from error
    for name in ("G_ema", "G", "D"):
        module = getattr(networks, name)
        if module is not None:
            fill(module, {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}, path)
            module.eval().requires_grad_(False).to(device)
    return networks


def fill(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Load tensors into a module, all of them and nothing else.

    Raises:
        UserError: naming the tensors that are missing, unexpected, or of another shape.
    """
    check_fit(module, tensors, source)
    module.load_state_dict(dict(tensors))


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Check that tensors are exactly a module's.

    Raises:
        UserError: naming the tensors that are missing, unexpected, or of another shape.
    """
    own = module.state_dict()
    wrong = [f"missing {key}" for key in own if key not in tensors]
    wrong += [f"unexpected {key}" for key in tensors if key not in own]
    wrong += [
        f"{key} is {list(tensors[key].shape)}, expected {list(value.shape)}"
        for key, value in own.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - _MAX_LISTED} more" if len(wrong) > _MAX_LISTED else ""
        listed = "; ".join(wrong[:_MAX_LISTED])
        raise UserError(f"{source}: its tensors do not match its architecture: {listed}{more}")


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
