"""A run's training by Lightning: which callbacks act between iterations, and what they are told by."""

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ..data import PictureDataModule
from ..device import peak_memory
from ..signals import Stopped
from ..tracking import Tracker
from . import callbacks as cb
from .checkpoint import AtomicCheckpointIO
from .device import device_of
from .header import print_end
from .module import GanModule
from .opened_run import Run
from .profiling import ProfileCallback, check_profile
from .run_folder import update_run_json
from .snapshots import Snapshotter
from .trainer import make_trainer

if TYPE_CHECKING:
    from .choice import ChoiceWatch


def fit(run: Run, tracker: Tracker | None, snapshotter: Snapshotter) -> Stopped | None:
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
    watch = _choice_watch(run)
    if watch is not None:
        snapshotter.chosen = watch.chosen
    over = None if watch is None else partial(_over, run, watch)
    stop = cb.StopCallback(total_kimg, signals, checkpoint, snapshots, over)
    silent = tracker is None or not settings.trainer.progress
    trainer = make_trainer(
        device_of(settings.trainer),
        folder,
        AtomicCheckpointIO(lambda: update_run_json(folder, checkpointed=True), run.checkpoint, run.claim),
        [
            signals,
            *([] if run.claim is None else [cb.HeldGuard(run.claim, [log, checkpoint, stop])]),
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
    data = _pictures(run)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")  # advice on workers, on srun
        path = None if run.checkpoint is None else run.checkpoint.path
        trainer.fit(run.module, datamodule=data, ckpt_path=path, weights_only=True)
    if tracker is not None:
        snapshotter.finish()
    print_end(run, log.img_per_sec, signals.stopped)
    return signals.stopped


def _pictures(run: Run) -> PictureDataModule:
    """The data set as Lightning takes it; says where its pictures lie."""
    data = PictureDataModule(
        run.dataset,
        run.module.step.batch_size,
        seed=run.settings.seed,
        mirror=run.settings.dataset.mirror,
        device=run.compute.device,
        group=run.processes.group,
    )
    if data.device.type == "cuda":
        print(
            f"pictures   {'in the memory of the device' if data.on_device() else 'copied batch by batch'}", flush=True
        )
    return data


def _choice_watch(run: Run) -> "ChoiceWatch | None":
    """What tells after a snapshot whether the best choice has long been passed; None where nobody asks."""
    patience = run.settings.snapshot.stop
    if patience is None:
        return None
    from .choice import ChoiceWatch  # and with it all that a sweep needs

    return ChoiceWatch(run.folder, patience, device=run.compute.device.type, weights=run.settings.weights)


def _over(run: Run, watch: "ChoiceWatch") -> bool:
    """Whether the first process's watch says so."""
    group = run.processes.group
    return bool(group.largest(int(group.is_first and watch.over())))


def _found_taken(run: Run, kimg: float) -> bool:
    """Whether the first process finds the snapshot of a mark."""
    group = run.processes.group
    return bool(group.largest(int(group.is_first and run.is_taken(kimg))))


def _unheard(*_: Any) -> None:
    """What another process than the first has to tell."""


def _extra(module: GanModule) -> dict[str, float]:
    step, values = module.step, {}
    if step.ada is not None:
        p, rt = torch.stack([step.ada.p, step.ada.rt]).tolist()
        values = {"ada/p": p, "ada/rt": rt}
    peak = peak_memory(step.pl_mean.device)
    return values if peak is None else values | {"memory/peak_gb": peak / 2**30}


def _profile_facts(run: Run) -> list[str]:
    """Lines for the head of a profile."""
    computes = f"{run.compute.summary(run.processes.threads)}, torch {torch.__version__}"
    return [
        f"Profile of {run.folder.name}: {run.start.G.resolution} px, batch {run.module.step.batch_size}",
        f"{computes}; phases: {run.acceleration.summary()}; {run.compute.ops}",
    ]
