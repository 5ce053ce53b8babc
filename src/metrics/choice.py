"""`metrics=auto`: FID where people expect it and it can be had, the shipped features elsewhere, with the reason."""

from dataclasses import replace

import torch

from ..errors import UserError
from ..fetch import WeightsFolder
from . import published
from .settings import EXTRACTORS, Features, MetricsSettings

FID_PX = 128  # smaller pictures are mostly what Inception's enlargement makes of them
NUM_FAKES: dict[Features, int] = {"inception": 5000, "embedded": 1000}
NUM_FAKES_CPU = 500  # on Inception's features
CPU_SEC = 0.15  # a picture through Inception on one core (experiments/fid)


def choose_metrics(
    settings: MetricsSettings,
    resolution: int,
    weights_folder: WeightsFolder,
    device: torch.device,
    before: str | None = None,
) -> tuple[MetricsSettings, str]:
    """Decide what `metrics=auto` leaves open.

    Args:
        settings: what is asked for.
        resolution: px a side of the network's pictures.
        weights_folder: where Inception's weights lie and come from; they are fetched when they are to serve.
        device: where pictures are measured.
        before: extractor of the run's evaluations so far, which a series keeps; None for none.

    Returns:
        Settings of one extractor, with its number of pictures, or None; and a line that says which, why, and what it
        costs.
    """
    if settings.extractor is None:
        return settings, "none"
    if settings.extractor == "auto":
        extractor, why = _choose(resolution, weights_folder, before)
        why = f"auto: {why}"
    else:
        extractor, why = settings.extractor, f"metrics={settings.name}"
    on_cpu = extractor == "inception" and device.type == "cpu"
    count = settings.num_fakes or (NUM_FAKES_CPU if on_cpu else NUM_FAKES[extractor])
    name = next(name for name, usual in EXTRACTORS.items() if usual == extractor)
    chosen = replace(settings, name=name, extractor=extractor, num_fakes=count)
    what = {"inception": "FID and KID on Inception's features", "embedded": "KID on the shipped features"}[extractor]
    cost = f"; about {count * CPU_SEC / 60:.1f} min a snapshot on a processor" if on_cpu else ""
    return chosen, f"{what}, {count} pictures ({why}{cost})"


def _choose(resolution: int, weights_folder: WeightsFolder, before: str | None) -> tuple[Features, str]:
    for extractor in NUM_FAKES:
        if extractor == before:
            return extractor, "as the run's evaluations so far"
    if resolution < FID_PX:
        return "embedded", f"{resolution} px; FID is for {FID_PX} px and up"
    there = weights_folder.has(published.INCEPTION)
    try:
        weights_folder.fetch(published.INCEPTION)
    except UserError:
        return "embedded", f"{published.INCEPTION.name} can neither be found in {weights_folder.folder} nor fetched"
    return "inception", f"{resolution} px, weights {'are there' if there else 'fetched'}"
