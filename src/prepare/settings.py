"""What `prepare.py` is asked to do: the range of every option, and one checked object."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import expanded
from ..rules import Rule, check_rules, choice, text, whole
from .backdrop import BLACK, Backdrop, parse_backdrop
from .crop import CROPS, FILTERS
from .face_settings import DEFAULT_DEDUPE, FACE_RULES, FaceCrops, detector_kind, face_crops
from .farthest import SELECTIONS
from .ferg import DEFAULT_COUNT
from .similarity import PADDINGS, Triple, read_points

RECIPES = ("ferg", "yuanshen", "folder")
FORMATS = ("zip", "tfrecord")
OUT_FOLDER = Path("datasets")
_CONF = Path(__file__).resolve().parents[2] / "conf" / "dataset"
_MAX_ASPECT = 8

RULES: dict[str, Rule] = {
    "source": Rule("a folder or file", object),
    "out": Rule("the path to write, or null", object, null=True),
    "format": choice(*FORMATS),
    "resolution": whole(8, 4096, null=True),
    "filter": choice(*FILTERS),
    "crop": choice(*CROPS),
    "aspect": Rule("width over height such as 16/9, or null", object, null=True),
    "background": text(),
    "min_px": whole(8, 100_000, null=True),
    "dedupe": whole(0, 32, null=True),
    "drop": Rule("a text file, or null", object, null=True),
    "count": whole(2, 1_000_000, null=True),
    "select": choice(*SELECTIONS, null=True),
    "align.points": text(null=True),
    "align.padding": choice(*PADDINGS, null=True),
    **FACE_RULES,
}


@dataclass(frozen=True)
class PrepareSettings:
    """Checked options; `conf/prepare.yaml` has the same names.

    Attributes:
        recipe: `"ferg"`, `"yuanshen"` or `"folder"`.
        source: what to read.
        out: zip or folder to write.
        out_given: whether it was asked for; the usual place is not taken from a set of another source.
        format: `"zip"` or `"tfrecord"`.
        resolution: px a side, or None to keep the size.
        filter: of resizing.
        crop: `"center"`, `"wide"`, `"keep"`.
        aspect: width over height, of `"wide"`.
        backdrop: behind transparent parts and beside wide pictures.
        min_px: shortest side of a source picture, or None.
        dedupe: bits of the perceptual hash that near-duplicates differ in at most, or None.
        drop: lines of the drop list.
        count: pictures to choose, of FERG.
        select: how, of FERG.
        points: triple of each character, of FERG, or None.
        padding: beyond the edge of an aligned picture.
        faces: which are cut out, of yuanshen, else None.
        weights: where the detector's file lies and comes from.
    """

    recipe: str
    source: Path
    out: Path
    format: str = "zip"
    resolution: int | None = 256
    filter: str = "lanczos"
    crop: str = "center"
    aspect: float | None = None
    backdrop: Backdrop = BLACK
    min_px: int | None = None
    dedupe: int | None = None
    drop: tuple[str, ...] = ()
    count: int = DEFAULT_COUNT
    select: str = "stride"
    points: Mapping[str, Triple] | None = None
    padding: str = "reflect"
    faces: FaceCrops | None = None
    out_given: bool = True
    weights: WeightsFolder = DEFAULT_FOLDER

    def choices(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data, without the places of files."""
        known: dict[str, Any] = {
            "dataset": self.recipe,
            "format": self.format,
            "resolution": self.resolution,
            "filter": self.filter,
            "crop": self.crop,
            "aspect": self.aspect,
            "background": "picture" if self.backdrop.sha256 else self.backdrop.option,
            "background_sha256": self.backdrop.sha256,
            "min_px": self.min_px,
            "dedupe": self.dedupe,
            "drop": list(self.drop),
        }
        if self.recipe == "ferg":
            points = None if self.points is None else {k: [list(p) for p in v] for k, v in sorted(self.points.items())}
            known |= {"count": self.count, "select": self.select, "align": {"points": points, "padding": self.padding}}
        if self.faces is not None:
            known["faces"] = self.faces.choices()
        return known

    @property
    def report_folder(self) -> Path:
        """Where report and contact sheets go."""
        name = self.out.stem if self.format == "zip" else self.out.name
        return self.out.with_name(f"{name}-report")


def prepare_settings(config: Mapping[str, Any]) -> PrepareSettings:
    """Check a plain configuration composed from `conf/prepare.yaml`, and read the small files that it names.

    Raises:
        UserError: naming the first option that cannot be, or that would have no effect.
    """
    check_rules(config, RULES, ("dataset", "align", "faces", "weights"))
    recipe = _recipe(config["dataset"])
    _check_effects(config, recipe)
    backdrop = parse_backdrop(config["background"])
    align = config["align"]
    if align["padding"] == "background" and backdrop.colour is None:
        raise UserError(f"align.padding=background: background={backdrop.option} is no colour; choose reflect")
    source = expanded(str(config["source"]))
    return PrepareSettings(
        recipe,
        source,
        _out(config["out"], recipe, source, config["format"]),
        format=config["format"],
        resolution=_resolution(config),
        filter=config["filter"],
        crop=config["crop"],
        aspect=_aspect(config["aspect"], config["crop"]),
        backdrop=backdrop,
        min_px=config["min_px"],
        dedupe=DEFAULT_DEDUPE if recipe == "yuanshen" and config["dedupe"] is None else config["dedupe"],
        drop=_read_drop(config["drop"]),
        count=config["count"] or DEFAULT_COUNT,
        select=config["select"] or SELECTIONS[0],
        points=None if align["points"] is None else read_points(align["points"]),
        padding=align["padding"] or PADDINGS[0],
        faces=face_crops(config["faces"]) if recipe == "yuanshen" else None,
        out_given=config["out"] is not None,
        weights=WeightsFolder(**config["weights"]),
    )


