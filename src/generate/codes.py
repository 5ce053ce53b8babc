"""Style codes: of seeds, and of files that projectors write (this project's, NVIDIA's, rosinality's)."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.sources import natural_order
from ..errors import UserError
from ..networks import Generator
from ..weights.refused import Refused
from ..weights.tensors import as_tensor
from ..weights.torchfile import ZIP_MAGIC, is_legacy, open_buffer, read_legacy, read_zip
from .numbers import numbers_text, shortened

SUFFIXES = (".npy", ".npz", ".pt")
MAX_BYTES = 2**30
MAX_CODES = 10_000


@dataclass(frozen=True)
class Codes:
    """Style codes with names.

    Attributes:
        names: of each, usable as file names.
        ws: `[N, L, w_dim]` float32.
        text: short, for the name of a sheet.
    """

    names: list[str]
    ws: Tensor
    text: str


@torch.inference_mode()
def seed_codes(
    G: Generator, seeds: list[int], *, psi: float = 1.0, cutoff: int | None = None, classes: list[int] | None = None
) -> Codes:
    """Codes of seeds: seed i is the latent `numpy.random.RandomState(i).randn(1, z_dim)`, as in NVIDIA's scripts.

    Args:
        G: the network whose mapping is used.
        seeds: each up to 2³² - 1.
        psi: truncation.
        cutoff: truncate the first layers only; None for all.
        classes: of a conditional network, taking turns; None for all of them.

    Returns:
        Codes named `seed0007`.

    Raises:
        UserError: for classes or layers that the network does not have.
    """
    check_layers(G, "cutoff", cutoff, G.num_ws)
    device = G.mapping.w_avg.device
    z = np.concatenate([np.random.RandomState(seed).randn(1, G.z_dim) for seed in seeds])
    latents = torch.from_numpy(z.astype(np.float32)).to(device) if G.z_dim else None
    c = None
    if G.c_dim:
        turns = list(range(G.c_dim)) if classes is None else classes
        check_layers(G, "classes", max(turns), G.c_dim - 1)
        c = torch.eye(G.c_dim, device=device)[[turns[i % len(turns)] for i in range(len(seeds))]]
    elif classes is not None:
        raise UserError(f"classes={classes} has no effect: the network has no classes")
    ws = G.mapping(latents, c, psi=psi, cutoff=cutoff)
    return Codes([f"seed{seed:04d}" for seed in seeds], ws, numbers_text(seeds))


def truncate(G: Generator, ws: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """Codes `[N, L, w_dim]` moved towards the network's average: w_avg + psi · (w - w_avg)."""
    check_layers(G, "cutoff", cutoff, G.num_ws)
    if psi == 1:
        return ws
    layers = G.num_ws if cutoff is None else cutoff
    return torch.cat([G.mapping.w_avg.lerp(ws[:, :layers], psi), ws[:, layers:]], dim=1)


def check_layers(G: Generator, key: str, value: int | None, highest: int) -> None:
    """Refuse a number that is beyond the network's.

    Raises:
        UserError: naming the option.
    """
    if value is not None and value > highest:
        size = f"{G.num_ws} layers" + (f" and {G.c_dim} classes" if G.c_dim else "")
        raise UserError(f"{key}={value}: the network has {size}; {highest} is the highest")


