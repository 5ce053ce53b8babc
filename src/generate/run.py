"""`python generate.py`: from a plain configuration to pictures in a folder."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..device import torch_device
from ..errors import UserError
from ..networks import Generator
from ..ops import start_ops
from .codes import Codes, check_layers, read_codes, seed_codes, truncate
from .film import film_format, loop, write_film
from .job import Job, digest_of_network
from .networks import Column, choose_network, choose_pairs
from .seed_ranges import numbers_text
from .settings import GenerateSettings, settings_of_config
from .sheet import check_size, make_sheet, save_sheet


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
    job = _open(settings)
    try:
        _MODES[settings.mode](job)
    except OSError as error:
        raise UserError(f"{job.folder}: cannot be written ({error.strerror or error})") from error
    print(f"wrote      {job.path}")
    print(f"pictures: {job.folder}")
    return job.folder


def _open(settings: GenerateSettings) -> Job:
    device = torch_device(settings.device)
    if settings.mode == "pairs":
        pairs = choose_pairs(settings, device)
        G, text, folder, name = pairs.base, pairs.text, pairs.folder / "pairs", pairs.folder.parent.resolve().name
        facts: dict[str, Any] = {"pairs": pairs}
    else:
        chosen = choose_network(settings, device)
        G, text, folder, name, facts = chosen.G, chosen.text, chosen.folder, chosen.folder.name, {}
    start_ops(device, G.resolution)
    codes = _codes(settings, G)
    if settings.out is not None:
        folder = Path(settings.out)
        if folder.exists() and not folder.is_dir():
            raise UserError(f"out={settings.out}: is a file, give a folder")
    print(f"network    {text}")
    return Job(settings, G, codes, folder, name, {"network": text, "network_sha256": digest_of_network(G), **facts})


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
    path = job.start("grid", s.format, columns=columns)
    pictures = job.pictures(job.codes.ws)
    for name, picture in zip(job.codes.names, pictures, strict=True):
        job.single(name, picture)
    job.save_codes()
    save_sheet(path, make_sheet(pictures, columns))


def _truncation(job: Job) -> None:
    s, n = job.settings, len(job.codes.names)
    check_size(len(s.rows_of_psi), n, job.G.resolution, s.format)
    shown = "_".join(f"{psi:g}" for psi in s.rows_of_psi)
    path = job.start(f"truncation{shown}", s.format, rows_of_psi=s.rows_of_psi)
    rows = [job.pictures(truncate(job.G, job.codes.ws, psi, s.cutoff)) for psi in s.rows_of_psi]
    for psi, row in zip(s.rows_of_psi, rows, strict=True):
        for name, picture in zip(job.codes.names, row, strict=True):
            job.single(f"{name}-psi{psi:g}", picture)
    job.save_codes()
    sheet = make_sheet(torch.cat(rows), n, left=[f"psi {psi:g}" for psi in s.rows_of_psi])
    save_sheet(path, sheet)


def _mix(job: Job) -> None:
    s, G, rows = job.settings, job.G, job.codes
    layers = s.mix_layers or list(range(G.num_ws // 2, G.num_ws))
    check_layers(G, "mix.layers", max(layers), G.num_ws - 1)
    check_size(len(rows.names) + 1, len(s.mix_seeds) + 1, G.resolution, s.format)
    columns = seed_codes(G, s.mix_seeds, psi=s.psi, cutoff=s.cutoff if s.psi != 1 else None, classes=s.classes)
    columns = replace(columns, names=[f"column-{name}" if name in rows.names else name for name in columns.names])
    shown = f"mix-{columns.text}-layers{numbers_text(layers)}-with"
    path = job.start(shown, s.format, mix={"seeds": s.mix_seeds, "layers": layers})
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
    save_sheet(path, make_sheet(torch.cat(parts), len(columns.names) + 1))


def _pairs(job: Job) -> None:
    s, pairs, n = job.settings, job.facts.pop("pairs"), len(job.codes.names)
    check_size(n, len(pairs.columns), job.G.resolution, s.format)
    captions = [column.caption for column in pairs.columns]

    def rendered(column: Column) -> tuple[torch.Tensor, str]:
        G = column.load()
        return job.pictures(job.codes.ws, G), digest_of_network(G)

    shown, digests = zip(*map(rendered, pairs.columns), strict=True)
    path = job.start(pairs.label, s.format, columns=captions, columns_sha256=digests)
    for caption, pictures in zip(captions, shown, strict=True):
        for name, picture in zip(job.codes.names, pictures, strict=True):
            job.single(f"{name}-{caption.replace(': ', '-').replace(' ', '')}", picture)
    job.save_codes()
    sheet = make_sheet(torch.stack(shown, dim=1).flatten(0, 1), len(captions), above=captions)
    save_sheet(path, sheet)


def _film(job: Job) -> None:
    s = job.settings
    kind = film_format(s.film_format)
    if len(job.codes.names) < 2:
        raise UserError("a film passes through at least 2 codes: give more seeds or codes")
    path = job.start(f"film-{s.frames}x{s.fps:g}fps", kind, film={"frames": s.frames, "fps": s.fps})

    def frames() -> Iterator[np.ndarray]:
        number = 0
        for images in job.render(loop(job.codes.ws, s.frames)):
            for image in images:
                job.single(f"{number:05d}", image)
                number += 1
                yield image.permute(1, 2, 0).numpy()

    write_film(path, frames(), s.fps, len(job.codes.names) * s.frames)
    job.save_codes()


_MODES = {"grid": _grid, "truncation": _truncation, "mix": _mix, "pairs": _pairs, "film": _film}
