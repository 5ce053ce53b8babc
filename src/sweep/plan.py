"""What a sweep is to do: the run, its snapshots and settings, and the name that each cell's features have."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ..clicks import Verdict, judge, read_enough_clicks
from ..device import float32_format, torch_device
from ..errors import UserError
from ..faces import FaceRecogniser, open_recogniser
from ..metrics import MIN_PX, looks
from ..networks import Generator, Precision, choose_precision
from ..ops import start_ops
from ..options import read
from ..runs import Base, Recipe, Snapshot, check_family, find_base, find_run, find_snapshots, recipes_of, run_json
from .features import SCORE_VERSION
from .pictures import UNBLENDED, common_codes
from .references import SweepReferences
from .settings import SweepSettings
from .table import CellTable

LATENTS_CPU, LATENTS_GPU = 256, 512


@dataclass(frozen=True)
class Sweep:
    """An open sweep."""

    folder: Path  # `runs/<run>/sweeps/<name>`
    run_dir: Path  # the run
    settings: SweepSettings  # what was asked for
    base: Base  # the network that the run was fine-tuned from
    snapshots: list[Snapshot]  # to score, by kimg
    recipes: dict[int, Recipe]  # of the blends by resolution, increasing
    precision: Precision  # in which networks render
    recogniser: FaceRecogniser | None  # tells whether a blend's faces are the base's; None for their looks
    # what decides a cell's pictures besides snapshot and resolution, and how they are measured
    protocol: dict[str, Any]

    @property
    def table(self) -> CellTable:
        """The folder's rows."""
        return CellTable(self.folder)

    @property
    def looks(self) -> list[int]:
        """After how many codes cells are looked at: once, at all of them, or as a race goes."""
        codes = self.protocol["n_latents"]
        return looks(codes) if self.settings.race else [codes]

    def rows(self) -> list[dict[str, Any]]:
        """The finished cells in the order of the grid, each with the most codes that it was rendered with."""
        cells = [
            [self.key(s, r, codes) for codes in reversed(self.looks)] for s in self.snapshots for r in self.recipes
        ]
        known = self.table.rows(key for keys in cells for key in keys)
        newest = (next((known[key] for key in keys if key in known), None) for keys in cells)
        return [row for row in newest if row is not None]

    @property
    def base_key(self) -> str:
        """Name of the references' features, the base network's pictures among them."""
        return f"base-{_hash(self.protocol)}"

    @cached_property
    def references(self) -> SweepReferences:
        """What the cells are measured against, as `run.prepare` wrote it."""
        return SweepReferences.load(self.table.features_path(self.base_key))

    @cached_property
    def verdict(self) -> Verdict | None:
        """What clicks say that the weight of shape is taken from; None without."""
        path = self.settings.clicks
        if path is None:
            return None
        return judge(read_enough_clicks(path), [axis.name for axis in self.references.axes], path)

    @property
    def alpha(self) -> float:
        """Weight of shape in the score: that of the clicks, or as it is set."""
        return self.settings.alpha if self.verdict is None else self.verdict.alpha

    def key(self, snapshot: Snapshot, resolution: int, codes: int) -> str:
        """Name of a cell's features, and its identity: protocol, references, snapshot file, resolution, codes.

        `UNBLENDED` for the resolution is the snapshot itself.
        """
        more: list[int | str] = [resolution] if resolution != UNBLENDED else []
        more += [f"first {codes}"] if codes != self.protocol["n_latents"] else []
        name = cell_name(snapshot, resolution) if resolution != UNBLENDED else snapshot.name
        return f"{name}-{_hash([self.protocol, self.references.facts['identity'], snapshot.sha256, *more])}"

    def codes(self) -> Tensor:
        """The common codes `[N, L, w_dim]`."""
        protocol = self.protocol
        return common_codes(self.base.G, protocol["n_latents"], protocol["psi"], protocol["seed"])


def open_configured_sweeps(config: Mapping[str, Any]) -> list[Sweep]:
    """Open the sweeps that a plain configuration asks for, one a run."""
    settings = read(SweepSettings, config)
    return [open_sweep(find_run(run, Path(settings.paths.runs)), settings) for run in settings.runs]


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
    chosen = settings.recogniser
    recogniser = None if chosen is None else open_recogniser(chosen, weights_folder=settings.weights)
    protocol = {
        "score": SCORE_VERSION,
        "landmarks": settings.landmarks,
        "recogniser": None if recogniser is None else recogniser.identity(),
        "cartoons": run_json(run_dir).get("dataset", {}).get("fingerprint"),
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
    return Sweep(folder, run_dir, settings, base, snapshots, recipes, precision, recogniser, protocol)


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
