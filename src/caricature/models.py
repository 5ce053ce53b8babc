"""The networks of a caricature: the base that faces are projected into, the blend that renders them, its siblings."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import file_sha256, read_json
from ..networks import UNRELATED, Generator, blend, kinship
from ..ops import start_ops
from ..runs import find_base, find_run, find_snapshots
from ..weights import load_network, read_meta, resolve_network
from .settings import BlendChoice, CaricatureSettings


@dataclass(frozen=True)
class Models:
    """Networks and where they come from.

    Attributes:
        base: the network that faces are projected into.
        base_path: its file.
        base_sha256: of that file.
        chosen: the network that renders.
        description: what it is, in words.
        resolution: of its switch; None for a network file.
        run_dir: the run; None without.
        ends: (low, high, level, width) that blends at other resolutions are made of; None for a network file.
    """

    base: Generator
    base_path: Path
    base_sha256: str
    chosen: Generator
    description: str
    resolution: int | None = None
    run_dir: Path | None = None
    ends: tuple[Generator, Generator, int, float | None] | None = None

    def at(self, resolution: int) -> Generator:
        """The blend at another resolution."""
        if resolution == self.resolution:
            return self.chosen
        assert self.ends is not None
        low, high, level, width = self.ends
        return blend(low, high, resolution, level=level, width=width)

    def resolutions(self) -> list[int]:
        """Resolutions at which a blend differs from its low network; empty for a network file."""
        return [] if self.ends is None else self.base.synthesis.resolutions[:-1]


def open_models(settings: CaricatureSettings, runs: Path) -> Models:
    """Find and load the networks.

    Args:
        settings: what to render with.
        runs: folder of the runs.

    Raises:
        UserError: when a run, its recommendation, a snapshot or a network cannot be found, or they are not of one
            family.
    """
    device = settings.torch_device()
    if settings.network is not None:
        return _of_file(settings, runs, device)
    run_dir = find_run(settings.run, runs)
    found = find_base(run_dir, settings.base, device=device, weights_folder=settings.weights)
    start_ops(device, found.G.resolution)
    choice = settings.blend
    sweep_dir = _find_sweep(run_dir, choice)
    best = None if sweep_dir is None else sweep_dir / "best.safetensors"
    facts = _recommended(best)
    if best is not None and facts is not None and choice in (BlendChoice(), BlendChoice(sweep=choice.sweep)):
        chosen = load_network(best, device=device, parts=("G_ema",)).G_ema
        name = f"the recommended blend of {run_dir.name}'s sweep {best.parent.name}"
    else:
        chosen, name = None, f"a blend of {run_dir.name}"
    facts = _completed(facts, choice, run_dir)
    sha256 = file_sha256(found.path)
    if chosen is not None and not (run_dir / "snapshots" / f"{facts['snapshot']}.safetensors").is_file():
        _check_kin(found.G, chosen, str(best), str(found.path))
        what = f"{name}: {facts['snapshot']} at {facts['resolution']} px (the snapshot itself is gone: no other blends)"
        return Models(found.G, found.path, sha256, chosen, what, facts["resolution"], run_dir)
    (snapshot,) = find_snapshots(run_dir, [facts["snapshot"]])
    tuned = load_network(snapshot.path, device=device, parts=("G_ema",)).G_ema
    low, high = (tuned, found.G) if facts["direction"] == "cartoon_low" else (found.G, tuned)
    ends = (low, high, facts["level"], facts["width"])
    if chosen is None:
        chosen = blend(low, high, facts["resolution"], level=facts["level"], width=facts["width"])
    _check_kin(found.G, chosen, str(snapshot.path), str(found.path))
    what = f"{name}: {snapshot.kimg:g} kimg at {facts['resolution']} px"
    return Models(found.G, found.path, sha256, chosen, what, facts["resolution"], run_dir, ends)


def _of_file(settings: CaricatureSettings, runs: Path, device: torch.device) -> Models:
    assert settings.network is not None
    path = resolve_network(settings.network, weights_folder=settings.weights)
    chosen = load_network(path, device=device, parts=("G_ema",)).G_ema
    start_ops(device, chosen.resolution)
    run_dir = None
    if settings.base == "auto":
        try:
            run_dir = find_run(settings.run, runs)
            found = find_base(run_dir, "auto", device=device, weights_folder=settings.weights)
        except UserError as error:
            raise UserError(
                f"network={settings.network}: say which network to project into with base=FILE ({error})"
            ) from error
        base, base_path = found.G, found.path
    else:
        base_path = resolve_network(settings.base, weights_folder=settings.weights)
        base = load_network(base_path, device=device, parts=("G_ema",)).G_ema
    _check_kin(base, chosen, str(path), str(base_path))
    return Models(base, base_path, file_sha256(base_path), chosen, path.name, run_dir=run_dir)


def _find_sweep(run_dir: Path, choice: BlendChoice) -> Path | None:
    """The chosen or newest sweep with a ranking."""
    if choice.sweep is not None:
        folder = run_dir / "sweeps" / choice.sweep
        if not (folder / "ranking.json").is_file():
            known = sorted(p.parent.name for p in (run_dir / "sweeps").glob("*/ranking.json"))
            raise UserError(f"sweep={choice.sweep}: {run_dir.name} has {', '.join(known) or 'no finished sweep'}")
        return folder
    rankings = [p for p in (run_dir / "sweeps").glob("*/ranking.json") if read_json(p).get("recommended")]
    return max(rankings, key=lambda p: p.stat().st_mtime).parent if rankings else None


def _recommended(best: Path | None) -> dict[str, Any] | None:
    """Snapshot, resolution, direction, level and width of a sweep's recommended blend, from its file."""
    if best is None or not best.is_file():
        return None
    made = read_meta(best).get("blend", {})
    try:
        ours = made["low" if made["direction"] == "cartoon_low" else "high"]
        return {
            "snapshot": Path(ours["file"]).stem,
            **{key: made[key] for key in ("resolution", "direction", "level", "width")},
        }
    except (KeyError, TypeError) as error:
        raise UserError(f"{best}: its header does not say what it is a blend of: run the sweep again") from error


