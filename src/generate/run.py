"""`python generate.py`: from a plain configuration to pictures in a folder."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..data import save_png
from ..errors import UserError
from ..files import write_text
from ..networks import Generator
from ..ops import start_ops
from ..sweep.settings import torch_device
from ..weights import configure
from .codes import Codes, check_layers, read_codes, seed_codes, truncate
from .film import film_format, loop, write_film
from .numbers import numbers_text
from .settings import GenerateSettings, settings_of_config
from .sheet import check_size, make_sheet, render, save_sheet
from .which import choose_network, choose_pairs


@dataclass
class Job:
    """What a mode needs: checked settings, the network with its codes, and where pictures go.

    Attributes:
        G: network that renders; of pairs the base, whose mapping makes the codes.
        codes: as they are rendered, truncated.
        facts: written beside the result.
    """

    settings: GenerateSettings
    G: Generator
    codes: Codes
    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)

    def render(self, ws: Tensor, G: Generator | None = None) -> Iterator[Tensor]:
        """Render codes with a progress bar: chunks of uint8 `[n, 3, H, W]`."""
        with tqdm(total=len(ws), desc="rendering", unit="img", disable=None, leave=False) as bar:
            for images in render(G or self.G, ws, self.settings.noise):
                yield images
                bar.update(len(images))

    def pictures(self, ws: Tensor, G: Generator | None = None) -> Tensor:
        """Render codes: uint8 `[N, 3, H, W]`."""
        return torch.cat(list(self.render(ws, G)))

    def path(self, what: str, suffix: str) -> Path:
        """`grid-0-35-psi0.7.jpg`: what decides the pictures is in the name."""
        s = self.settings
        parts = [what, self.codes.text]
        parts += [f"psi{s.psi:g}"] if s.mode != "truncation" and (s.psi != 1 or s.codes is None) else []
        parts += [f"cutoff{s.cutoff}"] if s.cutoff is not None else []
        parts += ["class" + "_".join(map(str, s.classes[:8]))] if s.classes is not None else []
        parts += [f"noise-{s.noise}"] if s.noise != "const" else []
        return self.folder / f"{'-'.join(parts)}.{suffix}"

    def single(self, name: str, image: Tensor) -> None:
        """Write one picture `[3, H, W]` as a PNG of its own, when that is asked for."""
        if self.settings.singles:
            save_png(self.folder / "singles" / f"{name}.png", image.permute(1, 2, 0))

    def save_codes(self, codes: Codes | None = None) -> None:
        """Write codes, when that is asked for."""
        codes = codes or self.codes
        for name, ws in zip(codes.names, codes.ws.cpu().numpy(), strict=True):
            if self.settings.save_codes:
                _save_array(self.folder / "codes" / f"{name}.npy", ws)

    def finish(self, path: Path) -> Path:
        """Write what made a sheet or film beside it."""
        s = self.settings
        made = {"mode": s.mode, **self.facts, "psi": s.psi, "cutoff": s.cutoff, "noise": s.noise, "classes": s.classes}
        made |= {"codes": s.codes} if s.codes is not None else {"seeds": s.seeds}
        write_text(path.with_suffix(".json"), json.dumps(made, indent=2) + "\n")
        print(f"wrote      {path}")
        return path


def generate(config: Mapping[str, Any]) -> Path:
    """Render as `config` says.

    Args:
        config: plain nested mapping, as composed from `conf/generate.yaml`.

    Returns:
        The folder of the pictures.

    Raises:
        UserError: for everything that the user can put right; nothing is written before all is checked.
    """
    settings = settings_of_config(config)
    configure(**config["weights"])
    job = _open(settings)
    try:
        _MODES[settings.mode](job)
    except OSError as error:
        raise UserError(f"{job.folder}: cannot be written ({error.strerror or error})") from error
    print(f"pictures: {job.folder}")
    return job.folder


def _open(settings: GenerateSettings) -> Job:
    device = torch_device(settings.device)
    if settings.mode == "pairs":
        pairs = choose_pairs(settings, device)
        G, text, folder = pairs.base, pairs.text, pairs.folder / "pairs"
        facts: dict[str, Any] = {"pairs": pairs}
    else:
        chosen = choose_network(settings, device)
        G, text, folder, facts = chosen.G, chosen.text, chosen.folder, {}
    start_ops(device, G.resolution)
    codes = _codes(settings, G)
    if settings.out is not None:
        folder = Path(settings.out).expanduser()
        if folder.exists() and not folder.is_dir():
            raise UserError(f"out={settings.out}: is a file, give a folder")
    print(f"network    {text}")
    return Job(settings, G, codes, folder, {"network": text, **facts})


def _codes(settings: GenerateSettings, G: Generator) -> Codes:
    psi = 1.0 if settings.mode == "truncation" else settings.psi
    if settings.codes is None:
        check_layers(G, "cutoff", settings.cutoff, G.num_ws)
        return seed_codes(
            G, settings.seeds, psi=psi, cutoff=settings.cutoff if psi != 1 else None, classes=settings.classes
        )
    codes = read_codes(settings.codes, G)
    return Codes(codes.names, truncate(G, codes.ws, psi, settings.cutoff), codes.text)


def _grid(job: Job) -> None:
    s, n = job.settings, len(job.codes.names)
    columns = min(s.columns or math.ceil(math.sqrt(n)), n)
    check_size(-(-n // columns), columns, job.G.resolution, s.format)
    pictures = job.pictures(job.codes.ws)
    for name, picture in zip(job.codes.names, pictures, strict=True):
        job.single(name, picture)
    job.save_codes()
    job.finish(save_sheet(job.path("grid", s.format), make_sheet(pictures, columns)))


def _truncation(job: Job) -> None:
    s, n = job.settings, len(job.codes.names)
    check_size(len(s.rows_of_psi), n, job.G.resolution, s.format)
    rows = [job.pictures(truncate(job.G, job.codes.ws, psi, s.cutoff)) for psi in s.rows_of_psi]
    for psi, row in zip(s.rows_of_psi, rows, strict=True):
        for name, picture in zip(job.codes.names, row, strict=True):
            job.single(f"{name}-psi{psi:g}", picture)
    job.save_codes()
    job.facts["rows_of_psi"] = s.rows_of_psi
    sheet = make_sheet(torch.cat(rows), n, left=[f"psi {psi:g}" for psi in s.rows_of_psi])
    shown = "_".join(f"{psi:g}" for psi in s.rows_of_psi)
    job.finish(save_sheet(job.path(f"truncation{shown}", s.format), sheet))


def _mix(job: Job) -> None:
    s, G, rows = job.settings, job.G, job.codes
    layers = s.mix_layers or list(range(G.num_ws // 2, G.num_ws))
    check_layers(G, "mix.layers", max(layers), G.num_ws - 1)
    check_size(len(rows.names) + 1, len(s.mix_seeds) + 1, G.resolution, s.format)
    columns = seed_codes(G, s.mix_seeds, psi=s.psi, cutoff=s.cutoff if s.psi != 1 else None, classes=s.classes)
    blank = torch.full([1, 3, G.resolution, G.resolution], 255, dtype=torch.uint8)
    parts = [blank, job.pictures(columns.ws)]
    for name, code in zip(rows.names, rows.ws, strict=True):
        mixed = code.repeat(len(columns.names), 1, 1)
        mixed[:, layers] = columns.ws[:, layers]
        row = job.pictures(torch.cat([code[None], mixed]))
        parts.append(row)
        for other, picture in zip([None, *columns.names], row, strict=True):
            job.single(name if other is None else f"{name}-{other}", picture)
    for other, picture in zip(columns.names, parts[1], strict=True):
        job.single(other, picture)
    job.save_codes()
    job.save_codes(columns)
    job.facts |= {"mix": {"seeds": s.mix_seeds, "layers": layers}}
    shown = f"mix-{columns.text}-layers{numbers_text(layers)}-with"
    job.finish(save_sheet(job.path(shown, s.format), make_sheet(torch.cat(parts), len(columns.names) + 1)))


def _pairs(job: Job) -> None:
    s, pairs, n = job.settings, job.facts.pop("pairs"), len(job.codes.names)
    check_size(n, len(pairs.columns), job.G.resolution, s.format)
    shown = [job.pictures(job.codes.ws, column.load()) for column in pairs.columns]
    captions = [column.caption for column in pairs.columns]
    for caption, pictures in zip(captions, shown, strict=True):
        for name, picture in zip(job.codes.names, pictures, strict=True):
            job.single(f"{name}-{caption.replace(': ', '-').replace(' ', '')}", picture)
    job.save_codes()
    job.facts["columns"] = captions
    sheet = make_sheet(torch.stack(shown, dim=1).flatten(0, 1), len(captions), above=captions)
    job.finish(save_sheet(job.path(pairs.label, s.format), sheet))


def _film(job: Job) -> None:
    s = job.settings
    kind = film_format(s.film_format)
    if len(job.codes.names) < 2:
        raise UserError("a film passes through at least 2 codes: give more seeds or codes")
    path = job.path(f"film-{s.frames}x{s.fps:g}fps", kind)

    def frames() -> Iterator[np.ndarray]:
        number = 0
        for images in job.render(loop(job.codes.ws, s.frames)):
            for image in images:
                job.single(f"{path.stem}/{number:05d}", image)
                number += 1
                yield image.permute(1, 2, 0).numpy()

    write_film(path, frames(), s.fps)
    job.save_codes()
    job.facts["film"] = {"frames": s.frames, "fps": s.fps}
    job.finish(path)


_MODES = {"grid": _grid, "truncation": _truncation, "mix": _mix, "pairs": _pairs, "film": _film}


def _save_array(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.save(file, array)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
