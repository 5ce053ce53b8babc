"""`python train.py`: everything from a plain configuration to a finished run folder. Running it again continues."""

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..data import PictureDataModule, PictureDataset, image_grid, save_jpeg
from ..errors import UserError
from ..files import read_json
from ..lock import Claim
from ..metrics import choose_metrics
from ..options import read
from ..signals import Stopped
from ..tracking import Tracker, lacks_rows, open_tracker, write_run_report
from . import callbacks as cb
from .checkpoint import AtomicCheckpointIO, Checkpoint, find_checkpoint, has_checkpoint
from .device import Acceleration, Compute, accelerate, choose_acceleration, device_of, open_compute
from .fork import fork_line
from .identity import LOCK, open_run_folder, run_facts, run_folder, update_run_json
from .module import GanModule
from .origin import find_origin, keep_origin, load_origin
from .processes import Processes
from .profiling import ProfileCallback, check_profile
from .schedule import mark_name, passed_marks, run_length, snapshot_marks
from .settings import TrainSettings
from .setup import Start, build_dataset, build_networks, build_step
from .snapshots import GRID_COLUMNS, GRID_ROWS, Snapshotter, configured_extractor, is_taken, measured_on
from .trainer import make_trainer


@dataclass
class Run:
    """The objects of one run, in one of its processes."""

    config: Mapping[str, Any]
    settings: TrainSettings
    dataset: PictureDataset
    start: Start
    module: GanModule
    compute: Compute
    acceleration: Acceleration
    processes: Processes
    measures: str
    folder: Path = Path()
    checkpoint: Checkpoint | None = None

    @property
    def marks(self) -> list[float]:
        """When snapshots are taken, in kimg."""
        return snapshot_marks(self.settings.snapshot.kimg, self.settings.total_kimg)

    @property
    def total_kimg(self) -> float:
        """The end."""
        return run_length(self.settings.snapshot.kimg, self.settings.total_kimg)

    @property
    def nimg(self) -> int:
        """Where it goes on; -1 for a run that begins."""
        return -1 if self.checkpoint is None else self.checkpoint.nimg

    def find_state(self) -> None:
        """Read the state from which it goes on, once the folder is known."""
        self.checkpoint = find_checkpoint(self.folder / "checkpoints") if self.settings.resume else None
        # the options of a fork may have added ADA's state
        self.module.strict_loading = "forked" not in read_json(self.folder / "run.json")

    def is_taken(self, kimg: float) -> bool:
        """Whether the snapshot of a mark is there."""
        return is_taken(self.folder, kimg, measured=self.settings.metrics.extractor is not None)


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
    if origin is not None and origin.is_kept and not _goes_on(config, dataset, origin.sha256):
        origin = load_origin(settings)
    start = build_networks(settings, dataset, origin)
    compute = open_compute(settings.trainer, start.G.resolution)
    before = measured_on(run_folder(config, dataset, start.facts.get("sha256")))
    metrics, measures = choose_metrics(
        settings.metrics, start.G.resolution, settings.weights, compute.device, before=before
    )
    settings = replace(settings, metrics=metrics)
    configured_extractor(metrics, settings.weights)  # its weights are at hand before anything is written
    step = build_step(settings, start, compute, processes.group)
    accelerate(step, acceleration)
    run = Run(config, settings, dataset, start, GanModule(step), compute, acceleration, processes, measures)
    with ExitStack() as held:
        if processes.group.is_first:
            parent = start.facts.get("sha256")
            run.folder = open_run_folder(config, dataset, parent, ops=compute.ops, held=held)
            keep_origin(run.folder, origin, settings.pretrained.source)
        return run.folder, _go_on(run)


def _goes_on(config: Mapping[str, Any], dataset: PictureDataset, parent: str) -> bool:
    """Whether there is a state of this run, or of the one that it is a fork of."""
    return has_checkpoint(run_folder(config, dataset, parent) / "checkpoints") or config["resume"] == "fork"


def _go_on(run: Run) -> Stopped | None:
    """Train from where the run is; one that is there already is only shown, as far as it is not yet."""
    if not run.processes.group.is_first:
        return _fit(run, None, _snapshotter(run, None)) if _meets(run) else None
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
        _print_header(run, "nothing to train")
        return
    tracker = _open_tracker(run)
    try:
        _print_header(run, tracker.status)
        _restored(run, tracker).finish()
    finally:
        tracker.finish()


def _train_on(run: Run) -> Stopped | None:
    """The first process's way from the log to the end of training."""
    tracker = _open_tracker(run)
    try:
        _print_header(run, tracker.status)
        snapshotter = _restored(run, tracker)
        _note_passed(run)
        run.processes.start(run.config)
        _meets(run)
        return _fit(run, tracker, snapshotter)
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
    facts = {"pictures": run.dataset.fingerprint, "network": run.start.facts.get("sha256")}
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


