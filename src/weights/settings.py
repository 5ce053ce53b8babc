"""Which network a run starts from: the group of options `pretrained`; published ones are in `conf/pretrained/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError
from ..options import OptionError, Options, shown

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "pretrained"
OWN = {"none": None, "demo": "demo"}  # choices that are not in the catalogue and have one source


@dataclass(frozen=True, kw_only=True)
class PretrainedSettings(Options):
    """The group `pretrained`."""

    name: str  # of the choice
    source: str | None  # a file, run folder or name of the catalogue; None to start from nothing
    fresh_d: bool = False  # start with an untrained discriminator when the file holds none
    about: str | None = None  # of a published network, as the catalogue says: who trained it, on what, how far
    file: Mapping[str, Any] | None = None  # likewise: what is fetched
    architecture: Mapping[str, Any] | None = None  # likewise: what is known of it

    def check(self) -> None:
        """Refuse to change what the catalogue says of a published network: it would have no effect."""
        check_unchanged(self)


def check_unchanged(settings: PretrainedSettings, folder: Path = FOLDER) -> None:
    """Check that settings say of a published network what the catalogue says."""
    name = settings.name
    if settings.file is None:
        if name in OWN and settings.source != OWN[name]:
            raise settings.wrong("source", "with a network of your own say pretrained=file as well")
        return
    path = folder / f"{name}.yaml"
    entry = read_entry(path) if path.is_file() else {}
    if "file" not in entry:
        raise settings.wrong("name", "is not changed here; choose one with pretrained=NAME")
    ours, theirs = _flat(vars(settings)), _flat(entry)
    for key in sorted({*ours, *theirs} - {"fresh_d"}):
        if ours.get(key) != theirs.get(key):
            own = " (a file of your own: pretrained=file pretrained.source=PATH)" if key == "source" else ""
            where = f"to change it edit conf/pretrained/{path.name}{own}"
            raise OptionError(key, ours.get(key), f"the catalogue says {shown(theirs.get(key))}; {where}")


def read_entry(path: Path) -> dict[str, Any]:
    """Read a file of the catalogue."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())}): restore it") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: keys and values are expected")
    return values


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
