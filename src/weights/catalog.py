"""The catalogue of published networks: `conf/pretrained/*.yaml`, those with a `file` group."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, RemoteFile, WeightsFolder
from ..networks import channels_per_resolution, resolutions_of
from .settings import FOLDER, read_entry

FORMATS = ("native", "tensorflow", "nvlabs", "rosinality")
FORMAT_NAMES = {  # how a loaded file's meta names them
    "native": "native",
    "tensorflow": "StyleGAN2 on TensorFlow",
    "nvlabs": "stylegan2-ada-pytorch",
    "rosinality": "rosinality",
}
ENTRY_KEYS = ("name", "source", "fresh_d", "about", "file", "architecture")
FILE_KEYS = ("name", "urls", "licence", "size", "sha256")
#: Dimensions that are compared one by one; the widths are compared as a table.
DIMENSIONS = ("resolution", "num_mapping_layers", "z_dim", "w_dim")
WIDTHS = ("channel_base", "channel_max")


@dataclass(frozen=True)
class CatalogEntry:
    """A published network.

    Attributes:
        name: by which `load_network` and `pretrained=` know it.
        file: what is fetched.
        about: who trained it, on what, how far.
        architecture: what is known of it: `format`, `resolution`, `channel_base`, `channel_max`,
            `num_mapping_layers`, `z_dim`, `w_dim`; None where nobody says.
    """

    name: str
    file: RemoteFile
    about: str
    architecture: Mapping[str, Any]

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


def find_entry(name: str, folder: Path = FOLDER) -> CatalogEntry | None:
    """The entry of that name, or None.

    Raises:
        UserError: when its file is malformed.
    """
    path = folder / f"{name}.yaml"
    if not re.fullmatch(r"\w+", name) or not path.is_file():
        return None
    values = read_entry(path)
    return _entry(values, path) if "file" in values else None


def catalog_entry(name: str, folder: Path = FOLDER) -> CatalogEntry:
    """The entry of that name.

    Raises:
        UserError: when there is none, or its file is malformed.
    """
    entry = find_entry(name, folder)
    if entry is None:
        raise UserError(f"{name}: no such network in the catalogue; there are {', '.join(catalog_names(folder))}")
    return entry


def check_architecture(entry: CatalogEntry, config: Mapping[str, Any], format: str | None = None) -> None:
    """Check that a loaded network is the one that the catalogue describes.

    Args:
        entry: of the catalogue.
        config: `Generator.config` of the loaded network.
        format: `meta["format"]` of the loaded file, or None not to compare it.

    Raises:
        UserError: listing the differences.
    """
    expected = entry.architecture
    wrong = [
        f"{key} is {config[key]}, expected {expected[key]}"
        for key in DIMENSIONS
        if expected[key] is not None and config[key] != expected[key]
    ]
    if format is not None and not format.startswith(FORMAT_NAMES[expected["format"]]):
        wrong.insert(0, f"the file is of {format}, expected {FORMAT_NAMES[expected['format']]}")
    base, most = (expected[key] for key in WIDTHS)
    if base is not None and config["resolution"] == expected["resolution"]:
        widths = channels_per_resolution(expected["resolution"], base, most)
        found = {int(r): int(c) for r, c in config["channels"].items()}
        wrong += [f"{r} px has {found.get(r)} channels, expected {c}" for r, c in widths.items() if found.get(r) != c]
    if wrong:
        raise UserError(
            f"{entry.name}: the network in {entry.file.name} is not the one of the catalogue: {'; '.join(wrong)} "
            "(by its path it can be loaded all the same)"
        )


def _entry(values: Mapping[str, Any], path: Path) -> CatalogEntry:
    _check_keys(values, ENTRY_KEYS, str(path))
    if not values["name"] == values["source"] == path.stem:
        raise UserError(f"{path}: name and source must both be {path.stem}")
    about, facts, architecture = values["about"], values["file"], values["architecture"]
    if not isinstance(about, str) or not about:
        raise UserError(f"{path}: about must be a text")
    _check_keys(facts, FILE_KEYS, f"{path}: file")
    urls = facts["urls"]
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise UserError(f"{path}: file.urls must be a list of URLs")
    _check_architecture_facts(architecture, path)
    try:
        file = RemoteFile(facts["name"], tuple(urls), facts["licence"], facts["size"], facts["sha256"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return CatalogEntry(path.stem, file, about, dict(architecture))


def _check_architecture_facts(architecture: Any, path: Path) -> None:
    _check_keys(architecture, ("format", *DIMENSIONS, *WIDTHS), f"{path}: architecture")
    if architecture["format"] not in FORMATS:
        raise UserError(f"{path}: architecture.format={architecture['format']}: give {' or '.join(FORMATS)}")
    for key in (*DIMENSIONS, *WIDTHS):
        value = architecture[key]
        if value is not None and not (type(value) is int and value > 0):
            raise UserError(f"{path}: architecture.{key}={value}: give a whole number, or null where nobody says")
    if architecture["resolution"] is None or (architecture["channel_base"] is None) != (
        architecture["channel_max"] is None
    ):
        raise UserError(f"{path}: architecture needs the resolution, and both or none of {' and '.join(WIDTHS)}")
    try:
        resolutions_of(architecture["resolution"])
    except ValueError as error:
        raise UserError(f"{path}: architecture.{error}") from error


def _check_keys(values: Any, keys: tuple[str, ...], label: str) -> None:
    if not isinstance(values, Mapping) or set(values) != set(keys):
        given = ", ".join(map(str, values)) if isinstance(values, Mapping) else values
        raise UserError(f"{label}: needs the keys {', '.join(keys)}, and has {given}")
