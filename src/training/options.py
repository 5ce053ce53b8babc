"""The range of every option of `train.py`, checked before anything is opened or written.

Wrong values are answered with the option's name, what was given and what is expected. Options that would have no effect
are refused too: they are mistakes that nobody would notice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UserError
from ..tracking import MODES
from ..weights.catalog import check_unchanged
from ..weights.metric_files import INCEPTION_NVIDIA

GROUPS = (
    *("snapshot", "paths", "weights", "dataset", "pretrained", "model", "loss", "augment", "metrics", "tracker"),
    "trainer",
)
EXTRACTORS = {"fid": "inception", "embedded": "embedded", "none": None}  # of each choice of metrics
STRUCTURE_RESOLUTION = 16  # of conf/loss/transfer.yaml


@dataclass(frozen=True)
class Rule:
    """What an option may be.

    Attributes:
        expected: in words.
        kind: its type; a float option takes whole numbers as well.
        low: smallest number.
        high: largest number.
        open_ends: whether `low` and `high` themselves are excluded.
        null: whether null is a value.
        choices: the only values, of a text.
    """

    expected: str
    kind: type
    low: float = -math.inf
    high: float = math.inf
    open_ends: bool = False
    null: bool = False
    choices: tuple[str, ...] = ()

    def allows(self, value: Any) -> bool:
        """Whether `value` is such an option."""
        if value is None:
            return self.null
        if self.kind is object:  # a name: YAML reads some as numbers
            return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
        if self.kind in (str, bool):
            return isinstance(value, self.kind) and (not self.choices or value in self.choices) and value != ""
        if isinstance(value, bool) or not isinstance(value, int if self.kind is int else int | float):
            return False
        inside = self.low < value < self.high if self.open_ends else self.low <= value <= self.high
        return math.isfinite(value) and inside


def _text(null: bool = False) -> Rule:
    return Rule("a text" + (" or null" if null else ""), str, null=null)


def _choice(*choices: str, null: bool = False) -> Rule:
    return Rule(" or ".join([*choices, *(["null"] if null else [])]), str, choices=choices, null=null)


def _whole(low: int, null: bool = False) -> Rule:
    return Rule(f"a whole number from {low} up" + (" or null" if null else ""), int, low=low, high=2**62, null=null)


def _number(low: float, high: float = math.inf, null: bool = False) -> Rule:
    words = f"a number from {low:g} {'up' if high == math.inf else f'to {high:g}'}"
    return Rule(words + (" or null" if null else ""), float, low=low, high=high, null=null)


def _between(low: float, high: float = math.inf, null: bool = False) -> Rule:
    words = f"a number above {low:g}" + ("" if high == math.inf else f" and below {high:g}")
    return Rule(words + (" or null" if null else ""), float, low=low, high=high, open_ends=True, null=null)


_FLAG = Rule("true or false", bool)

RULES: dict[str, Rule] = {
    "run": Rule("a name, a folder, or null", object, null=True),
    "resume": _FLAG,
    "seed": _whole(0),
    "batch": _whole(1),
    "total_kimg": _number(0, null=True),
    "log_kimg": _between(0),
    "checkpoint_kimg": _between(0),
    "snapshot.dtype": _choice("fp32", "fp16"),
    "snapshot.keep_best": _whole(1, null=True),
    "snapshot.max_gb": _between(0, null=True),
    "snapshot.grid_psi": _number(0, 2),
    "paths.runs": _text(),
    "weights.folder": _text(),
    "weights.mirror": _text(null=True),
    "dataset.path": _text(),
    "dataset.resolution": _whole(8, null=True),
    "dataset.num_images": _whole(2),
    "dataset.mirror": _FLAG,
    "dataset.on_bad": _choice("skip", "error"),
    "dataset.background": _text(),
    "pretrained.source": _text(null=True),
    "pretrained.fresh_d": _FLAG,
    "model.z_dim": _whole(1, null=True),
    "model.w_dim": _whole(1, null=True),
    "model.channel_base": _whole(4, null=True),
    "model.channel_max": _whole(1, null=True),
    "model.num_mapping_layers": _whole(1, null=True),
    "model.conditional": Rule("true, false or null", bool, null=True),
    "loss.lr_g": _number(0),
    "loss.lr_d": _number(0),
    "loss.beta1": _number(0, 0.9999),
    "loss.beta2": _number(0, 0.9999),
    "loss.eps": _between(0),
    "loss.r1_gamma": _number(0, null=True),
    "loss.r1_interval": _whole(1),
    "loss.pl_weight": _number(0),
    "loss.pl_interval": _whole(1),
    "loss.pl_batch_shrink": _whole(1),
    "loss.pl_decay": _number(0, 1),
    "loss.style_mixing_prob": _number(0, 1),
    "loss.w_avg_beta": _number(0, 1),
    "loss.ema_kimg": _number(0, null=True),
    "loss.freeze_d": _whole(0),
    "loss.freeze_g_resolution": _whole(0),
    "loss.freeze_mapping": _FLAG,
    "loss.structure_weight": _number(0),
    "loss.structure_resolution": _whole(4),
    "augment.pipe": _text(null=True),
    "augment.augment_p": _number(0, 1),
    "augment.ada_target": _number(-1, 1, null=True),
    "augment.ada_kimg": _between(0, null=True),
    "augment.ada_interval": _whole(1),
    "metrics.extractor": _choice("embedded", "inception", null=True),
    "metrics.num_fakes": _whole(8),
    "metrics.psi": _number(0, 2),
    "metrics.patience": _whole(1),
    "metrics.weights": _choice("published", "nvidia"),
    "metrics.weights_sha256": _text(null=True),
    "tracker.mode": _choice(*MODES),
    "tracker.project": _text(),
    "trainer.accelerator": _choice("auto", "cpu", "gpu"),
    "trainer.devices": _whole(1),
    "trainer.precision": _text(),
    "trainer.progress": _FLAG,
}


def check_options(config: Mapping[str, Any]) -> None:
    """Check every option of a plain configuration composed from `conf/train.yaml`.

    Raises:
        UserError: naming the first that cannot be, or that would have no effect.
    """
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            raise UserError(f"{group}={config.get(group)}: is a group of options (see conf/), it cannot be replaced")
    for key, rule in RULES.items():
        group, _, name = key.rpartition(".")
        options = config[group] if group else config
        if name in options and not rule.allows(options[name]):
            raise UserError(f"{key}={options[name]}: give {rule.expected}")
    check_unchanged(config["pretrained"])
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
