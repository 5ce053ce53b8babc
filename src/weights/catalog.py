"""The catalogue of published networks: `conf/pretrained/*.yaml`, those with a `file` group."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, RemoteFile, WeightsFolder
from ..networks import channels_per_resolution
from ..options import Count, OptionError, Options, Range, choice, read
from .settings import FOLDER, read_entry

FORMAT_NAMES = {  # how a loaded file's meta names them
    "native": "native",
    "tensorflow": "StyleGAN2 on TensorFlow",
    "nvlabs": "stylegan2-ada-pytorch",
    "rosinality": "rosinality",
}


@dataclass(frozen=True, kw_only=True)
class KnownArchitecture(Options):
    """What is known of a published network before its file is read; None where nobody says."""

    format: Annotated[str, choice(*FORMAT_NAMES)]
    resolution: Annotated[int, Range(8, 4096, binary=True)]
    channel_base: Count | None
    channel_max: Count | None
    num_mapping_layers: Count | None
    z_dim: Count | None
    w_dim: Count | None

    def check(self) -> None:
        """Refuse half of the widths."""
        if (self.channel_base is None) != (self.channel_max is None):
            raise self.wrong("channel_max", "give both or none of channel_base and channel_max")


@dataclass(frozen=True, kw_only=True)
class CatalogEntry(Options):
    """A published network."""

    name: str  # by which `load_network` and `pretrained=` know it
    source: str  # the same
    fresh_d: bool  # see `PretrainedSettings`
    about: str  # who trained it, on what, how far
    file: RemoteFile  # what is fetched
    architecture: KnownArchitecture  # what is known of it

    def check(self) -> None:
        """Refuse another name, and a file that is nowhere."""
        if self.source != self.name:
            raise self.wrong("source", f"name and source must both be {self.name}")
        if not self.file.urls:
            raise self.wrong("file.urls", "give one at least")

    def fetch(self, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> Path:
        """The file's path in the weights folder, as `WeightsFolder.fetch` finds or fetches it."""
        try:
            return weights_folder.fetch(self.file)
        except UserError as error:
            raise UserError(f"{error} ({self.name}: {self.about})") from error


def catalog_names(folder: Path = FOLDER) -> list[str]:
    """Names of all published networks.

    Raises:
        UserError: when a file of the catalogue cannot be read.
    """
    return sorted(path.stem for path in folder.glob("*.yaml") if "file" in read_entry(path))


def catalog_entry(name: str, folder: Path = FOLDER) -> CatalogEntry | None:
    """The entry of that name, or None.

    Raises:
        UserError: when its file is malformed.
    """
    path = folder / f"{name}.yaml"
    values = read_entry(path) if re.fullmatch(r"\w+", name) and path.is_file() else {}
    if "file" not in values:
        return None
    try:
        entry = read(CatalogEntry, values)
        if entry.name != name:
            raise entry.wrong("name", f"name and source must both be {name}")
    except OptionError as error:
        raise UserError(f"{path}: {error}") from error
    return entry


def check_architecture(entry: CatalogEntry, config: Mapping[str, Any], format: str | None = None) -> None:
    """Check that a network of some configuration and format (None: any) is the one that the catalogue describes."""
    expected, known = entry.architecture, vars(entry.architecture)
    wrong = [
        f"{key} is {config[key]}, expected {known[key]}"
        for key in ("resolution", "num_mapping_layers", "z_dim", "w_dim")
        if known[key] not in (None, config[key])
    ]
    if format is not None and not format.startswith(FORMAT_NAMES[expected.format]):
        wrong.insert(0, f"the file is of {format}, expected {FORMAT_NAMES[expected.format]}")
    base, most = expected.channel_base, expected.channel_max
    if base is not None and most is not None and config["resolution"] == expected.resolution:
        widths = channels_per_resolution(expected.resolution, base, most)
        found = {int(r): int(c) for r, c in config["channels"].items()}
        wrong += [f"{r} px has {found.get(r)} channels, expected {c}" for r, c in widths.items() if found.get(r) != c]
    if wrong:
        raise UserError(
            f"{entry.name}: the network in {entry.file.name} is not the one of the catalogue: {'; '.join(wrong)} "
            "(by its path it can be loaded all the same)"
        )