def _completed(facts: dict[str, Any] | None, choice: BlendChoice, run_dir: Path) -> dict[str, Any]:
    """What was asked for, and where nothing was, what the sweep recommends."""
    usual = {"snapshot": None, "resolution": None, "direction": "cartoon_low", "level": 0, "width": None}
    merged = {**usual, **(facts or {})}
    for key in usual:
        if getattr(choice, key) is not None:
            merged[key] = getattr(choice, key)
    if merged["snapshot"] is None or merged["resolution"] is None:
        raise UserError(
            f"{run_dir.name} has no sweep with a recommended blend: run python sweep.py run={run_dir.name}, or say "
            "snapshot=KIMG and blend.res=RESOLUTION"
        )
    return merged


def _check_kin(base: Generator, other: Generator, name: str, base_name: str) -> None:
    if (base.resolution, base.w_dim) != (other.resolution, other.w_dim):
        raise UserError(
            f"{name} is of {other.resolution} px and w_dim {other.w_dim}, {base_name} of {base.resolution} px and "
            f"{base.w_dim}: they are no family"
        )
    relation = kinship(base, other)
    if relation < UNRELATED:
        raise UserError(
            f"{name} was not fine-tuned from {base_name} (cosine of their weights {relation:.2f}): codes of one mean "
            "nothing to the other; name the right network with base=FILE"
        )


@torch.no_grad()
def dialled(base: Generator, blended: Generator, strength: float) -> Generator:
    """A network between base and blend, or beyond the blend.

    Layers in which the two are equal stay as they are: of a blend with the cartoon's coarse layers, the coarse layers
    alone move.

    Args:
        base: strength 0.
        blended: strength 1.
        strength: 0 and 1 give the synthesis of the networks themselves, bit for bit; above 1 exaggerates.

    Returns:
        A new generator; the noise maps of layers are dialled too, the mapping is the blend's.
    """
    result = copy.deepcopy(blended)
    if strength == 1:
        return result
    ours, theirs = result.synthesis.state_dict(), base.synthesis.state_dict()
    for key, value in ours.items():
        value.copy_(theirs[key] if strength == 0 else torch.lerp(theirs[key], value, strength))
    return result
