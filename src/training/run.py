"""`python train.py`: everything from a plain configuration to a finished run folder. Running it again continues."""

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..data import PictureDataModule, PictureDataset, image_grid, save_jpeg
from ..files import read_json
from ..lock import Claim
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
from .profiling import ProfileCallback, check_profile
from .schedule import mark_name, passed_marks, run_length, snapshot_marks
from .settings import TrainSettings
from .setup import Start, build_dataset, build_networks, build_step
from .snapshots import GRID_COLUMNS, GRID_ROWS, Snapshotter, configured_extractor, is_taken
from .trainer import make_trainer


@dataclass
class Run:
    """The objects of one run."""

    folder: Path
    config: Mapping[str, Any]
    settings: TrainSettings
    dataset: PictureDataset
    start: Start
    module: GanModule
    checkpoint: Checkpoint | None
    claim: Claim
    compute: Compute
    acceleration: Acceleration


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
    marks = snapshot_marks(settings.snapshot.kimg, settings.total_kimg)
    total_kimg = run_length(settings.snapshot.kimg, settings.total_kimg)
    acceleration = choose_acceleration(settings.trainer, device_of(settings.trainer))
    configured_extractor(settings.metrics, settings.weights)  # its weights are at hand before anything is written
    origin = find_origin(settings)
    dataset = build_dataset(settings, origin)
    if origin is not None and origin.is_kept and not _goes_on(config, dataset, origin.sha256):
        origin = load_origin(settings)
    start = build_networks(settings, dataset, origin)
    compute = open_compute(settings.trainer, start.G.resolution)
    step = build_step(settings, start, compute)
    accelerate(step, acceleration)
    with ExitStack() as held:
        folder = open_run_folder(config, dataset, start.facts.get("sha256"), ops=compute.ops, held=held)
        keep_origin(folder, origin, settings.pretrained.source)
        checkpoint = find_checkpoint(folder / "checkpoints") if settings.resume else None
        module = GanModule(step)
        module.strict_loading = "forked" not in read_json(folder / "run.json")  # its options may have added ADA's state
        claim = Claim(folder / LOCK)
        run = Run(folder, config, settings, dataset, start, module, checkpoint, claim, compute, acceleration)
        stopped = _go_on(run, total_kimg, marks)
        print(f"report: {write_run_report(folder)}", flush=True)
    if stopped is not None:
        raise stopped
    return folder


def _goes_on(config: Mapping[str, Any], dataset: PictureDataset, parent: str) -> bool:
    """Whether there is a state of this run, or of the one that it is a fork of."""
    return has_checkpoint(run_folder(config, dataset, parent) / "checkpoints") or config["resume"] == "fork"


def _go_on(run: Run, total_kimg: float, marks: list[float]) -> Stopped | None:
    """Train from where the run is; one that is there already is only shown, as far as it is not yet."""
    nimg = -1 if run.checkpoint is None else run.checkpoint.nimg
    last = passed_marks(marks, nimg, run.module.step.batch_size) or [nimg / 1000]
    finished = nimg >= total_kimg * 1000 and all(map(_is_taken(run), last))
    there = f"already at {nimg / 1000:g} kimg; set total_kimg above it to go on"
    if finished and (run.settings.tracker.mode == "disabled" or not lacks_rows(run.folder)):
        _print_header(run, total_kimg, marks, "nothing to train")
        print(there)
        return None
    tracker = _open_tracker(run)
    try:
        _print_header(run, total_kimg, marks, tracker.status)
        snapshotter = _snapshotter(run, tracker)
        lacked = tracker.go_on_at(nimg)
        snapshotter.restore(tracker.read_metrics(), unstored=lacked)
        if not finished:
            return _fit(run, tracker, snapshotter, nimg, total_kimg, marks)
        snapshotter.finish()
        print(there)
        return None
    finally:
        tracker.finish()


def _is_taken(run: Run) -> Callable[[float], bool]:
    return partial(is_taken, run.folder, measured=run.settings.metrics.extractor is not None)