def _recipe(dataset: Mapping[str, Any]) -> str:
    name = str(dataset.get("name"))
    if name not in (*RECIPES, "tfrecord"):
        raise UserError(f"dataset={name} is not prepared from files: choose dataset={' or dataset='.join(RECIPES)}")
    if dataset["path"] is not None:
        raise UserError(f"dataset.path={dataset['path']}: is train.py's; say source={dataset['path']}")
    usual = yaml.safe_load((_CONF / f"{name}.yaml").read_text())
    for key, value in dataset.items():
        if key != "path" and usual.get(key) != value:
            raise UserError(f"dataset.{key}={value}: is train.py's and has no effect here; see conf/prepare.yaml")
    return "folder" if name == "tfrecord" else name


def _check_effects(config: Mapping[str, Any], recipe: str) -> None:
    align = config["align"]
    for key, value in (("count", config["count"]), ("select", config["select"]), ("align.points", align["points"])):
        if recipe != "ferg" and value is not None:
            raise UserError(f"{key}={value}: has no effect with dataset={recipe}, it is for dataset=ferg")
    if recipe == "ferg" and config["dedupe"] is not None:
        raise UserError("dedupe has no effect with dataset=ferg: select=farthest takes the most different frames")
    if align["padding"] is not None and align["points"] is None:
        raise UserError(f"align.padding={align['padding']}: has no effect without align.points")
    if align["points"] is not None and config["crop"] != "center":
        raise UserError(f"crop={config['crop']}: has no effect with align.points, which decide what is cut out")
    if recipe != "folder" and config["resolution"] is None:
        raise UserError(f"resolution=null: give dataset={recipe} a resolution")
    _check_face_effects(config, recipe)


def _check_face_effects(config: Mapping[str, Any], recipe: str) -> None:
    if recipe == "yuanshen" and config["crop"] != "center":
        raise UserError(f"crop={config['crop']}: has no effect with dataset=yuanshen: squares about faces are cut out")
    if recipe != "yuanshen":
        for key, value in {f"faces.{k}": v for k, v in config["faces"].items() if v is not None}.items():
            raise UserError(f"{key}={value}: has no effect with dataset={recipe}, it is for dataset=yuanshen")
    detector = config["faces"]["detector"]
    fetches = recipe == "yuanshen" and detector_kind(detector) in ("usual", "url")
    if not fetches and dict(config["weights"]) != {"folder": "weights", "mirror": None}:
        what = f"faces.detector={detector}" if recipe == "yuanshen" else f"dataset={recipe}"
        raise UserError(f"weights has no effect with {what}, for which nothing is fetched")


def _resolution(config: Mapping[str, Any]) -> int | None:
    value = config["resolution"]
    if value is None:
        if config["crop"] != "keep":
            raise UserError("resolution=null keeps the pictures' own size: say crop=keep as well")
        if config["filter"] != FILTERS[0]:
            raise UserError(f"filter={config['filter']}: has no effect with resolution=null, nothing is resized")
    elif value & (value - 1):
        raise UserError(f"resolution={value}: must be a power of two, at least 8")
    return None if value is None else int(value)


def _aspect(given: Any, crop: str) -> float | None:
    if crop != "wide":
        if given is not None:
            raise UserError(f"aspect={given}: has no effect with crop={crop}, it is for crop=wide")
        return None
    if given is None:
        raise UserError("crop=wide needs aspect=WIDTH/HEIGHT, such as aspect=16/9")
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(?:[/:x]([0-9]*\.?[0-9]+))?", str(given))
    numbers = [float(number or 1) for number in match.groups()] if match else [0.0, 1.0]
    value = numbers[0] / numbers[1] if numbers[1] else 0.0
    if not 1 / _MAX_ASPECT <= value <= _MAX_ASPECT or value == 1:
        raise UserError(
            f"aspect={given}: give width over height from 1/{_MAX_ASPECT} to {_MAX_ASPECT}, such as 16/9; squares are "
            "crop=center"
        )
    return value


def _out(given: Any, recipe: str, source: Path, form: str) -> Path:
    suffix = ".zip" if form == "zip" else ""
    if given is None:
        whole = source.resolve()
        name = whole.name if whole.is_dir() else whole.stem
        out = OUT_FOLDER / f"{recipe if recipe != 'folder' else name or 'pictures'}{suffix}"
    else:
        out = expanded(str(given))
    if (out.suffix.lower() == ".zip") != (form == "zip"):
        raise UserError(f"out={out}: {'must end in .zip' if form == 'zip' else 'format=tfrecord writes a folder'}")
    here, there = out.resolve(), source.resolve()
    if here == there or (there.is_dir() and there in here.parents):
        raise UserError(f"out={out}: lies in the source {source}; choose another out=")
    return out


def _read_drop(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    try:
        lines = expanded(str(given)).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"drop={given}: cannot be read ({error}); give a text file, one name or number a line"
        ) from error
    entries = [line.split("#", 1)[0].strip() if line.lstrip().startswith("#") else line.strip() for line in lines]
    return tuple(dict.fromkeys(entry for entry in entries if entry))
