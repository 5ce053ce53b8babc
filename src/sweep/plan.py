"""What a sweep is to do: the run, its snapshots and settings, and the name that each cell's features have."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ..clicks import read_enough_clicks
from ..device import float32_format, torch_device
from ..errors import UserError
from ..files import read_json
from ..metrics import MIN_PX
from ..networks import Generator, Precision, choose_precision
from ..ops import start_ops
from ..options import read
from ..runs import Base, Recipe, Snapshot, check_family, find_base, find_run, find_snapshots, recipes_of
from .features import SCORE_VERSION
from .pictures import common_codes
from .references import SweepReferences
from .settings import SweepSettings
from .table import CellTable

LATENTS_CPU, LATENTS_GPU = 256, 512


@dataclass(frozen=True)
class Sweep:
    """An open sweep.

    Attributes:
        folder: `runs/<run>/sweeps/<name>`.
        run_dir: the run.
        settings: what was asked for.
        base: the network that the run was fine-tuned from.
        snapshots: to score, by kimg.
        recipes: of the blends by resolution, increasing.
        precision: in which networks render.
        protocol: what decides a cell's pictures besides snapshot and resolution, and how they are measured.
    """

    folder: Path
    run_dir: Path
    settings: SweepSettings
    base: Base
    snapshots: list[Snapshot]
    recipes: dict[int, Recipe]
    precision: Precision
    protocol: dict[str, Any]

    @property
    def table(self) -> CellTable:
        """The folder's rows."""
        return CellTable(self.folder)

    def rows(self) -> dict[str, dict[str, Any]]:
        """The finished cells of the grid by key."""
        return self.table.rows(self.keys())

    @property
    def base_key(self) -> str:
        """Name of the references' features, the base network's pictures among them."""
        return f"base-{_hash(self.protocol)}"

    @cached_property
    def references(self) -> SweepReferences:
        """What the cells are measured against, as `run.prepare` wrote it."""
        return SweepReferences.load(self.table.features_path(self.base_key))

    def unblended_key(self, snapshot: Snapshot) -> str:
        """Name of the un-blended snapshot's features."""
        return f"{snapshot.name}-{self._hash(snapshot)}"

    def cell_key(self, snapshot: Snapshot, resolution: int) -> str:
        """Name of a cell's features, and its identity: protocol, references, snapshot file, resolution."""
        return f"{cell_name(snapshot, resolution)}-{self._hash(snapshot, resolution)}"

    def _hash(self, snapshot: Snapshot, *more: int) -> str:
        return _hash([self.protocol, self.references.facts["identity"], snapshot.sha256, *more])

    def keys(self) -> list[str]:
        """All cells, in the order of the grid."""
        return [self.cell_key(s, r) for s in self.snapshots for r in self.recipes]

    def codes(self) -> Tensor:
        """The common codes `[N, L, w_dim]`."""
        protocol = self.protocol
        return common_codes(self.base.G, protocol["n_latents"], protocol["psi"], protocol["seed"])


def open_configured_sweep(config: Mapping[str, Any]) -> Sweep:
    """Open the sweep that a plain configuration asks for."""
    settings = read(SweepSettings, config)
    run_dir = find_run(settings.run, Path(settings.paths.runs))
    return open_sweep(run_dir, settings)


def open_sweep(run_dir: Path, settings: SweepSettings) -> Sweep:
    """Check settings against the run; nothing is written.

    Raises:
        UserError: for everything that cannot be, before anything is computed.
    """
    if settings.clicks is not None:
        read_enough_clicks(settings.clicks)
    device = torch_device(settings.device)
    snapshots = find_snapshots(run_dir, settings.snapshot)
    base = find_base(run_dir, settings.base, device=device, weights_folder=settings.weights)
    check_family(snapshots, base)
    if base.G.resolution < MIN_PX:
        raise UserError(f"{run_dir.name}: pictures of at least {MIN_PX} px can be scored, not of {base.G.resolution}")
    recipes = {recipe.resolution: recipe for recipe in recipes_of(settings.blend, base.G)}
    precision = settings.parsed("precision", partial(choose_precision, device=device, resolution=base.G.resolution))
    start_ops(device, base.G.resolution)
    protocol = {
        "score": SCORE_VERSION,
        "landmarks": settings.landmarks,
        "cartoons": _fingerprint(run_dir),
        "n_latents": settings.n_latents or (LATENTS_CPU if device.type == "cpu" else LATENTS_GPU),
        "psi": float(settings.psi),
        "seed": settings.seed,
        "direction": settings.blend.direction,
        "level": settings.blend.level,
        "width": settings.blend.width,
        "base": _digest(base.G),
        "float32": float32_format(),
        "precision": f"{precision.name} from {precision.lowest} px",
    }
    folder = run_dir / "sweeps" / (settings.name or next(iter(recipes.values())).manner)
    return Sweep(folder, run_dir, settings, base, snapshots, recipes, precision, protocol)


def cell_name(snapshot: Snapshot, resolution: int) -> str:
    """`kimg-000016.00-res032`."""
    return f"{snapshot.name}-res{resolution:03d}"


def _fingerprint(run_dir: Path) -> str | None:
    """Of the pictures that the run was trained on, as it says."""
    path = run_dir / "run.json"
    facts = read_json(path).get("dataset") if path.is_file() else None
    return str(facts["fingerprint"]) if facts else None


def _digest(G: Generator) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(G.state_dict().items()):
        digest.update(key.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _hash(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
