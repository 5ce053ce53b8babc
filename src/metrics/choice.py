"""Which metrics a run measures. `metrics=auto` takes FID where people expect it and it can be had, the shipped features
elsewhere, with the reason; a run that goes on keeps what its evaluations so far have, whatever is at hand by then.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from ..errors import UserError
from ..fetch import WeightsFolder
from . import published
from .extractors import EMBEDDED_SHA256
from .settings import EXTRACTORS, Features, MetricsSettings

FID_PX = 128  # smaller pictures are mostly what Inception's enlargement makes of them
#: Pictures that are usual: more than there are features, so that the fakes' covariance has full rank.
NUM_FAKES: dict[Features, int] = {"inception": 5000, "dinov2": 5000, "embedded": 1000}
NUM_FAKES_CPU: dict[Features, int] = {**NUM_FAKES, "inception": 500, "dinov2": 100}  # about a minute or two
WHAT: dict[Features, str] = {
    "inception": "FID and KID on Inception's features",
    "dinov2": "FD-DINOv2 and KID on DINOv2's features",
    "embedded": "KID on the shipped features",
}
#: Options by what a protocol calls them.
RECORDED = {"extractor": "extractor", "num_fakes": "n_fake", "psi": "psi"}


def choose_metrics(
    settings: MetricsSettings,
    resolution: int,
    weights_folder: WeightsFolder,
    device: torch.device,
    before: Mapping[str, Any] | None = None,
) -> tuple[MetricsSettings, str]:
    """Decide what `metrics` leaves open: the features (`auto`), and how many pictures (null).

    Args:
        settings: what is asked for.
        resolution: px a side of the network's pictures.
        weights_folder: where Inception's weights lie and come from; they are fetched when they are to serve.
        device: where pictures are measured.
        before: protocol of the run's newest evaluation, as whose the next are to be; None for none.

    Returns:
        Settings of one extractor, with its number of pictures, or None; and a line that says which and why, the same
        for all evaluations of a run.
    """
    if settings.extractor is None:
        return settings, "none"
    if settings.extractor != "auto":
        extractor, why = settings.extractor, f"metrics={settings.name}"
    elif before is not None:
        extractor, why = before["extractor"], "auto: as the evaluations so far"
    else:
        extractor, why = _choose(resolution, weights_folder)
    count = settings.num_fakes
    if count is None and before is not None and before["extractor"] == extractor:
        count = before["n_fake"]
    elif count is None:
        count = (NUM_FAKES_CPU if device.type == "cpu" else NUM_FAKES)[extractor]
    name = next((name for name, usual in EXTRACTORS.items() if usual == extractor), extractor)
    chosen = replace(settings, name=name, extractor=extractor, num_fakes=count)
    words = f"{WHAT[extractor]}, {count} pictures ({why})"
    if before is not None and not changed_metrics(chosen, before):
        words = before.get("chosen", words)
    return chosen, words


def changed_metrics(settings: MetricsSettings, before: Mapping[str, Any] | None) -> dict[str, str]:
    """What is asked for and is not as it was, in words by option; what is left open changes nothing.

    Inception's weights are never left open: others than the published ones, which run a program, are taken when they
    are named alone.

    Args:
        settings: what is asked for.
        before: protocol of the run's newest evaluation; None for none.
    """
    if before is None or settings.extractor is None:
        return {}
    asked = {name: getattr(settings, name) for name in RECORDED}
    changed = {
        f"metrics.{name}": f"metrics.{name} was {before[key]!r}, now {asked[name]!r}"
        for name, key in RECORDED.items()
        if asked[name] not in (None, "auto", before[key])
    }
    sha256 = _sha256(settings, before["extractor"])
    if "metrics.extractor" not in changed and sha256 not in (None, before["extractor_sha256"]):
        changed["metrics.weights"] = f"metrics.weights had sha256 {before['extractor_sha256']!r}, now {sha256!r}"
    return changed


def _choose(resolution: int, weights_folder: WeightsFolder) -> tuple[Features, str]:
    """What `auto` means for a run that begins."""
    if resolution < FID_PX:
        return "embedded", f"auto: {resolution} px; FID is for {FID_PX} px and up"
    there = weights_folder.has(published.INCEPTION)
    try:
        weights_folder.fetch(published.INCEPTION)
    except UserError as error:
        print(f"note       no FID: {error}", flush=True)
        return "embedded", f"auto: {published.INCEPTION.name} was neither there nor could be fetched"
    return "inception", f"auto: {resolution} px, weights {'are there' if there else 'fetched'}"


def _sha256(settings: MetricsSettings, extractor: str) -> str | None:
    """Of the weights that an extractor is to have; None where it is not known beforehand."""
    if extractor == "embedded":
        return EMBEDDED_SHA256
    if extractor == "dinov2":
        return None
    return published.INCEPTION.sha256 if settings.weights_sha256 is None else settings.weights_sha256.lower()
