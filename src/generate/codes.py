"""Style codes: of seeds, and of files that projectors write (this project's, NVIDIA's, rosinality's)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data import natural_order
from ..errors import UserError
from ..networks import Generator
from ..projection import MAX_CODES, Codes as PictureCodes, find_code_files, read_codes as read_code_file
from .seed_ranges import numbers_text, shortened


@dataclass(frozen=True)
class Codes:
    """Style codes with names."""

    names: list[str]  # of each, usable as file names
    ws: Tensor  # `[N, L, w_dim]` float32
    text: str  # short, for the name of a sheet


@torch.inference_mode()
def seed_codes(
    G: Generator, seeds: list[int], *, psi: float = 1.0, cutoff: int | None = None, classes: list[int] | None = None
) -> Codes:
    """Codes of seeds: seed i is the latent `numpy.random.RandomState(i).randn(1, z_dim)`, as in NVIDIA's scripts.

    Seeds are up to 2³² - 1, and name the codes `seed0007`. `cutoff` truncates the first layers only, None all;
    `classes` of a conditional network take turns, None for all of them.
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
    """Refuse a number that is beyond the network's."""
    if value is not None and value > highest:
        size = f"{G.num_ws} layers" + (f" and {G.c_dim} classes" if G.c_dim else "")
        raise UserError(f"{key}={value}: the network has {size}; {highest} is the highest")


def read_codes(path: str | Path, G: Generator) -> Codes:
    """Read codes of a file, or of all code files in a folder in natural order, named after their files.

    Noise maps that a file has are left out, with a note.
    """
    path = Path(path)
    found: list[PictureCodes] = []
    for file in sorted(find_code_files(path), key=lambda f: natural_order(f.name)):
        found += read_code_file(file, G)
        if len(found) > MAX_CODES:
            raise UserError(f"codes={path}: more than {MAX_CODES} codes; give a part of them")
    if any(codes.noise is not None for codes in found):
        print(f"note       {path}: noise maps beside the codes are not used here")
    names = [codes.name for codes in found]
    _check_names(path, names)
    text = shortened(_name(path), len(names))
    return Codes(names, torch.stack([codes.ws for codes in found]).to(G.mapping.w_avg.device), text)


def _name(path: Path) -> str:
    """What a file or folder of codes is called; a folder that is called just `codes` after the one that it lies in."""
    whole = path.resolve()
    if not whole.is_dir():
        return path.stem
    return f"{whole.parent.name}-codes" if whole.name == "codes" else whole.name


def _check_names(path: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UserError(f"codes={path}: two codes are called {twice}; rename one file")
