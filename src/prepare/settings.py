"""What `prepare.py` is asked to do: all options of `conf/prepare.yaml`, and what the small files that they name say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from ..data import MAX_PIXELS, Backdrop, Megapixels, parse_backdrop
from ..fetch import WeightsFolder
from ..files import expanded
from ..options import OptionError, Options, Range, choice
from .crop import CROPS, FILTERS
from .face_settings import FaceSettings, detector_kind
from .farthest import SELECTIONS
from .ferg import DEFAULT_COUNT
from .similarity import PADDINGS, Triple, read_points

RECIPES = ("ferg", "yuanshen", "folder")
OUT_FOLDER = Path("datasets")
DEFAULT_DEDUPE = 6  # of faces
_CONF = Path(__file__).resolve().parents[2] / "conf" / "dataset"
_MAX_ASPECT = 8


@dataclass(frozen=True, kw_only=True)
class AlignSettings(Options):
    """The group `align`, of FERG."""

    points: str | None = None  # file of the points of each character, see `similarity.read_points`
    padding: Annotated[str, choice(*PADDINGS)] | None = None  # beyond the edge of an aligned picture; None for reflect


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(Options):
    """All options of `conf/prepare.yaml`."""

    dataset: Mapping[str, Any]  # which recipe: a choice of `conf/dataset/`, where nothing else is changed
    source: Annotated[Path, "a folder or file"]  # what to read
    out: Annotated[Path, "the path to write"] | None = None  # zip or folder to write; None for the usual place
    format: Literal["zip", "tfrecord"] = "zip"  # of it
    resolution: Annotated[int, Range(8, 4096, binary=True)] | None = 256  # px a side; None keeps the size
    filter: Annotated[str, choice(*FILTERS)] = "lanczos"  # of resizing
    # the middle square, the middle of an aspect padded to a square, or squares only
    crop: Annotated[str, choice(*CROPS)] = "center"
    aspect: Annotated[str, "width over height such as 16/9"] | None = None  # of crop=wide
    background: str = "black"  # behind transparent parts and beside wide pictures
    max_megapixels: Megapixels = MAX_PIXELS / 1e6  # of a source picture, see `decode_picture`
    min_px: Annotated[int, Range(8, 100_000)] | None = None  # shortest side of a source picture
    # bits of the perceptual hash that near-duplicates differ in at most; None for the recipe's usual
    dedupe: Annotated[int, Range(0, 32)] | None = None
    drop: Annotated[str, "a text file"] | None = None  # that lists what to leave out
    count: Annotated[int, Range(2, 1_000_000)] | None = None  # pictures to choose, of FERG
    select: Annotated[str, choice(*SELECTIONS)] | None = None  # how, of FERG
    align: AlignSettings = field(default_factory=AlignSettings)  # to points, of FERG
    faces: FaceSettings = field(default_factory=FaceSettings)  # which are cut out, of yuanshen
    weights: WeightsFolder = field(default_factory=WeightsFolder)  # where the detector of faces is fetched to

    def check(self) -> None:
        """Refuse what has no effect with the recipe, and read the small files."""
        self._check_recipe()
        self._check_size()
        self._check_effects()
        if self.align.padding == "background" and self.backdrop.colour is None:
            raise self.wrong("align.padding", f"background={self.background} is no colour; choose reflect")
        self._check_out()
        _ = self.backdrop, self.points, self.dropped

    @property
    def recipe(self) -> str:
        """How pictures are made: `"ferg"`, `"yuanshen"` or `"folder"`."""
        name = str(self.dataset.get("name"))
        return "folder" if name == "tfrecord" else name

    @property
    def target(self) -> Path:
        """Zip or folder to write."""
        if self.out is not None:
            return self.out
        whole = self.source.resolve()
        name = whole.name if whole.is_dir() else whole.stem
        suffix = ".zip" if self.format == "zip" else ""
        return OUT_FOLDER / f"{self.recipe if self.recipe != 'folder' else name or 'pictures'}{suffix}"

    @property
    def report_folder(self) -> Path:
        """Where report and contact sheets go."""
        name = self.target.stem if self.format == "zip" else self.target.name
        return self.target.with_name(f"{name}-report")

    @property
    def max_pixels(self) -> int:
        """Most pixels of a source picture."""
        return int(self.max_megapixels * 1e6)

    @property
    def near_bits(self) -> int | None:
        """Bits that near-duplicates differ in at most; None keeps all."""
        return DEFAULT_DEDUPE if self.recipe == "yuanshen" and self.dedupe is None else self.dedupe

    @property
    def num_pictures(self) -> int:
        """Pictures to choose, of FERG."""
        return self.count or DEFAULT_COUNT

    @property
    def ratio(self) -> float | None:
        """Width over height of what is padded to a square."""
        return None if self.aspect is None else self.parsed("aspect", _ratio)

    @cached_property
    def backdrop(self) -> Backdrop:
        """Behind transparent parts and beside wide pictures."""
        return self.parsed("background", parse_backdrop)

    @cached_property
    def points(self) -> Mapping[str, Triple] | None:
        """The points of each character, of FERG."""
        return None if self.align.points is None else self.parsed("align.points", read_points)

    @cached_property
    def dropped(self) -> tuple[str, ...]:
        """The lines of the drop list."""
        return () if self.drop is None else self.parsed("drop", _read_drop)

    def choices(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data, without the places of files."""
        known: dict[str, Any] = {
            "dataset": self.recipe,
            "format": self.format,
            "resolution": self.resolution,
            "filter": self.filter,
            "crop": self.crop,
            "aspect": self.ratio,
            "background": "picture" if self.backdrop.sha256 else self.background,
            "background_sha256": self.backdrop.sha256,
            "max_megapixels": self.max_megapixels,
            "min_px": self.min_px,
            "dedupe": self.near_bits,
            "drop": list(self.dropped),
        }
        if self.recipe == "ferg":
            points = None if self.points is None else {k: [list(p) for p in v] for k, v in sorted(self.points.items())}
            align = {"points": points, "padding": self.align.padding or PADDINGS[0]}
            known |= {"count": self.num_pictures, "select": self.select or SELECTIONS[0], "align": align}
        if self.recipe == "yuanshen":
            known["faces"] = self.faces.choices()
        return known

    def _check_recipe(self) -> None:
        name, path = str(self.dataset.get("name")), self.dataset.get("path")
        if name not in (*RECIPES, "tfrecord"):
            raise OptionError("dataset", name, "is not prepared from files: choose ferg, yuanshen or folder")
        if path is not None:
            raise OptionError("dataset.path", path, f"is train.py's; say source={path}")
        usual = yaml.safe_load((_CONF / f"{name}.yaml").read_text())
        for key, value in self.dataset.items():
            if key != "path" and usual.get(key) != value:
                raise OptionError(
                    f"dataset.{key}", value, "is train.py's and has no effect here; see conf/prepare.yaml"
                )

    def _check_size(self) -> None:
        if self.resolution is None and self.recipe != "folder":
            raise self.wrong("resolution", f"give dataset={self.recipe} a resolution")
        if self.resolution is None and self.crop != "keep":
            raise self.wrong("resolution", "keeps the pictures' own size: say crop=keep as well")
        if self.resolution is None:
            self.refuse_changed("has no effect with resolution=null, nothing is resized", "filter")
        if self.crop == "wide" and self.ratio is None:
            raise self.wrong("crop", "needs aspect=WIDTH/HEIGHT, such as aspect=16/9")
        if self.crop != "wide":
            self.refuse_changed(f"has no effect with crop={self.crop}, it is for crop=wide", "aspect")

    def _check_effects(self) -> None:
        elsewhere = f"has no effect with dataset={self.recipe}, it is for dataset="
        if self.recipe == "ferg":
            self.refuse_changed("has no effect with dataset=ferg: select=farthest takes the most different", "dedupe")
        else:
            self.refuse_changed(f"{elsewhere}ferg", "count", "select", "align.points")
        if self.align.points is None:
            self.refuse_changed("has no effect without align.points", "align.padding")
        else:
            self.refuse_changed("has no effect with align.points, which decide what is cut out", "crop")
        if self.recipe == "yuanshen":
            self.refuse_changed("has no effect with dataset=yuanshen: squares about faces are cut out", "crop")
        else:
            self.refuse_changed(f"{elsewhere}yuanshen", "faces.")
        if self.recipe != "yuanshen" or detector_kind(self.faces.detector) not in ("usual", "url"):
            self.refuse_changed("has no effect here: nothing is fetched", "weights.")

    def _check_out(self) -> None:
        out = self.target
        if (out.suffix.lower() == ".zip") != (self.format == "zip"):
            reason = "must end in .zip" if self.format == "zip" else "format=tfrecord writes a folder"
            raise OptionError("out", out, reason)
        here, there = out.resolve(), self.source.resolve()
        if here == there or (there.is_dir() and there in here.parents):
            raise OptionError("out", out, f"lies in the source {self.source}; choose another out=")


def _ratio(given: str) -> float:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(?:[/:x]([0-9]*\.?[0-9]+))?", given)
    numbers = [float(number or 1) for number in match.groups()] if match else [0.0, 1.0]
    value = numbers[0] / numbers[1] if numbers[1] else 0.0
    if not 1 / _MAX_ASPECT <= value <= _MAX_ASPECT or value == 1:
        raise ValueError(
            f"give width over height from 1/{_MAX_ASPECT} to {_MAX_ASPECT}, such as 16/9; squares are crop=center"
        )
    return value


def _read_drop(path: str) -> tuple[str, ...]:
    try:
        lines = expanded(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read ({error}); give a text file, one name or number a line") from error
    entries = [line.split("#", 1)[0].strip() if line.lstrip().startswith("#") else line.strip() for line in lines]
    return tuple(dict.fromkeys(entry for entry in entries if entry))
