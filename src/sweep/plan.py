"""What a sweep is to do: the run, its snapshots and settings, and the name that each cell's features have."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..device import float32_format
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..networks import Generator
from ..ops import start_ops
from ..runs import Base, Snapshot, check_family, find_base, find_run, find_snapshots
from .features import feature_protocol
from .pictures import common_codes
from .settings import SweepSettings, settings_of_config
from .table import CellTable


@dataclass(frozen=True)
class Sweep:
    """An open sweep.

    Attributes:
        folder: `runs/<run>/sweeps/<name>`.
        run_dir: the run.
        settings: what was asked for.
        base: the network that the run was fine-tuned from.
        snapshots: to score, by kimg.
        protocol: what decides a cell's features besides snapshot and resolution.
    """

    folder: Path
    run_dir: Path
    settings: SweepSettings
    base: Base
    snapshots: list[Snapshot]
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
        """Name of the base network's features."""
        return f"base-{_hash(self.protocol)}"

    def unblended_key(self, snapshot: Snapshot) -> str:
        """Name of the un-blended snapshot's features."""
        return f"{snapshot.name}-{_hash([self.protocol, snapshot.sha256])}"

    def cell_key(self, snapshot: Snapshot, resolution: int) -> str:
        """Name of a cell's features, and its identity: protocol, snapshot file, resolution."""
        return f"{cell_name(snapshot, resolution)}-{_hash([self.protocol, snapshot.sha256, resolution])}"

    def keys(self) -> list[str]:
        """All cells, in the order of the grid."""
        return [self.cell_key(s, r) for s in self.snapshots for r in self.settings.resolutions]

    def codes(self) -> Tensor:
        """The common codes `[N, L, w_dim]`."""
        protocol = self.protocol
        return common_codes(self.base.G, protocol["n_latents"], protocol["psi"], protocol["seed"])


def open_configured_sweep(config: Mapping[str, Any]) -> Sweep:
    """Open the sweep that a plain configuration asks for."""
    settings = settings_of_config(config)
    weights_folder = WeightsFolder(**config["weights"])
    run_dir = find_run(config["run"], Path(config["paths"]["runs"]))
    return open_sweep(run_dir, settings, weights_folder=weights_folder)


def open_sweep(run_dir: Path, settings: SweepSettings, *, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> Sweep:
    """Check settings against the run; nothing is written.

    Raises:
        UserError: for everything that cannot be, before anything is computed.
    """
    device = settings.torch_device()
    snapshots = find_snapshots(run_dir, settings.snapshot)
    base = find_base(run_dir, settings.base, device=device, weights_folder=weights_folder)
    check_family(snapshots, base)
    settings.check_against(base.G)
    start_ops(device, base.G.resolution)
    precision = settings.computing(base.G.resolution)
    protocol = {
        **feature_protocol(),
        "n_latents": settings.num_codes(),
        "psi": float(settings.psi),
        "seed": settings.seed,
        "direction": settings.direction,
        "level": settings.level,
        "width": settings.width,
        "base": _digest(base.G),
        "float32": float32_format(),
        "precision": f"{precision.name} from {precision.lowest} px",
    }
    return Sweep(run_dir / "sweeps" / settings.folder_name, run_dir, settings, base, snapshots, protocol)


def cell_name(snapshot: Snapshot, resolution: int) -> str:
    """`kimg-000016.00-res032`."""
    return f"{snapshot.name}-res{resolution:03d}"


def _digest(G: Generator) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(G.state_dict().items()):
        digest.update(key.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _hash(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
