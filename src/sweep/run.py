"""A sweep in three steps: `open_sweep` once, `score_snapshot` for each snapshot (a job), `finish_sweep` once.

The sweep's folder holds everything that the steps hand each other, so jobs may run in other processes, and a sweep that
is run again computes only what is missing.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from ..data import image_grid, save_jpeg
from ..errors import UserError
from ..metrics import BandFeatures, band_features, get_extractor
from ..networks import Generator
from ..tracking import read_rows
from ..weights import file_sha256, load_network
from .cells import common_codes, render, render_snapshot
from .grid import BlendSettings, Snapshot, blend_settings, find_run, find_snapshots, load_base
from .kinship import kinship

PICTURES_SHOWN, PICTURE_COLUMNS = 16, 8


@dataclass(frozen=True)
class Sweep:
    """An open sweep.

    Attributes:
        folder: `runs/<run>/sweeps/<name>`.
        run_dir: the run.
        config: plain configuration.
        base: original network.
        settings: blend settings.
        snapshots: the snapshots to score.
        protocol: what decides a cell's numbers besides snapshot and resolution; cells of another one are made again.
    """

    folder: Path
    run_dir: Path
    config: Mapping[str, Any]
    base: Generator
    settings: BlendSettings
    snapshots: list[Snapshot]
    protocol: dict[str, Any]

    def cell_key(self, snapshot: Snapshot, resolution: int) -> str:
        """Identity of a cell: protocol, snapshot file, resolution."""
        facts = [self.protocol, snapshot.name, file_sha256(snapshot.path), resolution]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def codes(self) -> Tensor:
        """The common codes `[N, L, w_dim]`."""
        config = self.config
        return common_codes(self.base, int(config["num_latents"]), float(config["psi"]), int(config["seed"]))


def open_sweep(config: Mapping[str, Any]) -> Sweep:
    """Check the configuration against the run and open the sweep's folder.

    Raises:
        UserError: for everything that cannot be, before anything is computed.
    """
    if int(config["num_latents"]) < 16:
        raise UserError(f"num_latents={config['num_latents']}: at least 16 codes are needed to compare blends")
    if not 0 < float(config["alpha"]) < 1:
        raise UserError(f"alpha={config['alpha']}: must lie between 0 (rendering alone) and 1 (structure alone)")
    run_dir = find_run(config["run"], Path(config["paths"]["runs"]))
    snapshots = find_snapshots(run_dir, config["snapshot"])
    base = load_base(run_dir, config["base"])
    settings = blend_settings(config["blend"], base)
    name = config["name"] or settings.name
    folder = run_dir / "sweeps" / str(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
    protocol = {
        "extractor": "bands",
        "n_latents": int(config["num_latents"]),
        "psi": float(config["psi"]),
        "seed": int(config["seed"]),
        "direction": settings.direction,
        "level": settings.level,
        "width": settings.width,
        "base": _digest(base),
    }
    return Sweep(folder, run_dir, config, base, settings, snapshots, protocol)


def prepare(sweep: Sweep) -> None:
    """Make what all jobs share: the original network's pictures as features."""
    path = sweep.folder / "features" / f"base-{_short(sweep.protocol)}.npz"
    if not path.exists():
        pictures = render(sweep.base, sweep.codes())
        save_features(path, pictures)
        save_jpeg(sweep.folder / "cells" / "base.jpg", image_grid(pictures[:PICTURES_SHOWN], PICTURE_COLUMNS))


def missing_cells(sweep: Sweep, snapshot: Snapshot) -> list[int]:
    """Resolutions of a snapshot that are not scored yet."""
    done = {row["key"] for row in read_rows(sweep.folder / "cells.jsonl")}
    return [r for r in sweep.settings.resolutions if sweep.cell_key(snapshot, r) not in done]


def score_snapshot(sweep: Sweep, snapshot: Snapshot) -> int:
    """Render and measure the missing cells of one snapshot; a row is written as each is ready.

    Returns:
        How many cells were new.

    Raises:
        UserError: when the snapshot does not belong with the base network.
    """
    missing = missing_cells(sweep, snapshot)
    if not missing:
        return 0
    G = load_network(snapshot.path).G_ema
    settings = BlendSettings(tuple(missing), sweep.settings.direction, sweep.settings.level, sweep.settings.width)
    ws = sweep.codes()
    if ws.shape[1:] != (G.num_ws, G.w_dim):
        raise UserError(f"{snapshot.path}: not fine-tuned from the base network (its codes are {G.num_ws} x {G.w_dim})")
    pictures = render_snapshot(G, sweep.base, ws, settings)
    save_features(sweep.folder / "features" / f"{snapshot.name}-{_short(sweep.protocol)}.npz", pictures.finetuned)
    save_jpeg(
        sweep.folder / "cells" / f"{snapshot.name}.jpg", image_grid(pictures.finetuned[:PICTURES_SHOWN], PICTURE_COLUMNS)
    )
    relation = kinship(sweep.base, G)
    for r in missing:
        key = sweep.cell_key(snapshot, r)
        save_features(sweep.folder / "features" / f"{key}.npz", pictures.blended[r])
        picture = Path("cells") / f"{snapshot.name}-res{r:03d}.jpg"
        save_jpeg(sweep.folder / picture, image_grid(pictures.blended[r][:PICTURES_SHOWN], PICTURE_COLUMNS))
        row = {
            "label": f"{snapshot.name}/{r}",
            "snapshot": snapshot.name,
            "kimg": snapshot.kimg,
            "resolution": r,
            "level": settings.level,
            "width": settings.width,
            "direction": settings.direction,
            "s": None,
            "r": None,
            "cari": None,
            "share": None,
            "eligible": None,
            "gates": {},
            "kinship": relation,
            "picture": str(picture),
            "protocol": sweep.protocol,
            "key": key,
        }
        append_row(sweep.folder / "cells.jsonl", row)
    return len(missing)


def current_rows(sweep: Sweep) -> list[dict[str, Any]]:
    """The rows of this sweep's cells, in the order of the grid."""
    rows = {row["key"]: row for row in read_rows(sweep.folder / "cells.jsonl")}
    keys = [sweep.cell_key(s, r) for s in sweep.snapshots for r in sweep.settings.resolutions]
    return [rows[key] for key in keys if key in rows]


def load_features(path: Path) -> tuple[BandFeatures, Tensor]:
    """Band features and embedded features of a set of pictures, as `save_features` wrote them."""
    with np.load(path) as file:
        return BandFeatures(low=file["low"], high=file["high"]), torch.from_numpy(file["embedded"])


def save_features(path: Path, pictures: Tensor) -> None:
    """Compute the features of pictures and write them, whole or not at all."""
    bands = band_features(pictures)
    embedded = get_extractor("embedded")(pictures).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial.npz")
    try:
        np.savez_compressed(partial, low=bands.low, high=bands.high, embedded=embedded)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def base_features_path(sweep: Sweep) -> Path:
    """Where `prepare` put the original network's features."""
    return sweep.folder / "features" / f"base-{_short(sweep.protocol)}.npz"


def finetuned_features_path(sweep: Sweep, snapshot: Snapshot) -> Path:
    """Where `score_snapshot` put the un-blended snapshot's features."""
    return sweep.folder / "features" / f"{snapshot.name}-{_short(sweep.protocol)}.npz"


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON line in a single write, so that rows of parallel jobs do not mix."""
    with open(path, "a") as file:
        file.write(json.dumps(row) + "\n")


def _short(protocol: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:8]


def _digest(G: Generator) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(G.state_dict().items()):
        digest.update(key.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
