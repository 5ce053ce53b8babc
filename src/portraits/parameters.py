"""The parameters of a portrait: one identity a seed, and its caricature's."""

from dataclasses import dataclass, fields, replace

import numpy as np

#: What a caricature exaggerates; colours, hair, age, light and pose stay.
SHAPE = (
    "face_width", "jaw", "chin", "cheeks", "forehead", "ears", "eye_size", "eye_tilt", "brow", "nose_length",
    "nose_width", "mouth", "lips", "smile", "mouth_open",
)  # fmt: skip


@dataclass(frozen=True)
class PortraitParams:
    """The degrees of freedom of a portrait; each is in [-1, 1] and 0 is the mean face.

    build is from slight to strong; hairline from low to bald; beard, moustache and glasses are there from about 0,
    0 and 0.7 on.
    """

    build: float
    age: float
    face_width: float
    jaw: float
    chin: float
    cheeks: float
    forehead: float
    ears: float
    eye_size: float
    eye_spacing: float
    eye_tilt: float
    brow: float
    brow_weight: float
    nose_length: float
    nose_width: float
    mouth: float
    lips: float
    smile: float
    mouth_open: float
    yaw: float
    pitch: float
    skin: float
    hair_colour: float
    hair_length: float
    hair_volume: float
    hair_part: float
    hairline: float
    fringe: float
    curl: float
    beard: float
    beard_width: float
    moustache: float
    glasses: float
    cloth: float
    light: float
    background: float


_NAMES = tuple(field.name for field in fields(PortraitParams))


def sample_params(seed: int) -> PortraitParams:
    """Draw the identity of a seed by the raw PCG64 stream: the same on every machine and numpy."""
    raw = np.random.PCG64(seed).random_raw(2 * len(_NAMES)) >> np.uint64(11)
    uniform = raw.astype(np.float64).reshape(2, -1) * 2.0**-53
    flat = dict(zip(_NAMES, 2.0 * uniform[0] - 1.0, strict=True))
    tri = dict(zip(_NAMES, np.sin(0.4 * np.pi * (uniform.sum(0) - 1.0)), strict=True))  # a broad bell on [-1, 1]
    value = tri | {name: flat[name] for name in ("age", "smile", "cloth", "light", "background", "glasses")}
    value["build"] = build = float(np.sin(0.5 * np.pi * flat["build"]))  # two soft heaps
    value["smile"] = 0.4 + 0.6 * flat["smile"]  # the mean face is friendly
    value["skin"] = flat["skin"] * abs(flat["skin"]) ** 0.3
    value["hair_colour"] = min(flat["hair_colour"], 1.0 - 1.3 * max(value["skin"] + 0.2, 0.0))  # dark skin, dark hair
    value["hair_length"] = 0.65 * flat["hair_length"] - 0.55 * build
    value["hairline"] = (
        0.4 * tri["hairline"]
        - 0.25
        + max(build, 0.0) * (0.75 * max(flat["hairline"], 0.0) + 0.35 * max(flat["age"], 0.0))
    )
    value["fringe"] = flat["fringe"] - 0.5 * max(build, 0.0) - 0.8 * max(value["hairline"], 0.0)
    value["curl"] = flat["curl"] + 0.5 * max(value["skin"], 0.0)
    strong = 3.0 * build - 1.2  # no beard below
    value["beard"] = min(flat["beard"] + 0.1, strong)
    value["moustache"] = min(0.7 * flat["moustache"] + 0.5 * value["beard"], strong)
    return PortraitParams(**{name: float(np.clip(v, -1.0, 1.0)) for name, v in value.items()})


def soft_step(value: float, low: float, high: float) -> float:
    """Return 0 below low, 1 above high, smooth between."""
    t = float(np.clip((value - low) / (high - low), 0.0, 1.0))
    return t * t * (3.0 - 2.0 * t)


def caricature(params: PortraitParams, strength: float = 2.4) -> PortraitParams:
    """Push the shape of a face away from the mean face (Brennan 1985); colours, light and hair stay.

    Small deviations grow by the factor, large ones a little less; the parameters may leave [-1, 1].
    """
    deviations = {name: getattr(params, name) for name in SHAPE}
    return replace(params, **{name: v + (strength - 1.0) * (v - 0.35 * v**3) for name, v in deviations.items()})
