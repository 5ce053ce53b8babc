"""Which cells a sweep has: finding the run, its snapshots, its base network, and checking the blend settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..networks import Generator, blend_weights
from ..weights import load_network, read_meta

DIRECTIONS = ("cartoon_low", "cartoon_high")


@dataclass(frozen=True)
class BlendSettings:
    """How cells are blended.

    Attributes:
        resolutions: of the switch, increasing.
        direction: `"cartoon_low"` (low = fine-tuned, high = base) or `"cartoon_high"`.
        level: 0 or 1.
        width: None for a hard switch.
    """

    resolutions: tuple[int, ...]
    direction: str = "cartoon_low"
    level: int = 0
    width: float | None = None

    @property
    def name(self) -> str:
        """Short name, for the sweep's folder."""
        parts = [self.direction.replace("_", "-")]
        if self.level:
            parts.append(f"level{self.level}")
        if self.width:
            parts.append(f"width{self.width:g}")
        return "-".join(parts)

    @property
    def shares_prefix(self) -> bool:
        """Whether all resolutions share the low network's layers (hard switch between blocks)."""
        return not self.width and self.level == 0


@dataclass(frozen=True)
class Snapshot:
    """A snapshot file of a run."""

    path: Path
    kimg: float

    @property
    def name(self) -> str:
        """`kimg-000016.00`."""
        return self.path.stem


def find_run(run: str | Path, runs: Path) -> Path:
    """Find a run folder by path, name, or `latest`.

    Raises:
        UserError: when there is none.
    """
    if str(run) == "latest":
        folders = [p for p in runs.glob("*") if (p / "run.json").exists()] if runs.is_dir() else []
        if not folders:
            raise UserError(f"no run in {runs}: train one first, or name its folder with run=PATH")
        return max(folders, key=lambda p: _last_change(p))
    for path in (runs / str(run), Path(run)):
        if (path / "run.json").exists():
            return path
    raise UserError(f"run={run}: neither a run in {runs} nor a run folder")


def find_snapshots(run_dir: Path, chosen: str | float | Sequence[str | float] = "all") -> list[Snapshot]:
    """List a run's snapshots by kimg, the untrained one (0 kimg) left out.

    Args:
        run_dir: run folder.
        chosen: `"all"`, or names or kimg.

    Raises:
        UserError: when there is none, or a chosen one is missing.
    """
    folder = run_dir / "snapshots"
    every = [Snapshot(path, float(read_meta(path)["kimg"])) for path in sorted(folder.glob("kimg-*.safetensors"))]
    every = sorted((s for s in every if s.kimg > 0), key=lambda s: s.kimg)
    if not every:
        raise UserError(f"no snapshots of a trained network in {folder}: run train.py first (snapshot.kimg says when)")
    if chosen == "all":
        return every
    wanted = [chosen] if isinstance(chosen, str | int | float) else list(chosen)
    found = []
    for item in wanted:
        match = [s for s in every if str(item) == s.name or _as_kimg(item) == s.kimg]
        if not match:
            known = ", ".join(f"{s.kimg:g}" for s in every)
            raise UserError(f"snapshot={item}: the run has snapshots at {known} kimg")
        found += match
    return sorted(set(found), key=lambda s: s.kimg)


def load_base(run_dir: Path, base: str) -> Generator:
    """Load the network that the run was fine-tuned from.

    Args:
        run_dir: run folder.
        base: `"auto"` for the run's snapshot at 0 kimg, or a network file or name.

    Raises:
        UserError: when it cannot be found.
    """
    if base != "auto":
        return load_network(base).G_ema
    path = run_dir / "snapshots" / "kimg-000000.00.safetensors"
    if not path.exists():
        raise UserError(f"{path} is missing: name the network that the run started from with base=FILE")
    return load_network(path).G_ema


def blend_settings(config: Mapping[str, Any], base: Generator) -> BlendSettings:
    """Check the `blend` settings against the networks.

    Raises:
        UserError: naming the setting that cannot be.
    """
    if config["direction"] not in DIRECTIONS:
        raise UserError(f"blend.direction={config['direction']}: choose {' or '.join(DIRECTIONS)}")
    given = config["res"] if isinstance(config["res"], list | tuple) else [config["res"]]
    if not given:
        raise UserError("blend.res is empty: give resolutions such as blend.res=8,16,32")
    resolutions = []
    for r in given:
        if isinstance(r, bool) or not isinstance(r, int):
            raise UserError(f"blend.res={r}: give whole numbers such as blend.res=8,16,32")
        blend_weights(base.resolution, r, level=config["level"], width=config["width"])
        if r == base.resolution and not config["width"]:
            raise UserError(f"blend.res={r}: at the full resolution a blend is the un-blended network; choose {r // 2} or less")
        resolutions.append(r)
    return BlendSettings(tuple(sorted(set(resolutions))), config["direction"], config["level"], config["width"])


def _as_kimg(item: str | float) -> float | None:
    try:
        return float(item)
    except ValueError:
        return None


def _last_change(run_dir: Path) -> float:
    files = [run_dir / "run.json", run_dir / "log.jsonl", run_dir / "metrics.jsonl"]
    return max(p.stat().st_mtime for p in files if p.exists())
