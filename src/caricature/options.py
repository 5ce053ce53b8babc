"""The options of `conf/caricature.yaml`: their range, what has no effect, and the settings they make."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..faces import CHOICES
from ..fetch import WeightsFolder
from ..files import expanded
from ..projection import KINDS, PRECISIONS, RECIPES, SPACES, ProjectionSettings, recipe
from ..rules import Rule
from ..runs import DIRECTIONS
from .settings import BlendChoice, CaricatureSettings, FaceChoice, TuningSettings

GROUPS = ("blend", "faces", "projection", "tuning", "page", "paths", "weights")
PLATEAU = ProjectionSettings.plateau
USUAL_PROJECTION = {  # of conf/caricature.yaml
    **{key: None for key in ("space", "steps", "noise", "start", "patience", "batch")},
    **{"recipe": "own", "distance": "auto", "plateau": PLATEAU, "precision": "fp32"},
}


def _whole(low: int, *, null: bool = True) -> Rule:
    return Rule(f"a whole number from {low} up{' or null' if null else ''}", int, low=low, high=2**62, null=null)


def _number(low: float, high: float, words: str, *, null: bool = False) -> Rule:
    return Rule(words + (" or null" if null else ""), float, low=low, high=high, null=null)


def _text(*choices: str, null: bool = False) -> Rule:
    words = " or ".join([*choices, *(["null"] if null else [])]) if choices else f"a text{' or null' if null else ''}"
    return Rule(words, str, null=null, choices=choices)


_NAME = Rule("a name, a file or a folder, or null", object, null=True)
_FLAG = Rule("true or false", bool)
RULES: dict[str, Rule] = {
    "photos": _NAME,
    "codes": _NAME,
    "out": _NAME,
    "run": Rule("latest, a name or a folder", object),
    "base": _text(),
    "sweep": _NAME,
    "snapshot": Rule("a name or kimg, or null", object, null=True),
    "network": _text(null=True),
    "blend.res": _whole(4),
    "blend.direction": _text(*DIRECTIONS, null=True),
    "blend.level": Rule("0, 1 or null", int, low=0, high=1, null=True),
    "blend.width": Rule("a number above 0 or null", float, low=0, open_ends=True, null=True),
    "paste": _FLAG,
    "feather": _number(0, 0.5, "a share from 0 to 0.5"),
    "faces.which": _text(*CHOICES),
    "faces.landmarks": _text(),
    "faces.aligned": _FLAG,
    "faces.align_px": _whole(16, null=False),
    "faces.min_px": _number(0, math.inf, "a number of px", null=True),
    "faces.max_yaw": _number(0, 90, "degrees from 0 to 90", null=True),
    "faces.min_sharpness": _number(0, math.inf, "a number from 0 up", null=True),
    "faces.max_outside": _number(0, 1, "a share from 0 to 1", null=True),
    "projection.recipe": _text(*RECIPES),
    "projection.space": _text(*SPACES, null=True),
    "projection.steps": _whole(1),
    "projection.noise": Rule("true, false or null", bool, null=True),
    "projection.distance": _text(*KINDS),
    "projection.start": _text(null=True),
    "projection.patience": _whole(1),
    "projection.plateau": Rule("a share between 0 and 1", float, low=0, high=1, open_ends=True),
    "projection.precision": _text(*PRECISIONS),
    "projection.batch": _whole(1),
    "tuning.steps": _whole(0, null=False),
    "tuning.lr": Rule("a number above 0", float, low=0, open_ends=True),
    "tuning.stop": _number(0, math.inf, "a number from 0 up"),
    "seed": _whole(0, null=False),
    "device": _text(),
    "paths.runs": _text(),
}


def settings_of_config(config: Mapping[str, Any]) -> CaricatureSettings:
    """Make settings of a plain configuration composed from `conf/caricature.yaml`.

    Raises:
        UserError: naming the value that cannot be, or that would have no effect.
    """
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            raise UserError(f"{group}={config.get(group)}: is a group of options (see conf/), it cannot be replaced")
    for key, rule in RULES.items():
        group, _, name = key.rpartition(".")
        value = (config[group] if group else config)[name]
        if not rule.allows(value):
            raise UserError(f"{key}={value}: give {rule.expected}")
    _check_effects(config)
    if config["codes"] is not None:
        _check_with_codes(config)
    blend, projection, page = config["blend"], dict(config["projection"]), config["page"]
    start, batch = projection.pop("start"), projection.pop("batch")
    resolutions = page["resolutions"]
    if resolutions != "auto" and not _are_whole(resolutions):
        raise UserError(f"page.resolutions={resolutions}: give auto, or a list such as [8,16,32]")
    if not isinstance(page["strengths"], list | tuple):
        raise UserError(f"page.strengths={page['strengths']}: give a list such as [0,0.5,1]")
    schedule = recipe(projection.pop("recipe"), **projection)
    if schedule.patience is not None and schedule.patience >= schedule.steps:
        raise UserError(
            f"projection.patience={schedule.patience} has no effect: there are {schedule.steps} steps; give fewer"
        )
    sweep = config["sweep"]
    return CaricatureSettings(
        photos=_as_path(config["photos"]),
        codes=_as_path(config["codes"]),
        out=_as_path(config["out"]),
        blend=BlendChoice(
            config["snapshot"],
            blend["res"],
            blend["direction"],
            blend["level"],
            blend["width"],
            None if sweep is None else str(sweep),
        ),
        faces=FaceChoice(**config["faces"]),
        projection=schedule,
        start=start,
        batch=batch,
        tuning=TuningSettings(**config["tuning"]),
        weights=WeightsFolder(**config["weights"]),
        page_strengths=tuple(page["strengths"]),
        page_resolutions=None if resolutions == "auto" else tuple(resolutions),
        **{key: config[key] for key in ("run", "base", "network", "strength", "paste", "feather", "seed", "device")},
    )


def _check_effects(config: Mapping[str, Any]) -> None:
    projection, faces = config["projection"], config["faces"]
    if projection["patience"] is None and projection["plateau"] != PLATEAU:
        raise UserError("projection.plateau has no effect without projection.patience: set it, or leave the plateau")
    tuning = TuningSettings(**config["tuning"])
    if tuning.steps == 0 and tuning != TuningSettings():
        raise UserError("tuning.lr and tuning.stop have no effect with tuning.steps=0: set the steps")
    if not config["paste"] and config["feather"] != CaricatureSettings.feather:
        raise UserError("feather has no effect with paste=false")
    if config["network"] is not None and config["base"] != "auto" and config["run"] != "latest":
        raise UserError("run has no effect beside network= and base=: leave one of them out")
    if config["network"] is not None and config["page"]["resolutions"] != "auto":
        raise UserError("page.resolutions has no effect with network=: its slider is of a run's blends")
    if faces["aligned"]:
        usual = {key: getattr(FaceChoice, key) for key in FaceChoice.__dataclass_fields__ if key != "aligned"}
        changed = [key for key, value in usual.items() if faces[key] != value]
        if changed:
            raise UserError(
                f"faces.{changed[0]} has no effect with faces.aligned=true: the pictures are taken as they are"
            )


def _check_with_codes(config: Mapping[str, Any]) -> None:
    """Nothing is found, projected or pasted where there are codes alone."""
    usual = {
        "faces": vars(FaceChoice()),
        "projection": USUAL_PROJECTION,
        "": {key: getattr(CaricatureSettings, key) for key in ("paste", "feather", "seed")},
    }
    for group, values in usual.items():
        given = config[group] if group else config
        for key, value in values.items():
            if given[key] != value:
                name = f"{group}.{key}" if group else key
                raise UserError(f"{name} has no effect with codes=: they are rendered as they are")


def _as_path(value: Any) -> Path | None:
    return None if value is None else expanded(str(value))


def _are_whole(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in values)