def _fit(run: Run, tracker: Tracker | None, snapshotter: Snapshotter) -> Stopped | None:
    """Let Lightning train; a process without a tracker takes part and writes nothing."""
    settings, folder, total_kimg, group = run.settings, run.folder, run.total_kimg, run.processes.group
    if settings.trainer.profile:
        check_profile(run.module.step, max(run.nimg, 0), total_kimg)
    log = cb.LogCallback(
        _unheard if tracker is None else tracker.log,
        settings.log_kimg,
        extra=lambda: _extra(run.module),
        speed=_unheard if tracker is None else lambda value: update_run_json(folder, img_per_sec=round(value, 2)),
    )
    signals = cb.SignalCallback(group)
    snapshots = cb.SnapshotCallback(run.marks, snapshotter.take, partial(_found_taken, run))
    checkpoint = cb.CheckpointCallback(folder / "checkpoints", settings.checkpoint_kimg, snapshots)
    stop = cb.StopCallback(total_kimg, signals, checkpoint, snapshots, _watch(run))
    claim = Claim(folder / LOCK)
    silent = tracker is None or not settings.trainer.progress
    trainer = make_trainer(
        device_of(settings.trainer),
        folder,
        AtomicCheckpointIO(lambda: update_run_json(folder, checkpointed=True), run.checkpoint, claim.check),
        [
            signals,
            *([] if tracker is None else [cb.HeldGuard(claim, [log, checkpoint, stop])]),
            cb.FiniteGuard(folder, [log, checkpoint, stop]),
            log,
            checkpoint,
            snapshots,
            cb.ProgressCallback(total_kimg, log, disable=True if silent else None),
            *([ProfileCallback(folder, _profile_facts(run))] if settings.trainer.profile and group.is_first else []),
            stop,
        ],
        run.processes.environment,
    )
    data = PictureDataModule(
        run.dataset,
        run.module.step.batch_size,
        seed=settings.seed,
        mirror=settings.dataset.mirror,
        device=run.compute.device,
        group=group,
    )
    if data.device.type == "cuda":
        print(
            f"pictures   {'in the memory of the device' if data.on_device() else 'copied batch by batch'}", flush=True
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")  # advice on workers, on srun
        path = None if run.checkpoint is None else run.checkpoint.path
        trainer.fit(run.module, datamodule=data, ckpt_path=path, weights_only=True)
    if tracker is not None:
        snapshotter.finish()
    _print_end(run, log, signals.stopped)
    return signals.stopped


def _watch(run: Run) -> Callable[[], bool] | None:
    """What tells after a snapshot whether the best choice has long been passed; None where nobody asks."""
    patience = run.settings.snapshot.stop
    if patience is None:
        return None
    from .choice import ChoiceWatch  # and with it all that a sweep needs

    watch = ChoiceWatch(run.folder, patience, device=run.compute.device.type, weights=run.settings.weights)
    group = run.processes.group
    return lambda: bool(group.largest(int(group.is_first and watch.over())))


def _found_taken(run: Run, kimg: float) -> bool:
    """Whether the first process finds the snapshot of a mark."""
    group = run.processes.group
    return bool(group.largest(int(group.is_first and run.is_taken(kimg))))


def _unheard(*_: Any) -> None:
    """What another process than the first has to tell."""


def _note_passed(run: Run) -> None:
    """Say which marks are not taken any more."""
    snapshot, folder = run.settings.snapshot, run.folder / "snapshots"
    passed = [m for m in run.marks if m * 1000 < run.nimg and not (folder / f"{mark_name(m)}.safetensors").exists()]
    if passed and snapshot.keep_best is None and snapshot.max_gb is None:
        print(f"note       marks already passed are not taken any more: {', '.join(f'{m:g}' for m in passed)} kimg")


def _snapshotter(run: Run, tracker: Tracker | None) -> Snapshotter:
    settings, snapshot = run.settings, run.settings.snapshot
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


def _extra(module: GanModule) -> dict[str, float]:
    step, values = module.step, {}
    if step.ada is not None:
        p, rt = torch.stack([step.ada.p, step.ada.rt]).tolist()
        values = {"ada/p": p, "ada/rt": rt}
    if torch.cuda.is_available():
        values["memory/peak_gb"] = torch.cuda.max_memory_allocated() / 2**30
        return values
    with suppress(ImportError):  # Windows does not count it
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        values["memory/peak_gb"] = peak / (2**30 if sys.platform == "darwin" else 2**20)
    return values


def _profile_facts(run: Run) -> list[str]:
    """Lines for the head of a profile."""
    return [
        f"Profile of {run.folder.name}: {run.start.G.resolution} px, batch {run.module.step.batch_size}",
        f"{run.compute.summary()}, torch {torch.__version__}; phases: {run.acceleration.summary()}; {run.compute.ops}",
    ]


def _print_header(run: Run, tracking: str) -> None:
    G, D = run.module.step.G, run.module.step.D
    count = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (G, D)]
    start = run.start.facts.get("source", "fresh networks")
    lines = [
        f"run        {run.folder}" + (f" (continues {run.checkpoint.path.name})" if run.checkpoint else ""),
        f"data       {run.dataset.report.summary()}",
        f"networks   {G.resolution} px, G {count[0]:.2f} M, D {count[1]:.2f} M parameters, from {start}",
        f"training   to {run.total_kimg:g} kimg, batch {run.module.step.batch_size}{_parts(run.module)}, "
        f"{len({*run.marks, run.total_kimg})} snapshots",
        f"computes   {run.compute.summary()}, torch {torch.__version__}",
        f"phases     {run.acceleration.summary()}",
        f"ops        {run.compute.ops}",
        f"metrics    {run.measures}",
        f"tracking   {tracking}",
    ]
    lines += fork_line(read_json(run.folder / "run.json"))
    if run.start.facts.get("fresh"):
        lines.append(f"fresh      {', '.join(run.start.facts['fresh'])}")
    print("\n".join(lines), flush=True)


def _parts(module: GanModule) -> str:
    """How the batch is divided, for the header; nothing where it is not."""
    world, rounds = module.step.group.world, module.step.rounds
    return (f" on {world} devices" if world > 1 else "") + (f" in {rounds} rounds" if rounds > 1 else "")


def _print_end(run: Run, log: cb.LogCallback, stopped: Stopped | None) -> None:
    at = f"{run.module.nimg / 1000:g} kimg"
    speed = "" if log.img_per_sec is None else f", {log.img_per_sec:.1f} img/s"
    if stopped is not None:
        print(f"stopped by {stopped} at {at}{speed}; everything is saved: the same command continues")
    else:
        print(f"done: {at}{speed}")
