"""From configuration to objects: data set, networks (pretrained exactly as the file says, or fresh), training step."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from ..augment import AugmentPipe
from ..data import PictureDataset, open_configured_dataset
from ..errors import UserError
from ..group import Group
from ..networks import Discriminator, Generator, channels_per_resolution
from ..weights import differences
from .device import Compute
from .origin import Origin
from .settings import StepSettings, TrainSettings
from .step import TrainingStep

R1_HEURISTIC = 0.0002
EMA_KIMG_PER_BATCH = 10 / 32
TRANSFER_ADA_KIMG, SCRATCH_ADA_KIMG = 100.0, 500.0
SCRATCH_EMA_RAMPUP = 0.05
MAX_LISTED = 6


@dataclass(frozen=True)
class Start:
    """The networks that training starts from, and what a run header says of them."""

    G: Generator
    D: Discriminator
    G_ema: Generator
    facts: dict[str, Any]

    @property
    def transferred(self) -> bool:
        """Whether they come from a pretrained network."""
        return bool(self.facts)


def build_networks(settings: TrainSettings, dataset: PictureDataset, origin: Origin | None) -> Start:
    """Take the pretrained networks, or make fresh ones with `model`.

    Raises:
        UserError: when the pretrained network and data set or model settings do not fit, or D is missing.
    """
    source = str(settings.pretrained.source)
    model = {k: v for k, v in vars(settings.model).items() if k != "name" and v is not None}
    if origin is None:
        return _fresh(model, dataset, settings.seed)
    networks = origin.networks
    G_ema = networks.G_ema
    _check_model(model, G_ema, source)
    _check_resolution(dataset.resolution, G_ema, source)
    if G_ema.c_dim not in (0, dataset.num_classes):
        raise UserError(
            f"pretrained={source} knows {G_ema.c_dim} classes, the data set has {dataset.num_classes}{_why(dataset)}"
        )
    if model.get("conditional") and G_ema.c_dim == 0:
        raise UserError(f"model.conditional=true: pretrained={source} knows no classes; train it with pretrained=none")
    fresh_d = networks.D is None
    if not fresh_d and settings.pretrained.fresh_d:
        raise settings.wrong("pretrained.fresh_d", f"has no effect: {source} holds a discriminator")
    if fresh_d and not settings.pretrained.fresh_d:
        raise UserError(
            f"pretrained={source} holds no discriminator: give a full network file, or pretrained.fresh_d=true to "
            "start with an untrained one"
        )
    D = networks.D or _seeded(
        lambda: Discriminator(c_dim=G_ema.c_dim, resolution=G_ema.resolution, channels=G_ema.config["channels"]),
        settings.seed,
    )
    facts = {
        "source": source,
        "sha256": origin.sha256,
        "kimg": networks.meta.get("kimg"),
        "fresh": ["D"] if fresh_d else [],
        "G_from": "G" if networks.G is not None else "G_ema",
    }
    return Start(G=networks.G or G_ema, D=D, G_ema=G_ema, facts=facts)


def build_dataset(settings: TrainSettings, origin: Origin | None) -> PictureDataset:
    """Open the configured data set; a pretrained network decides a resolution that is left open."""
    wanted = settings.dataset
    if wanted.resolution is None and origin is not None:
        wanted = replace(wanted, resolution=origin.networks.G_ema.resolution)
    return open_configured_dataset(wanted)


def build_step(settings: TrainSettings, start: Start, compute: Compute, group: Group) -> TrainingStep:
    """Make the training step; null settings take StyleGAN2-ADA's heuristics for one GPU."""
    batch, rounds = settings.batch, rounds_of(settings, start.D, group.world)
    usual = {
        "r1_gamma": R1_HEURISTIC * start.G.resolution**2 / batch,
        "ema_kimg": batch * EMA_KIMG_PER_BATCH,
        "ema_rampup": None if start.transferred else SCRATCH_EMA_RAMPUP,
        "ada_kimg": TRANSFER_ADA_KIMG if start.transferred else SCRATCH_ADA_KIMG,
    }
    given = {**vars(settings.augment), **vars(settings.loss)}
    given |= {name: value for name, value in usual.items() if given.get(name) is None}
    step = StepSettings(**{field.name: given[field.name] for field in fields(StepSettings)})
    pipe = None if settings.augment.pipe is None else AugmentPipe.preset(settings.augment.pipe)
    structure = step.structure_weight > 0
    return TrainingStep(
        start.G,
        start.D,
        step,
        batch_size=batch,
        G_ema=start.G_ema,
        augment=pipe,
        source=clone(start.G_ema) if structure and start.transferred else None,
        precision=compute.precision,
        regularizer_precision=compute.regularizer_precision,
        seed=settings.seed,
        group=group,
        rounds=rounds,
    )