def _fit(
    run: Run, tracker: Tracker, snapshotter: Snapshotter, nimg: int, total_kimg: float, marks: list[float]
) -> Stopped | None:
    settings, folder = run.settings, run.folder
    if settings.trainer.profile:
        check_profile(run.module.step, max(nimg, 0), total_kimg)
    passed = [
        m for m in marks if m * 1000 < nimg and not (folder / "snapshots" / f"{mark_name(m)}.safetensors").exists()
    ]
    if passed and settings.snapshot.keep_best is None and settings.snapshot.max_gb is None:
        print(f"note       marks already passed are not taken any more: {', '.join(f'{m:g}' for m in passed)} kimg")
    log = cb.LogCallback(
        tracker.log,
        settings.log_kimg,
        extra=lambda: _extra(run.module),
        speed=lambda value: update_run_json(folder, img_per_sec=round(value, 2)),
    )
    snapshots = cb.SnapshotCallback(marks, snapshotter.take, _is_taken(run))
    checkpoint = cb.CheckpointCallback(folder / "checkpoints", settings.checkpoint_kimg, snapshots)
    stop = cb.StopCallback(total_kimg, checkpoint, snapshots, _watch(run))
    profiling = [ProfileCallback(folder, _profile_facts(run))] if settings.trainer.profile else []
    trainer = make_trainer(
        device_of(settings.trainer),
        folder,
        AtomicCheckpointIO(lambda: update_run_json(folder, checkpointed=True), run.checkpoint, run.claim.check),
        [
            cb.HeldGuard(run.claim, [log, checkpoint, stop]),
            cb.FiniteGuard(folder, [log, checkpoint, stop]),
            log,
            checkpoint,
            snapshots,
            cb.ProgressCallback(total_kimg, log, disable=None if settings.trainer.progress else True),
            *profiling,
            stop,
        ],
    )
    data = PictureDataModule(
        run.dataset,
        run.module.step.batch_size,
        seed=settings.seed,
        mirror=settings.dataset.mirror,
        device=run.compute.device,
    )
    if data.device.type == "cuda":
        print(
            f"pictures   {'in the memory of the device' if data.on_device() else 'copied batch by batch'}", flush=True
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")  # advice on workers, on srun
        path = None if run.checkpoint is None else run.checkpoint.path
        trainer.fit(run.module, datamodule=data, ckpt_path=path, weights_only=True)
    snapshotter.finish()
    _print_end(run, log, stop.stopped)
    return stop.stopped


def _watch(run: Run) -> Callable[[], bool] | None:
    """What tells after a snapshot whether the best choice has long been passed; None where nobody asks."""
    patience = run.settings.snapshot.stop
    if patience is None:
        return None
    from .choice import ChoiceWatch  # and with it all that a sweep needs

    return ChoiceWatch(run.folder, patience, device=run.compute.device.type, weights=run.settings.weights).over


def _snapshotter(run: Run, tracker: Tracker) -> Snapshotter:
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
        tracker,
        meta=meta,
        metrics=settings.metrics,
        weights_folder=settings.weights,
        dtype=dtypes[snapshot.dtype],
        grid_psi=snapshot.grid_psi,
        keep_best=snapshot.keep_best,
        max_gb=snapshot.max_gb,
        seed=settings.seed,
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


def _print_header(run: Run, total_kimg: float, marks: list[float], tracking: str) -> None:
    G, D = run.module.step.G, run.module.step.D
    count = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (G, D)]
    start = run.start.facts.get("source", "fresh networks")
    lines = [
        f"run        {run.folder}" + (f" (continues {run.checkpoint.path.name})" if run.checkpoint else ""),
        f"data       {run.dataset.report.summary()}",
        f"networks   {G.resolution} px, G {count[0]:.2f} M, D {count[1]:.2f} M parameters, from {start}",
        f"training   to {total_kimg:g} kimg, batch {run.module.step.batch_size}, {len({*marks, total_kimg})} snapshots",
        f"computes   {run.compute.summary()}, torch {torch.__version__}",
        f"phases     {run.acceleration.summary()}",
        f"ops        {run.compute.ops}",
        f"tracking   {tracking}",
    ]
    lines += fork_line(read_json(run.folder / "run.json"))
    if run.start.facts.get("fresh"):
        lines.append(f"fresh      {', '.join(run.start.facts['fresh'])}")
    print("\n".join(lines), flush=True)


def _print_end(run: Run, log: cb.LogCallback, stopped: Stopped | None) -> None:
    at = f"{run.module.nimg / 1000:g} kimg"
    speed = "" if log.img_per_sec is None else f", {log.img_per_sec:.1f} img/s"
    if stopped is not None:
        print(f"stopped by {stopped} at {at}{speed}; everything is saved: the same command continues")
    else:
        print(f"done: {at}{speed}")
