"""From configuration to objects: data set and training step."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..data import PictureDataset, open_configured_dataset
from ..errors import UserError
from ..weights import Networks
from .augment import AugmentPipe
from .device import Compute
from .settings import StepSettings
from .start import Start, clone
from .step import TrainingStep

R1_HEURISTIC = 0.0002
EMA_KIMG_PER_BATCH = 10 / 32
TRANSFER_ADA_KIMG, SCRATCH_ADA_KIMG = 100.0, 500.0
SCRATCH_EMA_RAMPUP = 0.05


def build_dataset(config: Mapping[str, Any], networks: Networks | None) -> PictureDataset:
    """Open the configured data set; a pretrained network decides a resolution that is left open."""
    settings = dict(config["dataset"])
    if settings.get("resolution") is None and networks is not None:
        settings["resolution"] = networks.G_ema.resolution
    return open_configured_dataset(settings)


def build_step(config: Mapping[str, Any], start: Start, compute: Compute) -> TrainingStep:
    """Make the training step; null settings take StyleGAN2-ADA's heuristics for one GPU."""
    loss, augment = dict(config["loss"]), dict(config["augment"])
    batch = int(config["batch"])
    group = start.D.config["mbstd_group_size"] or batch
    if batch > group and batch % group:
        raise UserError(
            f"batch={batch}: the discriminator compares pictures in groups of {group} (minibatch standard deviation); "
            f"choose a multiple of {group}, or at most {group}"
        )
    if loss["r1_gamma"] is None:
        loss["r1_gamma"] = R1_HEURISTIC * start.G.resolution**2 / batch
    if loss["ema_kimg"] is None:
        loss["ema_kimg"] = batch * EMA_KIMG_PER_BATCH
    loss["ema_rampup"] = None if start.transferred else SCRATCH_EMA_RAMPUP
    if augment["ada_kimg"] is None:
        augment["ada_kimg"] = TRANSFER_ADA_KIMG if start.transferred else SCRATCH_ADA_KIMG
    known = {field.name for field in fields(StepSettings)}
    values = {k: v for k, v in {**loss, **augment}.items() if k in known}
    pipe = None if augment["pipe"] is None else AugmentPipe.preset(augment["pipe"])
    structure = float(values["structure_weight"]) > 0
    return TrainingStep(
        start.G,
        start.D,
        StepSettings(**values),
        batch_size=batch,
        G_ema=start.G_ema,
        augment=pipe,
        source=clone(start.G_ema) if structure and start.transferred else None,
        precision=compute.precision,
        regularizer_precision=compute.regularizer_precision,
        seed=int(config["seed"]),
    )
