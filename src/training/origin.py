"""The network that a run starts from, and what a run's folder keeps of it: enough to go on without its file.

`base.safetensors` holds the average generator, exactly: blends mix with it, the structure loss compares with it. Its
header says how the discriminator is built, and everything else that changes is in the checkpoints.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import expanded, file_sha256
from ..networks import Discriminator
from ..runs import BASE
from ..weights import Networks, is_at_hand, load_network, read_meta, resolve_network, save_network
from .checkpoint import has_checkpoint
from .settings import TrainSettings


@dataclass(frozen=True)
class Origin:
    """A pretrained network."""

    networks: Networks  # of one that a run has kept, the discriminator is built alike and not the same
    sha256: str  # of its file
    is_kept: bool = False  # whether it is what a run has kept, with which that run alone can go on


def load_origin(settings: TrainSettings) -> Origin | None:
    """Load `pretrained.source`, fetching it where it is published; None when the run starts from nothing."""
    source = settings.pretrained.source
    if source is None:
        return None
    networks = load_network(source, weights_folder=settings.weights)
    return Origin(networks, file_sha256(resolve_network(source, weights_folder=settings.weights)))


def find_origin(settings: TrainSettings) -> Origin | None:
    """Load `pretrained.source` from its file, or, where that is gone, from what a run that started from it has kept."""
    source = settings.pretrained.source
    if source is None or is_at_hand(source, weights_folder=settings.weights):
        return load_origin(settings)
    kept = {meta["parent"]: path for path, meta in _kept(settings) if meta.get("source") == source}
    if len(kept) != 1:
        return load_origin(settings)
    ((sha256, path),) = kept.items()
    print(f"note       {source} is gone: {path} serves", flush=True)
    return Origin(_read_kept(path), sha256, is_kept=True)


def keep_origin(folder: Path, origin: Origin | None, source: str | None) -> None:
    """Keep in a run's folder what it takes to go on without the network's file."""
    if origin is None or (folder / BASE).exists():
        return
    networks = origin.networks
    discriminator = None if networks.D is None else dict(networks.D.config)
    kimg = networks.meta.get("kimg")
    meta = {"parent": origin.sha256, "source": source, "kimg": kimg, "discriminator": discriminator}
    save_network(folder / BASE, G_ema=networks.G_ema, meta=meta)


def _kept(settings: TrainSettings) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """What the run of the command has kept, or, where it has no name yet, the runs that may be meant; with headers."""
    runs = expanded(settings.paths.runs)
    names = [f"{settings.dataset.name}-{settings.pretrained.name}-*"] if settings.run is None else []
    folders = [folder for name in names for folder in sorted(runs.glob(name))]
    folders += [] if settings.run is None else [runs / settings.run, expanded(settings.run)]
    for folder in folders:
        if (folder / BASE).is_file() and has_checkpoint(folder / "checkpoints"):
            yield folder / BASE, read_meta(folder / BASE)


def _read_kept(path: Path) -> Networks:
    networks = load_network(path)
    config = networks.meta.get("discriminator")
    try:
        channels = None if config is None else {int(r): int(c) for r, c in config["channels"].items()}
        D = None if config is None else Discriminator(**{**config, "channels": channels})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its header does not describe a discriminator of this version") from error
    return Networks(networks.G_ema, None, D, networks.meta)
