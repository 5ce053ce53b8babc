"""Style codes in and out of files: this project's, and those of other projectors. Nothing in a file is executed.

Read are `.npy` (`[L, w_dim]` as project_images.py writes them, `[N, L, w_dim]`, `[N, 1, w_dim]`, or one w), NVIDIA's
`projected_w.npz`, rosinality's `.pt` (with its noise maps), and this project's `.safetensors` (codes with optimised
noise maps).
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import UserError
from ..files import atomic_write, expanded, save_array
from ..networks import Generator
from ..weights import ZIP_MAGIC, Refused, as_tensor, is_legacy, open_buffer, read_legacy, read_zip

SUFFIXES = (".safetensors", ".npy", ".npz", ".pt", ".pth")  # of one stem the first is read: it holds the most
_HEADER_KEY = "caricature_codes"
MAX_CODES = 10_000


@dataclass(frozen=True)
class Codes:
    """The codes of one picture."""

    name: str  # of the picture
    ws: Tensor  # `[L, w_dim]` float32
    noise: tuple[Tensor, ...] | None = None  # its own noise maps `[r, r]`, one a convolution, or None for the network's
    meta: Mapping[str, Any] = field(default_factory=dict)  # plain data from the file


def read_codes(path: str | Path, G: Generator) -> list[Codes]:
    """Read a file of codes for a network.

    Args:
        path: of the file; its suffix tells the format, see the head of this module.
        G: the network that is to render them.

    Returns:
        Codes of one or several pictures; where several have one name, all names are numbered.

    Raises:
        UserError: when the file cannot be read, or its codes or noise maps do not fit the network.
    """
    path = expanded(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file of codes")
    readers = {".npy": _read_npy, ".npz": _read_npz, ".pt": _read_torch, ".pth": _read_torch}
    readers[".safetensors"] = _read_safetensors
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: codes are read from {', '.join(SUFFIXES)}")
    try:
        entries = reader(path)
    except Refused as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    found = []
    for entry in entries:
        ws = _fitting(entry.ws, G, path)
        noise = None if entry.noise is None else _fitting_noise(entry.noise, G, path)
        found += [Codes(entry.name, w, noise, entry.meta) for w in ws]
    if len({codes.name for codes in found}) < len(found):
        found = [Codes(f"{c.name}-{i + 1:02d}", c.ws, c.noise, c.meta) for i, c in enumerate(found)]
    return found


def find_code_files(folder: str | Path) -> list[Path]:
    """Files of codes at a path: the file itself, or those in a folder; of one stem the one that holds the most.

    Where a `.npy` holds other codes than the `.safetensors` of its stem, somebody has edited it: it is taken, without
    noise maps, and a line says so. A UserError when there are none, or the folder cannot be read.
    """
    folder = expanded(folder)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"codes={folder}: no such file or folder")
    files: dict[str, dict[str, Path]] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"codes={folder}: cannot be read ({error.strerror or error})") from error
    for path in paths:
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            files.setdefault(path.stem, {}).setdefault(path.suffix.lower(), path)
    if not files:
        raise UserError(f"codes={folder}: no files of codes in it ({', '.join(SUFFIXES)})")
    return [_richest(files[stem]) for stem in sorted(files)]


def _richest(files: Mapping[str, Path]) -> Path:
    first = next(files[suffix] for suffix in SUFFIXES if suffix in files)
    npy = files.get(".npy")
    if npy is None or first.suffix.lower() != ".safetensors" or not _differ(npy, first):
        return first
    print(f"note       {npy}: other codes than in {first.name}: taken as edited, without that file's noise maps")
    return npy


def _differ(npy: Path, full: Path) -> bool:
    """Whether two files of codes hold different numbers; a file that cannot be read is no other codes."""
    try:
        (edited,) = _read_npy(npy)
        with safe_open(full, framework="pt", device="cpu") as file:
            written = file.get_tensor("ws").float()
    except (Refused, OSError, SafetensorError):
        return False
    return not torch.equal(edited.ws.reshape(-1), written.reshape(-1))


def save_codes(folder: str | Path, codes: Codes) -> Path:
    """Write `<name>.npy` (codes alone, as others read them) and `<name>.safetensors` (with noise maps and facts).

    Each is written whole or not at all, or a UserError says why; returned is the path of the latter.
    """
    ws = codes.ws.detach().cpu().float().contiguous()
    tensors = {"ws": ws}
    tensors |= {f"noise.{i:02d}": m.detach().cpu().float().contiguous() for i, m in enumerate(codes.noise or ())}
    target = Path(folder) / f"{codes.name}.safetensors"
    header = {_HEADER_KEY: json.dumps(dict(codes.meta), allow_nan=False)}
    try:
        save_array(target.with_name(f"{codes.name}.npy"), ws.numpy())
        with atomic_write(target) as partial:
            partial.write_bytes(save(tensors, metadata=header))
    except OSError as error:  # of the name itself, such as one that is too long
        raise UserError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target


def stacked(codes: Sequence[Codes], G: Generator) -> tuple[Tensor, str | list[Tensor]]:
    """Codes `[N, L, w_dim]` of several pictures and the `noise` that `G.synthesis` takes for them.

    A picture without noise maps of its own gets the network's.
    """
    device = G.mapping.w_avg.device
    ws = torch.stack([c.ws for c in codes]).to(device)
    if all(c.noise is None for c in codes):
        return ws, "const"
    own = [layer.noise_const for layer in G.synthesis.layers()]
    maps = []
    for i, const in enumerate(own):
        each = [const if c.noise is None else c.noise[i].to(device) for c in codes]
        maps.append(torch.stack(each)[:, None])
    return ws, maps


def _read_npy(path: Path) -> list[Codes]:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Refused("not a .npy file of numbers") from error
    if not isinstance(array, np.ndarray):
        raise Refused("an archive under the name of a .npy file")
    return [Codes(path.stem, _numbers(array))]


def _read_npz(path: Path) -> list[Codes]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if "w" not in file.files:
                raise Refused(f"an archive without w, which projector.py writes; it holds {', '.join(file.files[:6])}")
            return [Codes(path.stem, _numbers(file["w"]))]
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise Refused("not a .npz archive of numbers") from error


def _read_torch(path: Path) -> list[Codes]:
    data = open_buffer(path)
    if bytes(data[:4]) == ZIP_MAGIC:
        value = read_zip(data)
    elif is_legacy(data):
        value = read_legacy(data)
    else:
        raise Refused("not a file of torch.save")
    if not isinstance(value, Mapping):
        return [Codes(path.stem, as_tensor(value, "the file's content").clone())]
    if "latent" in value:
        return [_torch_entry(path.stem, value)]
    entries = [
        _torch_entry(Path(str(name)).stem, item)
        for name, item in value.items()
        if isinstance(item, Mapping) and "latent" in item
    ]
    if not entries:
        raise Refused("no picture with its latent in it, as rosinality's projector writes them")
    return entries


def _torch_entry(name: str, item: Mapping[str, Any]) -> Codes:
    noise = item.get("noise")
    maps = None
    if noise is not None:
        if not isinstance(noise, list | tuple):
            raise Refused("noise that is no list of maps")
        maps = tuple(as_tensor(m, f"noise map {i}").clone() for i, m in enumerate(noise))
    return Codes(name or "picture", as_tensor(item["latent"], "latent").clone(), maps)


def _read_safetensors(path: Path) -> list[Codes]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            keys = sorted(file.keys())
            text = (file.metadata() or {}).get(_HEADER_KEY)
            if "ws" not in keys:
                raise Refused("a safetensors file, but not one of codes (it has no ws)")
            maps = tuple(file.get_tensor(key) for key in keys if key.startswith("noise."))
            meta = json.loads(text) if text else {}
            return [Codes(path.stem, file.get_tensor("ws"), maps or None, meta)]
    except (SafetensorError, ValueError) as error:
        raise Refused(f"not a readable safetensors file ({error}); was it copied in full?") from error


def _numbers(array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "fiu":
        raise Refused(f"an array of {array.dtype}, not of numbers")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _fitting(ws: Tensor, G: Generator, path: Path) -> Tensor:
    """Codes as float32 `[N, L, w_dim]`."""
    ws = ws.float()
    given, layers, width = list(ws.shape), G.num_ws, G.w_dim
    if ws.ndim == 1:
        ws = ws[None, None]
    elif ws.ndim == 2:
        ws = ws[:, None] if len(ws) == 1 else ws[None]
    if ws.ndim == 3 and ws.shape[1] == 1 and ws.shape[2] == width:
        ws = ws.expand(-1, layers, -1)
    if ws.ndim != 3 or ws.shape[1:] != (layers, width) or not 0 < len(ws) <= MAX_CODES:
        raise UserError(_wrong_shape(given, G, path))
    if not torch.isfinite(ws).all():
        raise UserError(f"{path}: its codes are not finite numbers: the projection that made them failed")
    return ws.contiguous()


def _wrong_shape(given: list[int], G: Generator, path: Path) -> str:
    wanted = f"[{G.num_ws}, {G.w_dim}]"
    hint = ""
    if len(given) >= 2 and given[-1] == G.w_dim and given[-2] % 2 == 0 and 4 <= given[-2] <= 20:
        hint = f"; they are of a {2 ** (given[-2] // 2 + 1)} px network"
    if len(given) == 2 and given[1] == G.w_dim:
        many = f"{given[0]} pictures with one w each, which are to be saved as [{given[0]}, 1, {G.w_dim}]"
        hint = f"{hint}, or {many}" if hint else f"; they may be {many}"
    return f"{path}: codes of shape {given}; a {G.resolution} px network takes {wanted}{hint}"


def _fitting_noise(maps: Sequence[Tensor], G: Generator, path: Path) -> tuple[Tensor, ...]:
    sides = [layer.resolution for layer in G.synthesis.layers()]
    squares = [m.reshape(m.shape[-2:]) if m.ndim >= 2 and m.numel() == m.shape[-1] * m.shape[-2] else m for m in maps]
    if [list(m.shape) for m in squares] != [[s, s] for s in sides]:
        shapes = [list(m.shape) for m in maps][:3]
        raise UserError(
            f"{path}: its {len(maps)} noise maps ({shapes}, …) are not those of a {G.resolution} px network"
        )
    squares = [m.float().contiguous() for m in squares]
    if not all(torch.isfinite(m).all() for m in squares):
        raise UserError(f"{path}: its noise maps are not finite numbers: the projection that made them failed")
    return tuple(squares)
