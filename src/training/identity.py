"""What makes two commands the same run: the configuration without what may change between sittings.

The run folder's name carries a hash of it, so the same command finds its folder again and goes on.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data import PictureDataset
from ..errors import UserError
from ..files import read_json
from ..runs import RUN_JSON
from .pictures import changed_pictures

#: Keys (dotted) that do not change what a run computes, or only how far it goes.
FREE_KEYS = (
    "run",
    "resume",
    "batch_gpu",
    "total_kimg",
    "snapshot",
    "log_kimg",
    "checkpoint_kimg",
    "paths",
    "weights",
    "tracker",
    "trainer",
    "metrics",  # compared with what the run's evaluations so far say
)
#: What the catalogue says of a published network: its sha256 identifies it, however it is described and fetched.
FREE_GROUPS = ("pretrained.file.", "pretrained.architecture.")
#: Where a network lies and what it is called, which does not count when its sha256 is known.
SPELLINGS = ("pretrained.source", "pretrained.name")
FINGERPRINT = "dataset.fingerprint"
VERSION = "0.1.0"


def identity(config: Mapping[str, Any], dataset: PictureDataset, parent: str | None = None) -> dict[str, Any]:
    """Flatten the configuration to what identifies the run: fingerprints of data set and network, not their paths.

    `parent` is the sha256 of the pretrained network's file.
    """
    flat = _flatten({k: v for k, v in config.items() if k not in FREE_KEYS})
    flat = {key: value for key, value in flat.items() if not key.startswith(FREE_GROUPS)}
    flat.pop("dataset.path", None)
    flat.pop("dataset.max_megapixels", None)  # the fingerprint says which pictures there are
    flat.pop("pretrained.about", None)
    flat[FINGERPRINT] = dataset.fingerprint
    if parent is None:
        return flat
    return {key: value for key, value in flat.items() if key not in SPELLINGS} | {"pretrained.sha256": parent}


def run_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Facts for network headers and the run header: configuration hash and code version."""
    text = json.dumps(_flatten(config), sort_keys=True, default=str)
    return {"config_hash": hashlib.sha256(text.encode()).hexdigest()[:16], "code_version": VERSION}


def digest(own: Mapping[str, Any]) -> str:
    """Of an identity, for names."""
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()[:8]


def differences(folder: Path, own: Mapping[str, Any], dataset: PictureDataset) -> dict[str, str]:
    """What is not as it was in the run of a folder, in words, by option."""
    theirs = read_json(folder / RUN_JSON).get("identity")
    if not isinstance(theirs, dict):
        raise UserError(f"{folder / 'run.json'} is damaged (no identity): restore it, or take another run=NAME")
    return {
        key: changed_pictures(folder, dataset)
        if key == FINGERPRINT
        else f"{key} was {theirs.get(key)!r}, now {own.get(key)!r}"
        for key in sorted({*theirs, *own})
        if theirs.get(key) != own.get(key)
    }


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
