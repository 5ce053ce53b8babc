"""`python train.py`: everything from a plain configuration to a finished run folder. Running it again continues."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..data import image_grid, save_jpeg
from ..errors import UserError
from ..metrics import choose_metrics
from ..options import read
from ..signals import Stopped
from ..tracking import Tracker, lacks_rows, open_tracker, write_run_report
from .device import accelerate, before_cuda, choose_acceleration, device_of, open_compute
from .fit import fit
from .header import print_header
from .identity import run_facts
from .memory import what_to_lower
from .module import GanModule
from .opened_run import Run
from .origin import find_origin, keep_origin, load_origin
from .processes import Processes
from .run_folder import find_run_folder
from .schedule import mark_name, passed_marks
from .settings import TrainSettings
from .setup import build_dataset, build_networks, build_step
from .snapshots import GRID_COLUMNS, GRID_ROWS, Snapshotter, configured_extractor


def train(config: Mapping[str, Any]) -> Path:
    """Train, or continue training, as `config` says.

    Args:
        config: plain nested mapping, as composed from `conf/train.yaml`.

    Returns:
        The run folder.

    Raises:
        UserError: for everything that the user can put right.
        Stopped: after a signal; by then everything is saved, unless a second one followed it.
    """
    settings = read(TrainSettings, config)
    before_cuda(settings.trainer)
    with Processes(settings.trainer) as processes:
        folder, stopped = _train(config, settings, processes)
    if stopped is not None:
        raise stopped
    return folder


def _train(config: Mapping[str, Any], settings: TrainSettings, processes: Processes) -> tuple[Path, Stopped | None]:
    """This process's part of the run; the first one opens the folder and tells the others where it is."""
    acceleration = choose_acceleration(settings.trainer, device_of(settings.trainer))
    origin = find_origin(settings)
    dataset = build_dataset(settings, origin)
    if origin is not None and origin.is_kept and not find_run_folder(config, dataset, origin.sha256).goes_on:
        origin = load_origin(settings)
    start = build_networks(settings, dataset, origin)
    place = find_run_folder(config, dataset, start.facts.get("sha256"))
    compute = open_compute(settings.trainer, start.G.resolution)
    metrics, measures = choose_metrics(
        settings.metrics, start.G.resolution, settings.weights, compute.device, place.protocol
    )
    settings = replace(settings, metrics=metrics)
    configured_extractor(metrics, settings.weights)  # its weights are at hand before anything is written
    step = build_step(settings, start, compute, processes.group)
    accelerate(step, acceleration)
    module = GanModule(step, partial(what_to_lower, settings, start.D, processes.group.world))
    run = Run(config, settings, dataset, start, module, compute, acceleration, processes, measures)
    with ExitStack() as held:
        if processes.group.is_first:
            run.folder, run.claim = place.path, place.open(ops=compute.ops, held=held)
            keep_origin(run.folder, origin, settings.pretrained.source)
        stopped = _go_on(run)
        return run.folder, stopped  # which another process than the first knows by now


def _go_on(run: Run) -> Stopped | None:
    """Train from where the run is; one that is there already is only shown, as far as it is not yet."""
    if not run.processes.group.is_first:
        return fit(run, None, _snapshotter(run, None)) if _meets(run) else None
    run.find_state()
    last = passed_marks(run.marks, run.nimg, run.module.step.batch_size) or [run.nimg / 1000]
    stopped = None
    if run.nimg < run.total_kimg * 1000 or not all(map(run.is_taken, last)):
        stopped = _train_on(run)
    else:
        run.processes.told()
        _show(run)
        print(f"already at {run.nimg / 1000:g} kimg; set total_kimg above it to go on")
    print(f"report: {write_run_report(run.folder)}", flush=True)
    return stopped


def _show(run: Run) -> None:
    """Show a run that is at its end, as far as W&B does not show it yet."""
    if run.settings.tracker.mode == "disabled" or not lacks_rows(run.folder):
        print_header(run, "nothing to train")
        return
    tracker = _open_tracker(run)
    try:
        print_header(run, tracker.status)
        _restored(run, tracker).finish()
    finally:
        tracker.finish()


