"""`python generate.py`: from a plain configuration to pictures in a folder."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..device import torch_device
from ..errors import UserError
from ..networks import Generator
from ..ops import start_ops
from ..options import read
from .codes import Codes, check_layers, read_codes, seed_codes, truncate
from .film import film_format, loop, write_film
from .job import Job, digest_of_network
from .networks import Column, choose_blends, choose_network, choose_pairs
from .seed_ranges import numbers_text
from .settings import FPS, GenerateSettings
from .sheet import check_size, make_sheet

ROWS_OF_PSI, MIX_SEEDS, FRAMES = (0.0, 0.25, 0.5, 0.75, 1.0), list(range(100, 106)), 24
BLENDS_PX = 128  # of a picture in the table of blends, at least


def generate(config: Mapping[str, Any]) -> Path:
    """Render as a plain mapping composed from `conf/generate.yaml` says; returns the folder of the pictures.

    A UserError for everything that the user can put right; nothing is written before all is checked.
    """
    settings = read(GenerateSettings, config)
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
    chosen = _CHOOSERS.get(settings.mode, choose_network)(settings, device)
    start_ops(device, chosen.G.resolution)
    codes = _codes(settings, chosen.G)
    if settings.out is not None and settings.out.exists() and not settings.out.is_dir():
        raise settings.wrong("out", "is a file, give a folder")
    print(f"network    {chosen.text}")
    facts = {"network": chosen.text, "network_sha256": digest_of_network(chosen.G)}
    return Job(settings, chosen, codes, settings.out or chosen.folder, facts)


def _codes(settings: GenerateSettings, G: Generator) -> Codes:
    psi = 1.0 if settings.mode == "truncation" else settings.used_psi
    if settings.codes is None:
        check_layers(G, "cutoff", settings.cutoff, G.num_ws)
        return seed_codes(
            G, settings.used_seeds, psi=psi, cutoff=settings.cutoff if psi != 1 else None, classes=settings.classes
        )
    codes = read_codes(settings.codes, G)
    return Codes(codes.names, truncate(G, codes.ws, psi, settings.cutoff), codes.text)


def _grid(job: Job) -> None:
    s, n = job.settings, len(job.codes.names)
    columns = min(s.grid.columns or math.ceil(math.sqrt(n)), n)
    check_size(-(-n // columns), columns, job.G.resolution, s.suffix)
    pictures = job.pictures(job.codes.ws)
    job.sheet("grid", make_sheet(pictures, columns), columns=columns)
    for name, picture in zip(job.codes.names, pictures, strict=True):
        job.single(name, picture)
    job.save_codes()


def _truncation(job: Job) -> None:
    s, n = job.settings, len(job.codes.names)
    values = s.truncation.psi or ROWS_OF_PSI
    check_size(len(values), n, job.G.resolution, s.suffix)
    shown = "_".join(f"{psi:g}" for psi in values)
    rows = [job.pictures(truncate(job.G, job.codes.ws, psi, s.cutoff)) for psi in values]
    sheet = make_sheet(torch.cat(rows), n, left=[f"psi {psi:g}" for psi in values])
    job.sheet(f"truncation{shown}", sheet, rows_of_psi=values)
    for psi, row in zip(values, rows, strict=True):
        for name, picture in zip(job.codes.names, row, strict=True):
            job.single(f"{name}-psi{psi:g}", picture)
    job.save_codes()


def _mix(job: Job) -> None:
    s, G, rows = job.settings, job.G, job.codes
    seeds, psi = s.mix.seeds or MIX_SEEDS, s.used_psi
    layers = s.mix.layers or list(range(G.num_ws // 2, G.num_ws))
    check_layers(G, "mix.layers", max(layers), G.num_ws - 1)
    check_size(len(rows.names) + 1, len(seeds) + 1, G.resolution, s.suffix)
    columns = seed_codes(G, seeds, psi=psi, cutoff=s.cutoff if psi != 1 else None, classes=s.classes)
    columns = replace(columns, names=[f"column-{name}" if name in rows.names else name for name in columns.names])
    shown = f"mix-{columns.text}-layers{numbers_text(layers)}-with"
    blank = torch.full([1, 3, G.resolution, G.resolution], 255, dtype=torch.uint8)
    top, parts = job.pictures(columns.ws), []
    for code in rows.ws:
        mixed = code.repeat(len(columns.names), 1, 1)
        mixed[:, layers] = columns.ws[:, layers]
        parts.append(job.pictures(torch.cat([code[None], mixed])))
    sheet = make_sheet(torch.cat([blank, top, *parts]), len(columns.names) + 1)
    job.sheet(shown, sheet, mix={"seeds": seeds, "layers": layers})
    for column, picture in zip(columns.names, top, strict=True):
        job.single(column, picture)
    for name, row in zip(rows.names, parts, strict=True):
        for other, picture in zip([None, *columns.names], row, strict=True):
            job.single(name if other is None else f"{name}-{other}", picture)
    job.save_codes()
    job.save_codes(columns)


def _pairs(job: Job) -> None:
    s, columns, n = job.settings, job.chosen.columns, len(job.codes.names)
    check_size(n, len(columns), job.G.resolution, s.suffix)
    captions = [caption for caption, _ in columns]

    def rendered(column: Column) -> tuple[torch.Tensor, str]:
        G = column[1]()
        return job.pictures(job.codes.ws, G), digest_of_network(G)

    shown, digests = zip(*map(rendered, columns), strict=True)
    sheet = make_sheet(torch.stack(shown, dim=1).flatten(0, 1), len(captions), above=captions)
    job.sheet(job.chosen.label, sheet, columns=captions, columns_sha256=digests)
    for caption, pictures in zip(captions, shown, strict=True):
        for name, picture in zip(job.codes.names, pictures, strict=True):
            job.single(f"{name}-{caption.replace(': ', '-').replace(' ', '')}", picture)
    job.save_codes()


def _blends(job: Job) -> None:
    s, chosen, n = job.settings, job.chosen, len(job.codes.names)
    captions = ["original", *(caption for caption, _ in chosen.columns[1:])]
    rows = [*(f"{recipe.resolution}" for recipe in chosen.recipes), "unblended"]
    zoom = max(BLENDS_PX // job.G.resolution, 1)
    check_size(n * len(rows), len(captions), zoom * job.G.resolution, s.suffix)
    original = job.pictures(job.codes.ws)
    columns, digests = [torch.stack([original, *[torch.full_like(original, 255)] * (len(rows) - 1)])], []
    for _, load in chosen.columns[1:]:
        G = load()
        digests.append(digest_of_network(G))
        blended = [job.pictures(job.codes.ws, recipe.blend(G, job.G)) for recipe in chosen.recipes]
        columns.append(torch.stack([*blended, job.pictures(job.codes.ws, G)]))
    pictures = torch.stack(columns, dim=2)  # [rows, codes, columns, 3, H, W]
    large = pictures.transpose(0, 1).flatten(0, 2).repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)
    framed = [(code * len(rows) + row, column) for row, column in chosen.recommended for code in range(n)]
    sheet = make_sheet(large, len(captions), above=captions, left=rows * n, framed=framed)
    recommended = [(rows[row], captions[column]) for row, column in chosen.recommended]
    job.sheet(chosen.label, sheet, columns=captions, rows=rows, recommended=recommended, columns_sha256=digests)
    for k, name in enumerate(job.codes.names):
        job.single(f"{name}-original", original[k])
        for (i, row), (j, caption) in product(enumerate(rows), enumerate(captions[1:], 1)):
            job.single(f"{name}-{row}-{caption.replace(' ', '')}", pictures[i, k, j])
    job.save_codes()


def _film(job: Job) -> None:
    s = job.settings
    kind, count, fps = film_format(s.film.format), s.film.frames or FRAMES, s.film.fps or FPS
    if len(job.codes.names) < 2:
        raise UserError("a film passes through at least 2 codes: give more seeds or codes")
    path = job.start(f"film-{count}x{fps:g}fps", kind, film={"frames": count, "fps": fps})

    def frames() -> Iterator[np.ndarray]:
        number = 0
        for images in job.render(loop(job.codes.ws, count)):
            for image in images:
                job.single(f"{number:05d}", image)
                number += 1
                yield image.permute(1, 2, 0).numpy()

    with job.streamed_singles():
        write_film(path, frames(), fps, len(job.codes.names) * count)
    job.record()
    job.save_codes()


_MODES = {"grid": _grid, "truncation": _truncation, "mix": _mix, "pairs": _pairs, "blends": _blends, "film": _film}
_CHOOSERS = {"pairs": choose_pairs, "blends": choose_blends}
