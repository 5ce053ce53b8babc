"""Blends of network files, whatever their formats: read, compared, mixed, written with what they were made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import file_sha256
from ..networks import UNRELATED, Generator, blend_weights, kinship, mix_networks
from .export import export_network
from .load import load_network, resolve_network
from .network_file import Networks

CHECK_LATENTS, CHECK_PSI, CHECK_SEED = 16, 0.7, 0


@dataclass(frozen=True)
class Blend:
    """What `blend_files` made."""

    path: Path  # the file written
    kinship: list[float]  # cosine of corresponding weights of the first network with each other one
    # mean absolute difference of the blend's images from each network's, on common codes in the result's W
    distance: list[float]
    warnings: list[str]  # sentences about a blend that makes no sense


def blend_files(
    sources: Sequence[str | Path],
    target: str | Path,
    *,
    resolution: int | None = None,
    level: int = 0,
    width: float | None = None,
    shares: Mapping[str, Any] | None = None,
    mapping: int = 0,
    format: str = "native",
    dtype: torch.dtype = torch.float32,
    force: bool = False,
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> Blend:
    """Blend network files and write the result; switch and format are as for `networks.blend` and `export_network`.

    Args:
        sources: the low network, the high one, and with `shares` further ones; each as for `load_network`.
        target: the file to write.
        resolution: of the switch, for two networks.
        shares: instead of `resolution`: of each network in each unit (`"8/conv0": [0.2, 0.8]`; for two networks also
            the second one's share alone); `default` is for units that are not named.
        mapping: index of the network that gives the mapping.
        force: replace a target that exists.
    """
    _check_request(len(sources), resolution, shares, switched=bool(level) or width is not None, mapping=mapping)
    paths = [resolve_network(source, weights_folder=weights_folder) for source in sources]
    networks = [load_network(s, parts=("G_ema",), weights_folder=weights_folder).G_ema for s in sources]
    first = networks[0]
    if resolution is not None:
        weights = blend_weights(first.resolution, resolution, level=level, width=width)
        result = mix_networks(networks, {unit: (1 - y, y) for unit, y in weights.items()}, mapping=mapping)
        made: dict[str, Any] = {"resolution": resolution, "level": level, "width": width}
    else:
        assert shares is not None
        filled = complete_shares(shares, first, len(networks))
        result = mix_networks(networks, filled, mapping=mapping)
        made = {"shares": filled}
    relations = [kinship(first, other) for other in networks[1:]]
    distances = [_distance(result, network) for network in networks]
    if not all(map(math.isfinite, distances)):
        raise UserError(
            f"{target}: its pictures would not be finite, the numbers in {' or '.join(map(str, sources))} are too large"
        )
    files = [{"file": path.name, "sha256": file_sha256(path)} for path in paths]
    meta = {"blend": {**made, "mapping": mapping, "networks": files, "kinship": relations}}
    path = export_network(Networks(G_ema=result, meta=meta), target, format=format, dtype=dtype, force=force)
    return Blend(path, relations, distances, _warnings(sources, networks, relations, distances))


def _check_request(
    count: int, resolution: int | None, shares: Mapping[str, Any] | None, *, switched: bool, mapping: int
) -> None:
    """Refuse what cannot be, before any file is opened."""
    if count < 2:
        raise UserError("a blend needs two networks: LOW, which gives shape, and HIGH, which gives rendering")
    if (resolution is None) == (shares is None):
        raise UserError("say where to switch with --res, or give each unit's shares with --weights: one of the two")
    if shares is not None and switched:
        raise UserError("--level and --width have no effect with --weights: the shares say it all")
    if resolution is not None and count != 2:
        raise UserError(f"--res switches between 2 networks; for {count} give --weights")
    if not 0 <= mapping < count:
        raise UserError(f"--mapping {mapping}: there are {count} networks, counted from 0")


def complete_shares(given: Mapping[str, Any], G: Generator, count: int) -> dict[str, list[float]]:
    """Shares of every unit, from a table that may name some and a `default`."""
    units = list(blend_weights(G.resolution, G.resolution))
    unknown = [str(unit) for unit in given if unit not in (*units, "default")]
    if unknown:
        raise UserError(f"unknown blend unit {unknown[0]!r}; units are default, {', '.join(units)}")
    default = given.get("default", [1.0] + [0.0] * (count - 1))
    return {unit: _shares(given.get(unit, default), unit, count) for unit in units}


def read_shares(path: str | Path) -> dict[str, Any]:
    """Read a table of shares from a YAML file."""
    try:
        table = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(table, dict) or not table:
        raise UserError(f"{path}: a table of units and shares is expected, such as 8/conv0: [0.2, 0.8]")
    return table


def _shares(value: Any, unit: str, count: int) -> list[float]:
    if isinstance(value, int | float) and not isinstance(value, bool) and count == 2:
        value = [1 - value, value]
    numbers = isinstance(value, list) and all(isinstance(y, int | float) and not isinstance(y, bool) for y in value)
    if not numbers:
        raise UserError(f"blend unit {unit}: give {count} shares in [0, 1] that add up to 1, not {value}")
    return [float(y) for y in value]


@torch.inference_mode()
def _distance(result: Generator, network: Generator) -> float:
    generator = torch.Generator().manual_seed(CHECK_SEED)
    z = torch.randn([CHECK_LATENTS, result.z_dim], generator=generator)
    c = torch.eye(result.c_dim)[torch.arange(CHECK_LATENTS) % result.c_dim] if result.c_dim else None
    total = 0.0
    for i in range(0, CHECK_LATENTS, 4):
        ws = result.mapping(z[i : i + 4], None if c is None else c[i : i + 4], psi=CHECK_PSI)
        total += float((result.synthesis(ws) - network.synthesis(ws)).abs().mean()) * 4
    return total / CHECK_LATENTS


def _warnings(
    sources: Sequence[str | Path], networks: Sequence[Generator], relations: Sequence[float], distances: Sequence[float]
) -> list[str]:
    found = [
        f"{sources[0]} and {source} do not share an ancestor (cosine of their weights {relation:.2f}; networks "
        "fine-tuned from one another are above 0.5): layers of one mean nothing to the other, expect noise"
        for source, relation in zip(sources[1:], relations, strict=True)
        if relation < UNRELATED
    ]
    found += [
        f"the blend's images are those of {source} unchanged"
        for source, distance in zip(sources, distances, strict=True)
        if distance == 0
    ]
    clamps = {network.config["conv_clamp"] for network in networks}
    if len(clamps) > 1:
        found.append(f"the networks bound their activations differently (conv_clamp {clamps}); the first one's is kept")
    return found
