"""What makes two commands the same run: the configuration without what may change between sittings.

The run folder's name carries a hash of it, so the same command finds its folder again and goes on; a folder that was
made by another configuration is refused with the differing keys.
"""

import datetime
import hashlib
import json
import platform
import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
import yaml

from ..data import PictureDataset
from ..errors import UserError
from ..files import PARTIAL, expanded, read_json, remove_partials, unwritable, update_json, write_text
from ..lock import exclusive
from ..runs import BASE
from .checkpoint import has_checkpoint
from .fork import Fork
from .pictures import changed_pictures, write_pictures
from .schedule import mark_name

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
    "metrics",
)
#: What the catalogue says of a published network: its sha256 identifies it, however it is described and fetched.
FREE_GROUPS = ("pretrained.file.", "pretrained.architecture.")
#: Where a network lies and what it is called, which does not count when its sha256 is known.
SPELLINGS = ("pretrained.source", "pretrained.name")
FINGERPRINT = "dataset.fingerprint"
LOCK = ".training.lock"
VERSION = "0.1.0"


def identity(config: Mapping[str, Any], dataset: PictureDataset, parent: str | None = None) -> dict[str, Any]:
    """Flatten the configuration to what identifies the run: fingerprints of data set and network, not their paths.

    Args:
        config: plain configuration.
        dataset: the opened data set.
        parent: sha256 of the pretrained network's file.
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


def open_run_folder(
    config: Mapping[str, Any],
    dataset: PictureDataset,
    parent: str | None = None,
    *,
    ops: str | None = None,
    held: ExitStack | None = None,
) -> Path:
    """Find or make the run folder and write `run.json` and `config.yaml`.

    A folder where training has stopped before its first result is as good as a new one.

    Args:
        config: plain configuration.
        dataset: the opened data set.
        parent: sha256 of the pretrained network's file.
        ops: which op implementations serve, for the record.
        held: keeps the folder for this process until it is closed; None to look at the folder alone.

    Raises:
        UserError: when the folder belongs to another configuration, exists and `resume=false`, has lost its
            checkpoints, or another process is training it.
    """
    own = identity(config, dataset, parent)
    fork = _fork(config, own, dataset) if config["resume"] == "fork" else None
    folder = _folder(config, own) if fork is None else fork.folder
    known = folder / "run.json"
    _check_folder(folder, own, dataset, resume=config["resume"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: the run's folder cannot be made ({error.strerror}); set paths.runs") from error
    if held is not None:
        _hold(folder, held)
        _check_folder(folder, own, dataset, resume=config["resume"])  # who held it until now may have changed it
        for name in (".", "checkpoints", "snapshots", "samples", "evaluations"):
            remove_partials(folder / name, alone=True)
    begun = known.exists()
    if begun and not has_checkpoint(folder / "checkpoints"):
        if fork is None:
            print(f"note       {folder} starts again at 0 kimg: no checkpoint had been saved", flush=True)
        if not _has_results(folder, read_json(known)):
            _clear(folder)
            begun = False
    if not begun:
        state = None if fork is None else fork.read()
        facts = {
            "name": folder.name,
            "identity": own,
            "checkpointed": False,
            **run_facts(config),
            **_machine(),
            "ops": ops,
            "dataset": _dataset_facts(dataset),
            **({} if fork is None or state is None else {"forked": fork.facts(state)}),
        }
        write_text(known, json.dumps(facts, indent=2) + "\n")
        write_pictures(folder, dataset)
        if fork is not None and state is not None:
            fork.carry_over(state)
    write_text(folder / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
    return folder


def run_folder(config: Mapping[str, Any], dataset: PictureDataset, parent: str | None = None) -> Path:
    """Where the run of a configuration is, or will be; arguments and errors as of `open_run_folder`."""
    own = identity(config, dataset, parent)
    return _fork(config, own, dataset).folder if config["resume"] == "fork" else _folder(config, own)


def run_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Facts for network headers and the run header: configuration hash and code version."""
    text = json.dumps(_flatten(config), sort_keys=True, default=str)
    return {"config_hash": hashlib.sha256(text.encode()).hexdigest()[:16], "code_version": VERSION}


def update_run_json(folder: Path, **facts: Any) -> None:
    """Add facts to `run.json`."""
    update_json(folder / "run.json", **facts)


