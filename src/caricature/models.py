"""The networks of a caricature: the base that faces are projected into, the blend that renders them, its siblings."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..device import torch_device
from ..errors import UserError
from ..files import file_sha256
from ..networks import UNRELATED, Generator, kinship
from ..ops import start_ops
from ..runs import Base, Recipe, Recommended, find_base, find_run, find_snapshots, recommended_blend
from ..tracking import shown_blend
from ..weights import load_network, resolve_network
from .settings import BlendChoice, CaricatureSettings


@dataclass(frozen=True)
class Models:
    """Networks and where they come from."""

    base: Generator  # the network that faces are projected into
    base_path: Path  # its file
    base_sha256: str  # of that file
    chosen: Generator  # the network that renders
    description: str  # what it is, in words
    run_dir: Path | None = None  # the run; None without
    recipe: Recipe | None = None  # of the network that renders; None for a network file
    # the fine-tuned network, for blends at other resolutions; None for a network file, or when it is gone
    snapshot: Generator | None = None
    artifact: str | None = None  # what W&B calls the network that renders; None where it has not been shown

    def at(self, resolution: int) -> Generator:
        """The blend at another resolution."""
        assert self.recipe is not None and self.snapshot is not None
        if resolution == self.recipe.resolution:
            return self.chosen
        return self.recipe.at(resolution).blend(self.snapshot, self.base)

    def resolutions(self) -> list[int]:
        """Resolutions at which there are blends; empty for a network file, or when the snapshot is gone."""
        return [] if self.recipe is None or self.snapshot is None else self.recipe.resolutions(self.base)


def open_models(settings: CaricatureSettings) -> Models:
    """Find and load the networks that the settings name; they must be of one family."""
    device = torch_device(settings.device)
    if settings.network is not None:
        return _of_file(settings, settings.network, device)
    run_dir = find_run(settings.run, Path(settings.paths.runs))
    base = find_base(run_dir, settings.base, device=device, weights_folder=settings.weights)
    start_ops(device, base.G.resolution)
    best = recommended_blend(run_dir, settings.sweep)
    as_recommended = settings.snapshot is None and settings.blend == BlendChoice()
    models = _recommended(best, base, run_dir) if as_recommended else None
    if models is None:
        models = _blended(settings, best, base, run_dir)
    return models


def _recommended(best: Recommended | None, base: Base, run_dir: Path) -> Models | None:
    """The blend that a sweep made; its snapshot for further ones may be gone."""
    if best is None:
        return None
    device = base.G.mapping.w_avg.device
    chosen, snapshot = best.load(device), None
    how = f"{best.kimg:g} kimg at {best.recipe.resolution} px"
    what = f"the recommended blend of {run_dir.name}'s sweep {best.sweep}: {how}"
    if best.snapshot.is_file():
        snapshot = load_network(best.snapshot, device=device, parts=("G_ema",)).G_ema
    else:
        what += f" ({best.snapshot.name} itself is gone: no other blends)"
    _check_kin(base.G, chosen, str(best.path), str(base.path))
    artifact = shown_blend(best.path.parent)
    return Models(base.G, base.path, file_sha256(base.path), chosen, what, run_dir, best.recipe, snapshot, artifact)


def _blended(settings: CaricatureSettings, best: Recommended | None, base: Base, run_dir: Path) -> Models:
    """The blend that was asked for, and where nothing was, as the sweep recommends."""
    wanted = best.snapshot.stem if best is not None and settings.snapshot is None else settings.snapshot
    recipe = _recipe(settings.blend, None if best is None else best.recipe)
    if wanted is None or recipe is None:
        raise UserError(
            f"{run_dir.name} has no sweep with a recommended blend: run python sweep.py run={run_dir.name}, or say "
            "snapshot=KIMG and blend.res=RESOLUTION"
        )
    recipe.check_against(base.G, "blend.res")
    (found,) = find_snapshots(run_dir, [wanted])
    snapshot = load_network(found.path, device=base.G.mapping.w_avg.device, parts=("G_ema",)).G_ema
    chosen = recipe.blend(snapshot, base.G)
    _check_kin(base.G, chosen, str(found.path), str(base.path))
    what = f"a blend of {run_dir.name}: {found.kimg:g} kimg at {recipe.resolution} px"
    return Models(base.G, base.path, file_sha256(base.path), chosen, what, run_dir, recipe, snapshot)


def _recipe(choice: BlendChoice, recommended: Recipe | None) -> Recipe | None:
    """The recipe of what is asked for, the rest as recommended; None when nothing says the resolution."""
    given = {name: value for name, value in vars(choice).items() if value is not None}
    if "res" in given:
        given["resolution"] = given.pop("res")
    if recommended is not None:
        return replace(recommended, **given)
    return Recipe(**given) if "resolution" in given else None


def _of_file(settings: CaricatureSettings, network: str, device: torch.device) -> Models:
    path = resolve_network(network, weights_folder=settings.weights)
    chosen = load_network(path, device=device, parts=("G_ema",)).G_ema
    start_ops(device, chosen.resolution)
    run_dir = None
    if settings.base == "auto":
        try:
            run_dir = find_run(settings.run, Path(settings.paths.runs))
            found = find_base(run_dir, "auto", device=device, weights_folder=settings.weights)
        except UserError as error:
            raise UserError(f"network={network}: say which network to project into with base=FILE ({error})") from error
        base, base_path = found.G, found.path
    else:
        base_path = resolve_network(settings.base, weights_folder=settings.weights)
        base = load_network(base_path, device=device, parts=("G_ema",)).G_ema
    _check_kin(base, chosen, str(path), str(base_path))
    return Models(base, base_path, file_sha256(base_path), chosen, path.name, run_dir=run_dir)


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
    """A network between base (strength 0) and blend (1), bit for bit theirs at both ends; above 1 exaggerates.

    Layers in which the two are equal stay as they are: of a blend with the cartoon's coarse layers, the coarse layers
    alone move. The noise maps of layers are dialled too, the mapping is the blend's.
    """
    result = copy.deepcopy(blended)
    if strength == 1:
        return result
    ours, theirs = result.synthesis.state_dict(), base.synthesis.state_dict()
    for key, value in ours.items():
        value.copy_(theirs[key] if strength == 0 else torch.lerp(theirs[key], value, strength))
    return result