def rounds_of(settings: TrainSettings, D: Discriminator, world: int) -> int:
    """Into how many rounds each of `world` processes divides its share of the batch: whole groups in each.

    Raises:
        OptionError: naming what does not divide.
    """
    batch, size = settings.batch, D.config["mbstd_group_size"] or settings.batch
    reason = f"the discriminator compares pictures in groups of {size} (minibatch standard deviation)"
    if batch > size and batch % size:
        raise settings.wrong("batch", f"{reason}; choose a multiple of {size}, or at most {size}")
    groups = max(batch // size, 1) if D.config["mbstd_channels"] else batch
    if groups % world:
        raise settings.wrong("batch", f"{reason}: {groups} cannot be divided among {world} devices")
    at_once = settings.batch_gpu or batch
    rounds = max(batch // world // at_once, 1)
    if batch // world % min(at_once, batch // world) or groups % (world * rounds):
        share = f"a device has {batch // world} of them, in {groups // world} groups"
        raise settings.wrong("batch_gpu", f"{reason}: {share}, which cannot be divided into such rounds")
    shrink, part = settings.loss.pl_batch_shrink, batch // (world * rounds)
    if settings.loss.pl_weight and max(batch // shrink, 1) != world * rounds * max(part // shrink, 1):
        raise settings.wrong("loss.pl_batch_shrink", f"parts of {part} pictures cannot be divided by it")
    return rounds


def _fresh(model: dict[str, Any], dataset: PictureDataset, seed: int) -> Start:
    if not {"channel_base", "channel_max"} <= model.keys():
        raise UserError(
            "pretrained=none needs the networks' widths: choose model=tiny, model=config_e or model=config_f"
        )
    if model.get("conditional") and not dataset.num_classes:
        why = _why(dataset) or " (dataset.json in its folder holds them)"
        raise UserError(f"model.conditional=true: the data set has no labels{why}")
    shared: dict[str, Any] = {
        "resolution": dataset.resolution,
        "c_dim": dataset.num_classes if model.get("conditional") else 0,
    }
    widths: dict[str, Any] = {k: model[k] for k in ("channel_base", "channel_max") if k in model}
    depth: dict[str, Any] = {k: model[k] for k in ("z_dim", "w_dim", "num_mapping_layers") if k in model}
    G = _seeded(lambda: Generator(**shared, **widths, **depth), seed)
    D = _seeded(lambda: Discriminator(**shared, **widths), seed + 1)
    return Start(G=G, D=D, G_ema=clone(G), facts={})


def _why(dataset: PictureDataset) -> str:
    """Why a data set's labels are not used, in brackets; nothing where it has none."""
    return f" ({dataset.report.labels_problem})" if dataset.report.labels_problem else ""


def _check_model(model: dict[str, Any], G: Generator, source: str) -> None:
    """With a pretrained network `model` may only repeat what the file says."""
    config = dict(G.config)
    shared = {key: value for key, value in model.items() if key in config}
    wrong = [
        f"model.{key}={value} but the network has {config[key]}"
        for key, value in shared.items()
        if config[key] != value
    ]
    config |= shared
    if "channel_base" in model or "channel_max" in model:
        limits = (int(model.get("channel_base", 1 << 30)), int(model.get("channel_max", 1 << 30)))
        config["channels"] = channels_per_resolution(G.resolution, *limits)
        if config["channels"] != G.config["channels"]:
            given = ", ".join(f"model.{k}={model[k]}" for k in ("channel_base", "channel_max") if k in model)
            wrong.append(f"{given} gives widths {_widths(config)} but the network has {_widths(G.config)}")
    if wrong:
        listed = f"{'; '.join(wrong)}; {_mismatch(config, G)}"
        raise UserError(f"pretrained={source}: {listed}; leave model=auto to take them from the file")


def _check_resolution(resolution: int, G: Generator, source: str) -> None:
    if resolution == G.resolution:
        return
    channels = {r: G.config["channels"].get(r, 1) for r in (4 << k for k in range(resolution.bit_length() - 2))}
    raise UserError(
        f"pretrained={source} makes {G.resolution} px pictures, the data set has {resolution} px: "
        f"{_mismatch({**G.config, 'resolution': resolution, 'channels': channels}, G)}; set "
        f"dataset.resolution={G.resolution} or choose another network"
    )


def _mismatch(wanted: Mapping[str, Any], G: Generator) -> str:
    """The tensors in which the file differs from a wanted architecture."""
    with torch.device("meta"):
        sketch = Generator(**wanted)
    wrong = differences(sketch.state_dict(), G.state_dict())
    more = f" and {len(wrong) - MAX_LISTED} more" if len(wrong) > MAX_LISTED else ""
    return f"tensors of the file that do not match: {', '.join(wrong[:MAX_LISTED])}{more}"


def _widths(config: Mapping[str, Any]) -> str:
    return "/".join(str(config["channels"][r]) for r in sorted(config["channels"]))


def clone(G: Generator) -> Generator:
    """A copy of a generator in eval mode, without gradients."""
    copy = Generator(**G.config)
    copy.load_state_dict(G.state_dict())
    return copy.eval().requires_grad_(False)


def _seeded(make: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