def read_codes(path: str | Path, G: Generator) -> Codes:
    """Read codes of a file, or of all code files in a folder in natural order.

    Args:
        path: `.npy` (`[L, w]` or `[N, L, w]`), NVIDIA's `projected_w.npz` (`w`), rosinality's `.pt`; or a folder.
        G: the network that is to render them. One code for all layers (`[1, w]`, W space) is repeated.

    Returns:
        Codes named after their files.

    Raises:
        UserError: for a missing, damaged or other file, or codes of another network's shape.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        files = sorted((f for f in path.iterdir() if f.suffix in SUFFIXES), key=lambda f: natural_order(f.name))
        if not files:
            raise UserError(f"codes={path}: no codes in it ({', '.join(SUFFIXES)})")
    elif path.is_file():
        files = [path]
    else:
        raise UserError(f"codes={path}: no such file or folder")
    names: list[str] = []
    parts: list[Tensor] = []
    for file in files:
        for name, codes in _read(file):
            ws = _fitted(file, codes, G)
            names += [name] if len(ws) == 1 else [f"{name}-{i:03d}" for i in range(len(ws))]
            parts.append(ws)
            if len(names) > MAX_CODES:
                raise UserError(f"codes={path}: more than {MAX_CODES} codes; give a part of them")
    _check_names(path, names)
    text = shortened(path.stem or path.resolve().name, len(names))
    return Codes(names, torch.cat(parts).to(G.mapping.w_avg.device), text)


def _read(file: Path) -> list[tuple[str, np.ndarray]]:
    """Names and arrays in one file."""
    try:
        if file.suffix == ".pt":
            return _read_torch(file)
        if file.suffix == ".npz":
            return [(file.stem, _read_npz(file))]
        if file.suffix == ".npy":
            with open(file, "rb") as opened:
                return [(file.stem, np.lib.format.read_array(opened, allow_pickle=False))]
    except Refused as error:
        raise UserError(f"{file}: {error}") from error
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise UserError(f"{file}: not a file of codes, or cut short; was it copied in full?") from error
    raise UserError(f"{file}: codes are read from {', '.join(SUFFIXES)}")


def _read_npz(file: Path) -> np.ndarray:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if "w.npy" not in names:
            shown = ", ".join(ascii(n)[1:-1] for n in names[:4]) or "nothing"
            raise Refused(f"holds {shown}; a projection has its codes under w")
        if archive.getinfo("w.npy").file_size > MAX_BYTES:
            raise Refused(f"codes of more than {MAX_BYTES >> 20} MB")
        with archive.open("w.npy") as opened:
            return np.lib.format.read_array(opened, allow_pickle=False)


def _read_torch(file: Path) -> list[tuple[str, np.ndarray]]:
    """Codes of rosinality's projector: `{picture: {"img", "latent", "noise"}}`. Nothing in the file is executed."""
    data = open_buffer(file)
    if bytes(data[:4]) == ZIP_MAGIC:
        value = read_zip(data)
    elif is_legacy(data):
        value = read_legacy(data)
    else:
        raise Refused("not a file of torch.save")
    found: list[tuple[str, np.ndarray]] = []
    noise = False
    for key, entry in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(entry, Mapping) or "latent" not in entry:
            continue
        noise = noise or bool(entry.get("noise"))
        found.append((Path(_text(key)).stem or file.stem, as_tensor(entry["latent"], "latent").numpy().copy()))
    if not found:
        raise Refused("not a projection: rosinality's hold a latent for each picture")
    if noise:
        print(f"note       {file.name}: its noise maps are not used, only its codes")
    return found


def _fitted(file: Path, codes: np.ndarray, G: Generator) -> Tensor:
    """Codes as `[N, L, w_dim]` float32."""
    shape = list(codes.shape)
    if codes.dtype.kind != "f":
        raise UserError(f"{file}: holds {codes.dtype} {shape}, codes are floats")
    if codes.ndim == 1:
        codes = codes[None]
    if codes.ndim == 2:
        codes = codes[None]
    if codes.ndim == 3 and codes.shape[1] == 1 and len(codes):
        codes = codes.repeat(G.num_ws, axis=1)
    if codes.ndim != 3 or not len(codes) or codes.shape[1:] != (G.num_ws, G.w_dim):
        raise UserError(
            f"{file}: codes of shape {shape}; this network takes [{G.num_ws}, {G.w_dim}] or [N, …] of these"
        )
    ws = torch.from_numpy(np.ascontiguousarray(codes, np.float32))
    if not torch.isfinite(ws).all():
        raise UserError(f"{file}: holds codes that are not finite numbers")
    return ws


def _check_names(path: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UserError(f"codes={path}: two codes are called {twice}; rename one file")


def _text(key: Any) -> str:
    text = str(key) if isinstance(key, str | int) else "code"
    return "".join(ch if ch.isprintable() and ch not in '\\:*?"<>|\0' else "_" for ch in text)[-200:]
