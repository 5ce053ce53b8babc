"""What `generate.py` is asked to do, checked before anything is opened or written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..device import torch_device
from ..errors import UserError
from ..fetch import WeightsFolder
from ..files import expanded
from ..networks import Generator
from ..runs import DIRECTIONS, Recipe
from .seed_ranges import parse_numbers

MODES = ("grid", "truncation", "mix", "pairs", "film")
GROUPS = ("blend", "grid", "truncation", "mix", "pairs", "film", "paths", "weights")
NOISES = ("const", "random", "none")
FORMATS = ("jpg", "png")
FILM_FORMATS = ("mp4", "webp", "gif")
PAIR_COLUMNS = ("best", "resolutions", "snapshots")
SEEDS = {"grid": 36, "truncation": 6, "mix": 4, "pairs": 8, "film": 6}  # how many, when none are asked for
PSI, ROWS_OF_PSI, MIX_SEEDS = 0.7, (0.0, 0.25, 0.5, 0.75, 1.0), range(100, 106)
FRAMES, FPS, MAX_FPS = 24, 24, 120
MAX_GIF_FPS = 50  # a GIF counts in hundredths of a second; players show what is given less than two for ten
MAX_SEED, MAX_CLASS, MAX_LAYER = 2**32 - 1, 9999, 63
MAX_PSI = 4


@dataclass(frozen=True)
class BlendOptions:
    """The group `blend`: resolutions (None for all), and how to blend at them."""

    resolutions: tuple[int, ...] | None
    direction: str
    level: int
    width: float | None

    def recipes(self, G: Generator) -> list[Recipe]:
        """Of the blends at the resolutions asked for, of networks of G's size.

        Raises:
            UserError: for a resolution at which they cannot be blended.
        """
        usual = Recipe(4, self.direction, self.level, self.width)
        recipes = [usual.at(r) for r in self.resolutions or usual.resolutions(G)]
        for recipe in recipes:
            recipe.check_against(G, "blend.res")
        return recipes


@dataclass(frozen=True)
class GenerateSettings:
    """Checked settings; `conf/generate.yaml` says what they mean. None stands for what is decided by the network."""

    mode: str
    network: str | None
    run: str
    runs: str
    snapshot: str | float | list[str | float] | None
    base: str
    blend: BlendOptions | None
    seeds: list[int]
    codes: str | None
    psi: float
    cutoff: int | None
    classes: list[int] | None
    noise: str
    columns: int | None
    rows_of_psi: list[float]
    mix_seeds: list[int]
    mix_layers: list[int] | None
    pair_columns: str
    film_format: str | None
    frames: int
    fps: float
    format: str
    singles: bool
    save_codes: bool
    out: str | None
    device: str
    weights: WeightsFolder


def settings_of_config(config: Mapping[str, Any]) -> GenerateSettings:
    """Make settings of a plain configuration composed from `conf/generate.yaml`.

    Raises:
        UserError: naming the first value that cannot be, or that would have no effect.
    """
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            raise UserError(f"{group}={config.get(group)}: is a group of options (see conf/), it cannot be replaced")
    _check_texts_and_flags(config)
    _check_numbers_and_choices(config)
    _check_blend_values(config["blend"])
    _check_mode_effects(config)
    _check_network_effects(config)
    _check_blend_effects(config)
    mode, mix, film = config["mode"], config["mix"], config["film"]
    seeds, mix_seeds = _numbers("seeds", config["seeds"], MAX_SEED), _numbers("mix.seeds", mix["seeds"], MAX_SEED)
    return GenerateSettings(
        mode=mode,
        network=_place(config["network"]),
        run=str(expanded(str(config["run"]))),
        runs=str(expanded(config["paths"]["runs"])),
        snapshot=_snapshot(config),
        base=_place(config["base"]) or "auto",
        blend=_blend(config),
        seeds=list(range(SEEDS[mode])) if seeds is None else seeds,
        codes=_place(config["codes"]),
        psi=_psi(config),
        cutoff=config["cutoff"],
        classes=_numbers("classes", config["classes"], MAX_CLASS),
        noise=config["noise"],
        columns=config["grid"]["columns"],
        rows_of_psi=_rows_of_psi(config["truncation"]["psi"]),
        mix_seeds=list(MIX_SEEDS) if mix_seeds is None else mix_seeds,
        mix_layers=_numbers("mix.layers", mix["layers"], MAX_LAYER),
        pair_columns=config["pairs"]["columns"] or "best",
        film_format=film["format"],
        frames=film["frames"] or FRAMES,
        fps=film["fps"] or FPS,
        format=config["format"] or "jpg",
        singles=config["singles"],
        save_codes=config["save_codes"],
        out=_place(config["out"]),
        device=config["device"],
        weights=WeightsFolder(**config["weights"]),
    )


def _check_texts_and_flags(config: Mapping[str, Any]) -> None:
    _choice("mode", config["mode"], MODES)
    for key in ("network", "run"):
        value = config[key]
        if not (value is None and key == "network") and (isinstance(value, bool | list | dict) or value in ("", None)):
            raise UserError(f"{key}={value}: give a name or a path")
    for key, value in (("codes", config["codes"]), ("out", config["out"]), ("base", config["base"])):
        if value is not None and (not isinstance(value, str) or not value):
            raise UserError(f"{key}={value}: give a path")
    for key, value in (("paths.runs", config["paths"]["runs"]), ("device", config["device"])):
        if not isinstance(value, str) or not value:
            raise UserError(f"{key}={value}: give a text")
    for key in ("singles", "save_codes"):
        if not isinstance(config[key], bool):
            raise UserError(f"{key}={config[key]}: give true or false")


def _check_numbers_and_choices(config: Mapping[str, Any]) -> None:
    if config["psi"] is not None:
        _check_psi("psi", config["psi"])
    _whole("cutoff", config["cutoff"], 1, MAX_LAYER + 1)
    _choice("noise", config["noise"], NOISES)
    _whole("grid.columns", config["grid"]["columns"], 1, 1000)
    film = config["film"]
    for key, value, choices in (
        ("pairs.columns", config["pairs"]["columns"], PAIR_COLUMNS),
        ("film.format", film["format"], FILM_FORMATS),
        ("format", config["format"], FORMATS),
    ):
        if value is not None:
            _choice(key, value, choices)
    _whole("film.frames", film["frames"], 1, 1000)
    if film["fps"] is not None and (not _is_number(film["fps"]) or not 1 <= film["fps"] <= MAX_FPS):
        raise UserError(f"film.fps={film['fps']}: give a number from 1 to {MAX_FPS}")
    if film["format"] == "gif" and (film["fps"] or FPS) > MAX_GIF_FPS:
        raise UserError(
            f"film.fps={film['fps']}: players slow down a GIF of more than {MAX_GIF_FPS} frames a second: choose "
            "film.format=webp or mp4, or fewer"
        )
    torch_device(config["device"])


def _check_blend_values(blend: Mapping[str, Any]) -> None:
    resolutions = blend["res"] if isinstance(blend["res"], list) else [blend["res"]]
    if not resolutions:
        raise UserError("blend.res is empty: give resolutions such as blend.res=[8,16,32]")
    for r in resolutions:
        if r is not None and (isinstance(r, bool) or not isinstance(r, int) or r < 4 or r & (r - 1)):
            raise UserError(f"blend.res={r}: must be a power of two from 4 up, such as blend.res=8")
    if blend["direction"] is not None:
        _choice("blend.direction", blend["direction"], DIRECTIONS)
    _whole("blend.level", blend["level"], 0, 1)
    width = blend["width"]
    if width is not None and (not _is_number(width) or width <= 0):
        raise UserError(f"blend.width={width}: give a width above 0 in layer positions, or null for a hard switch")


def _check_mode_effects(config: Mapping[str, Any]) -> None:
    mode = config["mode"]
    for group in ("grid", "truncation", "mix", "pairs", "film"):
        given = next((name for name, value in config[group].items() if value is not None), None)
        if given is not None and group != mode:
            raise UserError(f"{group}.{given} has no effect with mode={mode}: choose mode={group}, or leave it")
    if config["codes"] is not None:
        for key in ("seeds", "classes"):
            if config[key] is not None and not (key == "classes" and mode == "mix"):
                raise UserError(f"{key} has no effect with codes={config['codes']}: give one of the two")
    if mode == "truncation" and config["psi"] is not None:
        raise UserError(f"psi={config['psi']} has no effect with mode=truncation: its rows are truncation.psi")
    if mode == "film" and config["format"] is not None:
        raise UserError(f"format={config['format']} has no effect with mode=film: film.format is a film's")
    if config["cutoff"] is not None and _psi(config) == 1 and mode != "truncation":
        raise UserError(f"cutoff={config['cutoff']} has no effect without truncation: set psi below 1")


def _check_network_effects(config: Mapping[str, Any]) -> None:
    if config["network"] is None:
        return
    if config["mode"] == "pairs":
        raise UserError("network has no effect with mode=pairs: it shows the networks of a run (run=NAME)")
    of_a_run = {"run": None if config["run"] == "latest" else config["run"], "snapshot": config["snapshot"]}
    of_a_run["base"] = config["base"]
    of_a_run |= {f"blend.{name}": value for name, value in config["blend"].items()}
    given = next((key for key, value in of_a_run.items() if value is not None), None)
    if given is not None:
        raise UserError(f"{given} has no effect with network={config['network']}: it picks a network of run=")


def _check_blend_effects(config: Mapping[str, Any]) -> None:
    blend, mode, columns = config["blend"], config["mode"], config["pairs"]["columns"] or "best"
    by_resolution = mode == "pairs" and columns == "resolutions"
    if config["base"] is not None and mode != "pairs" and blend["res"] is None:
        raise UserError(f"base={config['base']} has no effect without a blend: give blend.res")
    for name in ("direction", "level", "width"):
        if blend[name] is not None and blend["res"] is None and not by_resolution:
            raise UserError(f"blend.{name} has no effect without a blend: give blend.res")
    if mode == "pairs" and columns == "best":
        for key, value in (("snapshot", config["snapshot"]), ("blend.res", blend["res"])):
            if value is not None:
                raise UserError(
                    f"{key} has no effect with pairs.columns=best, which shows the recommended blend: choose "
                    "pairs.columns=resolutions or snapshots"
                )


def _blend(config: Mapping[str, Any]) -> BlendOptions | None:
    blend = config["blend"]
    given, several = blend["res"], config["pairs"]["columns"] == "resolutions"
    if given is None and not several:
        return None
    resolutions = None if given is None else tuple(given) if isinstance(given, list) else (given,)
    if resolutions is not None and len(resolutions) != 1 and not several:
        raise UserError(f"blend.res={given}: give one resolution; several are for mode=pairs pairs.columns=resolutions")
    return BlendOptions(resolutions, blend["direction"] or "cartoon_low", blend["level"] or 0, blend["width"])


def _snapshot(config: Mapping[str, Any]) -> str | float | list[str | float] | None:
    value, several = config["snapshot"], config["pairs"]["columns"] == "snapshots"
    items = value if isinstance(value, list) else [value]
    if value is not None and not all(isinstance(item, str) or _is_number(item) for item in items):
        raise UserError(f"snapshot={value}: give the name or the kimg of a snapshot")
    if not several and (isinstance(value, list) or value == "all"):
        raise UserError(f"snapshot={value}: give one snapshot; several are for mode=pairs pairs.columns=snapshots")
    return value


def _rows_of_psi(value: Any) -> list[float]:
    if value is None:
        return list(ROWS_OF_PSI)
    rows = value if isinstance(value, list) else [value]
    if not rows:
        raise UserError("truncation.psi is empty: give numbers such as truncation.psi=[0,0.5,1]")
    for psi in rows:
        _check_psi("truncation.psi", psi)
    return [float(psi) for psi in rows]


def _place(value: Any) -> str | None:
    """A path or name, `~` written out."""
    return None if value is None else str(expanded(str(value)))


def _numbers(key: str, value: Any, high: int) -> list[int] | None:
    return None if value is None else parse_numbers(key, value, high=high)


def _psi(config: Mapping[str, Any]) -> float:
    if config["psi"] is not None:
        return float(config["psi"])
    return PSI if config["codes"] is None else 1.0


def _check_psi(key: str, value: Any) -> None:
    if not _is_number(value) or abs(value) > MAX_PSI:
        raise UserError(f"{key}={value}: give a number such as 0.7 (0 is the average, 1 no truncation; -4 to 4)")


def _choice(key: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f"{key}={value}: choose {', '.join(choices[:-1])} or {choices[-1]}")


def _whole(key: str, value: Any, low: int, high: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
        raise UserError(f"{key}={value}: give a whole number from {low} to {high}, or null")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