def _train_on(run: Run) -> Stopped | None:
    """The first process's way from the log to the end of training."""
    tracker = _open_tracker(run)
    try:
        print_header(run, tracker.status)
        snapshotter = _restored(run, tracker)
        _note_passed(run)
        run.processes.start(run.config)
        _meets(run)
        return fit(run, tracker, snapshotter)
    finally:
        tracker.finish()


def _restored(run: Run, tracker: Tracker) -> Snapshotter:
    """What takes snapshots, with those that are there; the log goes on at the run's state."""
    snapshotter = _snapshotter(run, tracker)
    lacked = tracker.go_on_at(run.nimg)
    snapshotter.restore(tracker.read_metrics(), unstored=lacked)
    return snapshotter


def _meets(run: Run) -> bool:
    """Let the first process tell the others what they train, and in which folder; False when there is nothing to."""
    metrics = run.settings.metrics
    facts = {
        "pictures": run.dataset.fingerprint,
        "network": run.start.facts.get("sha256"),
        "choice of metrics": [metrics.extractor, metrics.num_fakes],
    }
    told = run.processes.told(json.dumps({**facts, "folder": str(run.folder.resolve()), "nimg": run.nimg}))
    if told == "" or run.processes.group.is_first:
        return told != ""
    theirs = json.loads(told)
    for name, own in facts.items():
        if own != theirs[name]:
            raise UserError(f"process {run.processes.group.rank} has another {name} than the first: share the files")
    run.folder = Path(theirs["folder"])
    run.find_state()
    if run.nimg != theirs["nimg"]:
        raise UserError(f"process {run.processes.group.rank} finds another state in {run.folder}: share the folder")
    return True


def _note_passed(run: Run) -> None:
    """Say which marks are not taken any more."""
    snapshot, folder = run.settings.snapshot, run.folder / "snapshots"
    passed = [m for m in run.marks if m * 1000 < run.nimg and not (folder / f"{mark_name(m)}.safetensors").exists()]
    if passed and snapshot.keep_best is None and snapshot.max_gb is None:
        print(f"note       marks already passed are not taken any more: {', '.join(f'{m:g}' for m in passed)} kimg")


def _snapshotter(run: Run, tracker: Tracker | None) -> Snapshotter:
    settings, snapshot, graphs = run.settings, run.settings.snapshot, run.module.step.graphs
    meta = {
        "dataset": {"name": run.dataset.name, "fingerprint": run.dataset.fingerprint},
        "parent": run.start.facts.get("sha256"),
        "run": run.folder.name,
        **run_facts(run.config),
    }
    dtypes = {"fp32": torch.float32, "fp16": torch.float16}
    return Snapshotter(
        run.folder,
        run.module.step.G_ema,
        run.dataset,
        tracker or open_tracker(run.folder, config={}, mode="disabled"),
        meta=meta,
        metrics=settings.metrics,
        measures=run.measures,
        weights_folder=settings.weights,
        dtype=dtypes[snapshot.dtype],
        grid_psi=snapshot.grid_psi,
        keep_best=snapshot.keep_best,
        max_gb=snapshot.max_gb,
        seed=settings.seed,
        group=run.processes.group,
        recorder=None if graphs is None else graphs.recorder,
    )


def _open_tracker(run: Run) -> Tracker:
    settings = run.settings.tracker
    if not (run.folder / "reals.jpg").exists():
        count = min(GRID_COLUMNS * GRID_ROWS, len(run.dataset))
        stride = max(len(run.dataset) // count, 1)
        reals = torch.stack([run.dataset[i * stride][0] for i in range(count)])
        save_jpeg(run.folder / "reals.jpg", image_grid(reals, GRID_COLUMNS))
    return open_tracker(
        run.folder,
        config=dict(run.config),
        mode=settings.mode,
        project=settings.project,
        tags=[run.dataset.name],
    )
