"""What a network file holds, as facts for people and programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..files import file_sha256
from ..networks import Discriminator, Generator
from .catalog import catalog_entry, catalog_names
from .export import channel_limits, channel_multiplier
from .load import load_network, resolve_network

CONFIGS = {16384: "config-e", 32768: "config-f"}


def describe_network(source: str | Path, *, weights_folder: WeightsFolder = DEFAULT_FOLDER) -> dict[str, Any]:
    """Describe a network file (or what else `load_network` takes) as plain data.

    `published` is the catalogue's entry of that file name, or None; `holds` are the numbers of parameters.
    """
    path = resolve_network(source, weights_folder=weights_folder)
    networks = load_network(path)
    parts: dict[str, nn.Module | None] = {"G_ema": networks.G_ema, "G": networks.G, "D": networks.D}
    meta = {k: v for k, v in networks.meta.items() if k not in ("format", "architecture", "format_version")}
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        "published": _published(path),
        "format": networks.meta.get("format", "native"),
        "holds": {k: sum(p.numel() for p in m.parameters()) for k, m in parts.items() if m is not None},
        "generator": _generator(networks.G_ema),
        "discriminator": None if networks.D is None else _discriminator(networks.D),
        "meta": meta,
    }


def as_lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts as lines of text."""
    lines = [
        f"{facts['file']}",
        f"  format         {facts['format']}, {facts['bytes'] / 1e6:.1f} MB, sha256 {facts['sha256']}",
        "  holds          " + ", ".join(f"{k} ({n / 1e6:.2f} M parameters)" for k, n in facts["holds"].items()),
    ]
    if facts["published"] is not None:
        known = facts["published"]
        lines.append(
            f"  published as   {known['name']} (by its file name): {known['about']}; licence {known['licence']}"
        )
    for name in ("generator", "discriminator"):
        if facts[name] is not None:
            lines.append(f"  {name:<14} " + ", ".join(f"{k} {v}" for k, v in facts[name].items() if v is not None))
    for key, value in facts["meta"].items():
        text = " ".join(str(value).split())
        lines.append(f"  {key:<14} {text if len(text) <= 200 else text[:197] + '...'}")
    return lines


def _published(path: Path) -> dict[str, Any] | None:
    entries = [entry for entry in map(catalog_entry, catalog_names()) if entry and entry.file.name == path.name]
    if not entries:
        return None
    entry = entries[0]
    return {"name": entry.name, "about": entry.about, "licence": entry.file.licence}


def _generator(G: Generator) -> dict[str, Any]:
    config = G.config
    return {
        "resolution": G.resolution,
        **_widths(config["channels"]),
        "architecture": config["architecture"],
        "z_dim": G.z_dim,
        "w_dim": G.w_dim,
        "num_ws": G.num_ws,
        "mapping_layers": config["num_mapping_layers"],
        "mapping_features": config["mapping_features"],
        "classes": G.c_dim,
        "label_layout": config["label_layout"] if G.c_dim else None,
        "conv_clamp": config["conv_clamp"],
    }


def _discriminator(D: Discriminator) -> dict[str, Any]:
    config = D.config
    return {
        "resolution": D.resolution,
        **_widths(config["channels"]),
        "architecture": config["architecture"],
        "classes": D.c_dim,
        "mbstd_group_size": config["mbstd_group_size"] or "batch",
        "mbstd_channels": config["mbstd_channels"],
        "conv_clamp": config["conv_clamp"],
    }


def _widths(channels: Mapping[int, int]) -> dict[str, Any]:
    limits, multiplier = channel_limits(channels), channel_multiplier(channels)
    facts: dict[str, Any] = {"widths": "/".join(f"{channels[r]}" for r in sorted(channels))}
    if limits is not None:
        facts["channel_base"], facts["channel_max"] = limits
        facts["config"] = CONFIGS.get(limits[0]) if limits[1] == 512 and max(channels) > 32 else None
    facts["channel_multiplier"] = multiplier
    return facts
