"""The range of every option of `train.py`, checked before anything is opened or written.

Wrong values are answered with the option's name, what was given and what is expected. Options that would have no effect
are refused too: they are mistakes that nobody would notice.
"""

from collections.abc import Mapping
from typing import Any

from ..errors import UserError
from ..metrics import INCEPTION_NVIDIA
from ..networks import NAMES as PRECISIONS
from ..ops import ALLOCATORS, POLICIES
from ..rules import FLAG, Rule, between, check_rules, choice, number, switch, text, whole
from ..tracking import MODES
from ..weights import check_unchanged
from .acceleration import check_acceleration

GROUPS = (
    *("snapshot", "paths", "weights", "dataset", "pretrained", "model", "loss", "augment", "metrics", "tracker"),
    "trainer",
)
EXTRACTORS = {"fid": "inception", "embedded": "embedded", "none": None}  # of each choice of metrics
STRUCTURE_RESOLUTION = 16  # of conf/loss/transfer.yaml


RULES: dict[str, Rule] = {
    "run": Rule("a name, a folder, or null", object, null=True),
    "resume": FLAG,
    "seed": whole(0),
    "batch": whole(1),
    "total_kimg": number(0, null=True),
    "log_kimg": between(0),
    "checkpoint_kimg": between(0),
    "snapshot.dtype": choice("fp32", "fp16"),
    "snapshot.keep_best": whole(1, null=True),
    "snapshot.max_gb": between(0, null=True),
    "snapshot.grid_psi": number(0, 2),
    "paths.runs": text(),
    "weights.folder": text(),
    "weights.mirror": text(null=True),
    "dataset.path": text(),
    "dataset.resolution": whole(8, null=True),
    "dataset.num_images": whole(2),
    "dataset.mirror": FLAG,
    "dataset.on_bad": choice("skip", "error"),
    "dataset.background": text(),
    "pretrained.source": text(null=True),
    "pretrained.fresh_d": FLAG,
    "model.z_dim": whole(1, null=True),
    "model.w_dim": whole(1, null=True),
    "model.channel_base": whole(4, null=True),
    "model.channel_max": whole(1, null=True),
    "model.num_mapping_layers": whole(1, null=True),
    "model.conditional": Rule("true, false or null", bool, null=True),
    "loss.lr_g": number(0),
    "loss.lr_d": number(0),
    "loss.beta1": number(0, 0.9999),
    "loss.beta2": number(0, 0.9999),
    "loss.eps": between(0),
    "loss.r1_gamma": number(0, null=True),
    "loss.r1_interval": whole(1),
    "loss.pl_weight": number(0),
    "loss.pl_interval": whole(1),
    "loss.pl_batch_shrink": whole(1),
    "loss.pl_decay": number(0, 1),
    "loss.style_mixing_prob": number(0, 1),
    "loss.w_avg_beta": number(0, 1),
    "loss.ema_kimg": number(0, null=True),
    "loss.freeze_d": whole(0),
    "loss.freeze_g_resolution": whole(0),
    "loss.freeze_mapping": FLAG,
    "loss.structure_weight": number(0),
    "loss.structure_resolution": whole(4),
    "augment.pipe": text(null=True),
    "augment.augment_p": number(0, 1),
    "augment.ada_target": number(-1, 1, null=True),
    "augment.ada_kimg": between(0, null=True),
    "augment.ada_interval": whole(1),
    "metrics.extractor": choice("embedded", "inception", null=True),
    "metrics.num_fakes": whole(8),
    "metrics.psi": number(0, 2),
    "metrics.patience": whole(1),
    "metrics.weights": choice("published", "nvidia"),
    "metrics.weights_sha256": text(null=True),
    "tracker.mode": choice(*MODES),
    "tracker.project": text(),
    "trainer.accelerator": choice("auto", "cpu", "gpu"),
    "trainer.devices": whole(1),
    "trainer.precision": choice(*PRECISIONS),
    "trainer.ops": choice(*POLICIES),
    "trainer.allocator": choice(*ALLOCATORS),
    "trainer.graphs": switch("auto"),
    "trainer.tf32": FLAG,
    "trainer.compile": FLAG,
    "trainer.profile": FLAG,
    "trainer.progress": FLAG,
}


def check_options(config: Mapping[str, Any]) -> None:
    """Check every option of a plain configuration composed from `conf/train.yaml`.

    Raises:
        UserError: naming the first that cannot be, or that would have no effect.
    """
    check_rules(config, RULES, GROUPS)
    check_unchanged(config["pretrained"])
    check_acceleration(config["trainer"])
    _check_effects(config)


def _check_effects(config: Mapping[str, Any]) -> None:
    loss, augment = config["loss"], config["augment"]
    if loss["structure_weight"] == 0 and loss["structure_resolution"] != STRUCTURE_RESOLUTION:
        raise UserError(
            "loss.structure_resolution has no effect while loss.structure_weight=0: set the weight, or leave it"
        )
    if config["snapshot"]["keep_best"] is not None and config["metrics"]["extractor"] is None:
        raise UserError(
            "snapshot.keep_best needs KID to tell which are best: choose metrics=embedded, or leave it null"
        )
    _check_metrics(config["metrics"])
    pipe, p, target = augment["pipe"], augment["augment_p"], augment["ada_target"]
    if pipe is None and (p or target is not None):
        raise UserError(
            "augment.augment_p and augment.ada_target have no effect without a pipe: choose augment=ada or fixed"
        )
    if pipe is not None and target is None and p == 0:
        raise UserError("augment.augment_p=0 with a fixed probability never augments: set it, or choose augment=none")
    if target is None and augment["ada_kimg"] is not None:
        raise UserError("augment.ada_kimg has no effect without augment.ada_target: choose augment=ada")


def _check_metrics(metrics: Mapping[str, Any]) -> None:
    name, extractor = metrics["name"], metrics["extractor"]
    if EXTRACTORS.get(name, extractor) != extractor:
        raise UserError(f"metrics.extractor={extractor}: metrics={name} measures on {EXTRACTORS[name]}: leave it")
    weights, sha256 = metrics.get("weights", "published"), metrics.get("weights_sha256")
    if weights == "published" and sha256 is not None:
        raise UserError("metrics.weights_sha256 has no effect with metrics.weights=published: its sha256 is known")
    if weights == "nvidia" and sha256 is None:
        raise UserError(
            f"metrics.weights=nvidia runs the program in {INCEPTION_NVIDIA.name}, whose sha256 nobody publishes: get "
            f"it from {INCEPTION_NVIDIA.urls[0]} and give the sha256 of the one you trust as metrics.weights_sha256"
        )