def _check_folder(folder: Path, own: Mapping[str, Any], dataset: PictureDataset, *, resume: bool) -> None:
    known = folder / "run.json"
    if known.exists():
        facts = read_json(known)
        if not _has_results(folder, facts):
            return
        if not resume:
            raise UserError(f"run {folder} exists and resume=false: give another run=NAME, or delete the folder")
        _compare(folder, facts.get("identity"), own, dataset)
        if not has_checkpoint(folder / "checkpoints") and facts.get("checkpointed", True):
            raise UserError(
                f"run {folder} cannot be continued, its checkpoints are gone: take another run=NAME, or remove the "
                "folder"
            )
    elif folder.exists() and (not folder.is_dir() or not all(map(_is_of_a_start, folder.iterdir()))):
        raise UserError(f"{folder} exists and is not a run folder: give another run=NAME")


def _is_of_a_start(path: Path) -> bool:
    """Whether a file is what a run leaves that was killed before it had written `run.json`."""
    return path.name == LOCK or PARTIAL.fullmatch(path.name) is not None


def _has_results(folder: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a run has got beyond 0 kimg, where there is nothing but the network that it started from."""
    snapshots = {path.stem for path in (folder / "snapshots").glob("kimg-*.safetensors")} - {mark_name(0)}
    return bool(snapshots) or facts.get("checkpointed", True) or has_checkpoint(folder / "checkpoints")


def _clear(folder: Path) -> None:
    """Take away what a run has written before its first result, but `run.json`, by which the folder is known."""
    for name in ("snapshots", "samples", "evaluations"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (BASE, "reals.jpg", "log.jsonl", "metrics.jsonl", "pictures.json"):
        (folder / name).unlink(missing_ok=True)


def _hold(folder: Path, held: ExitStack) -> None:
    """Keep the folder for this process."""

    def refuse() -> None:
        raise UserError(f"run {folder} is being trained by another process: wait for it, or give another run=NAME")

    try:
        held.enter_context(exclusive(folder / LOCK, waiting=refuse))
    except OSError as error:
        raise unwritable(folder / LOCK, error) from error


def _folder(config: Mapping[str, Any], own: Mapping[str, Any]) -> Path:
    runs, name = expanded(config["paths"]["runs"]), config["run"]
    if name is None:
        name = f"{config['dataset']['name']}-{config['pretrained']['name']}-{_digest(own)}"
    path = expanded(str(name))
    if path.is_absolute() or len(path.parts) > 1:
        return path
    if str(name) in ("", ".", "..", "latest"):
        raise UserError(f"run={name}: give a name for the run folder (latest is for sweep.py and caricature.py)")
    return runs / path


def _fork(config: Mapping[str, Any], own: Mapping[str, Any], dataset: PictureDataset) -> Fork:
    source = _folder(config, own)
    if not (source / "run.json").exists():
        raise UserError(f"resume=fork goes on from the state of a run, and there is none in {source}")
    changed = _differences(source, read_json(source / "run.json").get("identity"), own, dataset)
    return Fork.of(source, _digest(own), changed)


def _digest(own: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _compare(folder: Path, theirs: Any, own: Mapping[str, Any], dataset: PictureDataset) -> None:
    differing = list(_differences(folder, theirs, own, dataset).values())
    if differing:
        raise UserError(
            f"run {folder} was made by another configuration: {'; '.join(differing[:6])}; give another run=NAME, or "
            "resume=fork to go on from it in a new run"
        )


def _differences(folder: Path, theirs: Any, own: Mapping[str, Any], dataset: PictureDataset) -> dict[str, str]:
    """What is not as it was, in words, by option."""
    if not isinstance(theirs, dict):
        raise UserError(f"{folder / 'run.json'} is damaged (no identity): restore it, or take another run=NAME")
    return {
        key: changed_pictures(folder, dataset)
        if key == FINGERPRINT
        else f"{key} was {theirs.get(key)!r}, now {own.get(key)!r}"
        for key in sorted({*theirs, *own})
        if theirs.get(key) != own.get(key)
    }


def _machine() -> dict[str, Any]:
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "caricature": VERSION},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _dataset_facts(dataset: PictureDataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "num_images": len(dataset),
        "resolution": dataset.resolution,
        "fingerprint": dataset.fingerprint,
        "report": dataset.report.as_dict(),
    }


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
