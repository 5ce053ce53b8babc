"""The folder of a run: where it is, whether the run goes on there or begins, and what keeps it from going on."""

import datetime
import json
import platform
import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from ..data import PictureDataset
from ..errors import UserError
from ..files import PARTIAL, expanded, read_json, remove_partials, unwritable, update_json, write_text
from ..lock import Claim, exclusive
from ..metrics import MetricsSettings, changed_metrics
from ..options import read
from ..runs import BASE, RUN_JSON
from .checkpoint import has_checkpoint
from .evaluations import measured_on
from .fork import Fork
from .identity import VERSION, differences, digest, identity, run_facts
from .pictures import write_pictures
from .schedule import mark_name

LOCK = ".training.lock"


@dataclass(frozen=True)
class RunFolder:
    """Where the run of a configuration is, or will be. Made by `find_run_folder`."""

    path: Path
    config: Mapping[str, Any]
    dataset: PictureDataset
    own: Mapping[str, Any]  # the run's identity
    fork: Fork | None  # how it comes from another run; None where it does not

    @property
    def goes_on(self) -> bool:
        """Whether there is a state of this run, or of the one that it is a fork of."""
        return has_checkpoint(self.path / "checkpoints") or self.fork is not None

    @property
    def protocol(self) -> dict[str, Any] | None:
        """Of the newest evaluation of the run, or else of the one that it is a fork of; None where there is none."""
        return measured_on(self.path) or (None if self.fork is None else measured_on(self.fork.source))

    def check(self) -> None:
        """See that the run may begin or go on there.

        Raises:
            UserError: when the folder belongs to another configuration, exists and `resume=false`, or has lost its
                checkpoints.
        """
        known, there = self.path / RUN_JSON, self.path.exists()
        strange = there and (not self.path.is_dir() or not all(map(_is_of_a_start, self.path.iterdir())))
        if not known.exists():  # asked last: the first process of several may be writing it
            if strange:
                raise UserError(f"{self.path} exists and is not a run folder: give another run=NAME")
            return
        facts = read_json(known)
        if not _has_results(self.path, facts):
            return
        if not self.config["resume"]:
            raise UserError(f"run {self.path} exists and resume=false: give another run=NAME, or delete the folder")
        changed = [*differences(self.path, self.own, self.dataset).values()]
        changed += _changed_metrics(self.path, self.config).values()
        if changed:
            raise UserError(
                f"run {self.path} was made by another configuration: {'; '.join(changed[:6])}; give another run=NAME, "
                "or resume=fork to go on from it in a new run"
            )
        if not has_checkpoint(self.path / "checkpoints") and facts.get("checkpointed", True):
            raise UserError(
                f"run {self.path} cannot be continued, its checkpoints are gone: take another run=NAME, or remove the "
                "folder"
            )

    def open(self, *, ops: str, held: ExitStack) -> Claim:
        """Make the folder where it is not there, and write `run.json` and `config.yaml`.

        A folder where training has stopped before its first result is as good as a new one. The claim that is returned
        keeps it for this process until `held` is closed; `ops` names the op implementations that serve, for the record.

        Raises:
            UserError: as `check`, or when another process is training the run.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"the run's folder cannot be made ({error.strerror}); set paths.runs"
            raise UserError(f"{self.path}: {reason}") from error
        claim = _hold(self.path, held)
        self.check()  # who held it until now may have changed it
        for name in (".", "checkpoints", "snapshots", "samples", "evaluations"):
            remove_partials(self.path / name, alone=True)
        if not self._is_begun():
            _clear(self.path)
            self._begin(ops)
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(self.config), sort_keys=False))
        return claim

    def _is_begun(self) -> bool:
        """Whether there is something to keep; what a run has left that stopped before its first result is not."""
        known = self.path / RUN_JSON
        if not known.exists() or has_checkpoint(self.path / "checkpoints"):
            return known.exists()
        if self.fork is None:
            print(f"note       {self.path} starts again at 0 kimg: no checkpoint had been saved", flush=True)
        return _has_results(self.path, read_json(known))

    def _begin(self, ops: str) -> None:
        """Write what the run is known by, and what a fork goes on from."""
        facts = {
            "name": self.path.name,
            "identity": self.own,
            "checkpointed": False,
            **run_facts(self.config),
            **_machine(),
            "ops": ops,
            "dataset": _dataset_facts(self.dataset),
        }
        if self.fork is None:
            self._write(facts)
            return
        state = self.fork.read()
        self._write({**facts, "forked": self.fork.facts(state)})
        self.fork.carry_over(state)

    def _write(self, facts: Mapping[str, Any]) -> None:
        write_text(self.path / RUN_JSON, json.dumps(facts, indent=2) + "\n")
        write_pictures(self.path, self.dataset)


def find_run_folder(config: Mapping[str, Any], dataset: PictureDataset, parent: str | None = None) -> RunFolder:
    """Find where the run of a configuration is, or will be; nothing is written.

    `parent` is the sha256 of the pretrained network's file.

    Raises:
        UserError: as `RunFolder.check`, or when there is nothing to fork.
    """
    own = identity(config, dataset, parent)
    path, fork = _path(config, own), None
    if config["resume"] == "fork":
        if not (path / RUN_JSON).exists():
            raise UserError(f"resume=fork goes on from the state of a run, and there is none in {path}")
        measures = _changed_metrics(path, config)
        fork = Fork.of(path, digest({**own, **measures}), differences(path, own, dataset) | measures)
        path = fork.folder
    found = RunFolder(path, config, dataset, own, fork)
    found.check()
    return found


def update_run_json(folder: Path, **facts: Any) -> None:
    """Add facts to `run.json`."""
    update_json(folder / RUN_JSON, **facts)


def _path(config: Mapping[str, Any], own: Mapping[str, Any]) -> Path:
    runs, name = expanded(config["paths"]["runs"]), config["run"]
    if name is None:
        name = f"{config['dataset']['name']}-{config['pretrained']['name']}-{digest(own)}"
    path = expanded(str(name))
    if path.is_absolute() or len(path.parts) > 1:
        return path
    if str(name) in ("", ".", "..", "latest"):
        raise UserError(f"run={name}: give a name for the run folder (latest is for sweep.py and caricature.py)")
    return runs / path


def _changed_metrics(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """How metrics that are asked for differ from those that the run of a folder was measured on so far."""
    return changed_metrics(read(MetricsSettings, config["metrics"]), measured_on(folder))


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


def _hold(folder: Path, held: ExitStack) -> Claim:
    """Keep the folder for this process."""

    def refuse() -> None:
        raise UserError(f"run {folder} is being trained by another process: wait for it, or give another run=NAME")

    try:
        return held.enter_context(exclusive(folder / LOCK, waiting=refuse))
    except OSError as error:
        raise unwritable(folder / LOCK, error) from error


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
