"""Networks in other programs' layouts: rosinality checkpoints and stylegan2-ada-pytorch state dicts.

A file is written beside its target, read back, and must give the same images before it takes the target's place.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from ..files import atomic_write
from ..networks import Discriminator, Generator
from .load import load_network
from .native import save_network, stored
from .network_file import PARTS, Networks
from .rosinality import AVERAGES, rosinality_state

FORMATS = ("native", "rosinality", "ada")
CHECK_SEED, CHECK_SAMPLES = 0, 4
TOLERANCE = {torch.float32: 1e-5, torch.float16: 5e-2}


def export_network(
    networks: Networks, target: str | Path, *, format: str, dtype: torch.dtype = torch.float32, force: bool = False
) -> Path:
    """Write networks in a format, whole and checked or not at all; G and D only when they are there.

    Args:
        format: `"native"`, `"rosinality"` or `"ada"` (state dicts and keyword arguments for stylegan2-ada-pytorch).
        dtype: of the stored tensors, `torch.float32` or `torch.float16`.
        force: replace a file that exists.
    """
    target = Path(target)
    check_target(target, format, force=force)
    content = None if format == "native" else _CONTENT[format](networks, str(target), dtype)
    with atomic_write(target) as partial:
        if content is None:
            meta = {k: v for k, v in networks.meta.items() if k not in ("format", "format_version", "architecture")}
            save_network(partial, G_ema=networks.G_ema, G=networks.G, D=networks.D, meta=meta, dtype=dtype)
        else:
            torch.save(content, partial)
        _check_same(networks, partial, target, TOLERANCE[dtype])
    return target


def check_target(target: Path, format: str, *, force: bool) -> None:
    """Check that a file of that name and format may be written, before anything is loaded."""
    if format not in FORMATS:
        raise UserError(f"format {format!r}: choose one of {', '.join(FORMATS)}")
    if (format == "native") != (target.suffix == ".safetensors"):
        names = ".safetensors" if format == "native" else "with another ending than .safetensors, such as .pt"
        raise UserError(f"{target}: files of the format {format} are named {names}")
    if target.exists() and not target.is_file():
        raise UserError(f"{target} is not a file: give the name of one")
    if target.exists() and not force:
        raise UserError(f"{target} exists: choose another name, or add --force to replace it")


def channel_multiplier(channels: Mapping[int, int]) -> int | None:
    """rosinality's `channel_multiplier` of a table of widths; None when no value gives it."""
    for multiplier in (1, 2, 4, 8):
        table = {r: 512 if r <= 32 else multiplier * 16384 // r for r in channels}
        if table == dict(channels):
            return multiplier
    return None


def rosinality_note(networks: Networks) -> str:
    """What to tell rosinality's classes so that they load the network."""
    channels, depth = networks.G_ema.config["channels"], networks.G_ema.config["num_mapping_layers"]
    multiplier = channel_multiplier(channels)
    D = networks.D
    if multiplier is None or max(channels) > 1024 or (D is not None and D.config["channels"] != channels):
        return "for rosinality's own classes edit the table of channels in its model.py to these widths"
    return (
        f"rosinality: Generator({max(channels)}, {networks.G_ema.w_dim}, {depth}, channel_multiplier={multiplier}); "
        "its train.py --ckpt also wants optimisers, which are not in the file"
    )


def channel_limits(channels: Mapping[int, int]) -> tuple[int, int] | None:
    """StyleGAN2-ADA's `(channel_base, channel_max)` of a table of widths; None when no pair gives it."""
    top = max(channels.values())
    for base in sorted({r * c for r, c in channels.items()}, reverse=True):
        if all(min(base // r, top) == c for r, c in channels.items()):
            return base, top
    return None


def _rosinality(networks: Networks, target: str, dtype: torch.dtype) -> dict[str, Any]:
    G = networks.G_ema
    config = G.config
    wrong = [
        (G.c_dim > 0, f"it knows {G.c_dim} classes"),
        (config["architecture"] != "skip", f"its generator's architecture is {config['architecture']}"),
        (G.z_dim != G.w_dim, f"its z is {G.z_dim} and its w {G.w_dim} wide"),
        (config["mapping_features"] is not None, "its mapping's hidden layers are not as wide as w"),
        (config["mapping_lr_multiplier"] != 0.01, "its mapping's learning-rate multiplier is not 0.01"),
    ]
    if networks.D is not None:
        D = networks.D.config
        wrong += [
            (D["architecture"] != "resnet", f"its discriminator's architecture is {D['architecture']}"),
            ((D["mbstd_group_size"], D["mbstd_channels"]) != (4, 1), "its minibatch stddev is not one of groups of 4"),
        ]
    _refuse(wrong, target, "rosinality's layout")
    content: dict[str, Any] = {
        "g_ema": rosinality_state(G, dtype),
        AVERAGES["G_ema"]: stored(G.mapping.w_avg, dtype),
    }
    if networks.G is not None:
        content["g"] = rosinality_state(networks.G, dtype)
        content[AVERAGES["G"]] = stored(networks.G.mapping.w_avg, dtype)
    if networks.D is not None:
        content["d"] = rosinality_state(networks.D, dtype)
    return content


def _ada(networks: Networks, target: str, dtype: torch.dtype) -> dict[str, Any]:
    G = networks.G_ema
    config, limits = G.config, channel_limits(G.config["channels"])
    wrong = [
        (limits is None, f"no channel_base and channel_max give its widths {config['channels']}"),
        (config["label_layout"] != "embed", "its classes enter as a matrix (StyleGAN2 on TensorFlow)"),
    ]
    if networks.D is not None:
        wrong += [(networks.D.config["channels"] != config["channels"], "G and D have different widths")]
    _refuse(wrong, target, "stylegan2-ada-pytorch")
    assert limits is not None
    shared = {"img_resolution": G.resolution, "img_channels": 3, "c_dim": G.c_dim}
    widths = {"channel_base": limits[0], "channel_max": limits[1], "conv_clamp": config["conv_clamp"]}
    content: dict[str, Any] = {
        "G_kwargs": {
            **shared,
            "z_dim": G.z_dim,
            "w_dim": G.w_dim,
            "mapping_kwargs": _ada_mapping(config),
            "synthesis_kwargs": {**widths, "architecture": config["architecture"]},
        },
        "G_ema": _ada_state(G, dtype),
    }
    if networks.G is not None:
        content["G"] = _ada_state(networks.G, dtype)
    if networks.D is not None:
        D = networks.D.config
        stddev = {"mbstd_group_size": D["mbstd_group_size"], "mbstd_num_channels": D["mbstd_channels"]}
        content["D"] = _ada_state(networks.D, dtype)
        content["D_kwargs"] = {
            **shared,
            **widths,
            "conv_clamp": D["conv_clamp"],
            "architecture": D["architecture"],
            "cmap_dim": D["cmap_dim"],
            "mapping_kwargs": _ada_mapping(D) if G.c_dim else {},
            "epilogue_kwargs": stddev,
        }
    return content


def _ada_mapping(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "num_layers": config["num_mapping_layers"],
        "layer_features": config["mapping_features"],
        "embed_features": config["embed_features"],
        "lr_multiplier": config["mapping_lr_multiplier"],
    }


def _ada_state(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Our state dict has that repository's names already; there the resampling filters are part of it too."""
    state = {key: stored(value, dtype) for key, value in module.state_dict().items()}
    for path, part in module.named_modules():
        if hasattr(part, "resample_filter"):
            state[f"{path}.resample_filter"] = stored(part.resample_filter, dtype)
    return state


def _refuse(wrong: list[tuple[bool, str]], target: str, format: str) -> None:
    reasons = [reason for is_wrong, reason in wrong if is_wrong]
    if reasons:
        raise UserError(f"{target}: {format} cannot represent this network: {'; '.join(reasons)}")


@torch.inference_mode()
def _check_same(networks: Networks, written: Path, target: Path, tolerance: float) -> None:
    """Read the file back: same architecture; images and logits may differ by `tolerance` of their spread."""
    found = load_network(written)
    for name in PARTS:
        ours, theirs = getattr(networks, name), getattr(found, name)
        if (ours is None) != (theirs is None):
            raise UserError(f"{target}: not written, reading it back loses {name}")
        if ours is None:
            continue
        changed = [k for k, v in ours.config.items() if k != "conv_clamp" and theirs.config[k] != v]
        if changed:
            raise UserError(f"{target}: not written, read back {name} has another {', '.join(changed)}")
        _check_outputs(ours, theirs, f"{target}: not written, read back {name}", tolerance)


def _check_outputs(ours: nn.Module, theirs: nn.Module, start: str, tolerance: float) -> None:
    assert isinstance(ours, Generator | Discriminator)
    generator = torch.Generator().manual_seed(CHECK_SEED)
    c = F.one_hot(torch.arange(CHECK_SAMPLES) % ours.c_dim, ours.c_dim).float() if ours.c_dim else None
    if isinstance(ours, Generator):
        x = torch.randn([CHECK_SAMPLES, ours.z_dim], generator=generator)
        wanted, got = ours.cpu()(x, c, psi=0.7), theirs(x, c, psi=0.7)
    else:  # as many samples as every minibatch-stddev group divides
        group = ours.config["mbstd_group_size"] or CHECK_SAMPLES
        count = max(CHECK_SAMPLES // group, 1) * group
        x = torch.randn([count, 3, ours.resolution, ours.resolution], generator=generator)
        c = None if c is None else c[torch.arange(count) % CHECK_SAMPLES]
        wanted, got = ours.cpu()(x, c), theirs(x, c)
    if not wanted.isfinite().all():
        raise UserError(f"{start} cannot be compared: the network itself gives values that are not finite")
    difference = float((wanted - got).abs().max() / wanted.std().clamp(min=1e-3))
    if not difference <= tolerance:
        raise UserError(
            f"{start} gives other outputs (by {difference:.1e} of their spread): weights beyond the range of --dtype, "
            "or a bound on activations (conv_clamp) that is at work and that the format cannot hold"
        )


_CONTENT: dict[str, Callable[[Networks, str, torch.dtype], dict[str, Any]]] = {"rosinality": _rosinality, "ada": _ada}
