"""Pivotal tuning in a caricature run: the base moves to the faces, its blends follow; kept while nothing changes."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ..errors import UserError
from ..fetch import DEFAULT_FOLDER, WeightsFolder
from ..projection import handed_on, stacked, tune
from ..weights import load_network, read_meta, save_network
from .gather import Subject
from .models import Models
from .projections import digest_of
from .settings import TuningSettings

FILE = "tuned.safetensors"


def tuned_models(
    models: Models,
    subjects: Sequence[Subject],
    settings: TuningSettings,
    distance: str,
    out: Path,
    *,
    weights_folder: WeightsFolder = DEFAULT_FOLDER,
) -> Models:
    """Tune the base to the faces and hand on what it learnt to the networks that render.

    The base is kept in `out` as `tuned.safetensors`, and used again while nothing changes.
    """
    keys = [subject.facts.get("key") for subject in subjects]
    facts = {"base": models.base_sha256, "subjects": keys, "distance": distance, **asdict(settings)}
    key = digest_of(facts)
    path, base = out / FILE, models.base
    if _key_of(path) == key:
        tuned = load_network(path, device=base.mapping.w_avg.device, parts=("G_ema",)).G_ema
        print(f"tuned      {path}: as before", flush=True)
    else:
        pictures = torch.stack([subject.picture for subject in subjects if subject.picture is not None])
        ws, noise = stacked([subject.codes for subject in subjects], base)
        made = tune(
            base,
            pictures,
            ws,
            noise=noise,
            **asdict(settings),
            distance=distance,
            weights_folder=weights_folder,
        )
        tuned = made.G
        distances = {"before": float(made.before.mean()), "after": float(made.after.mean()), "measure": made.measure}
        meta = {"parent": models.base_sha256, "tuning": {"key": key, "steps": made.steps, **distances}}
        save_network(path, G_ema=tuned, meta=meta)
        print(
            f"tuned      {path}: distance {distances['before']:.4f} to {distances['after']:.4f} in {made.steps} steps",
            flush=True,
        )
    snapshot = None if models.snapshot is None else handed_on(models.snapshot, base, tuned)
    description, chosen = f"{models.description}, tuned to these faces", handed_on(models.chosen, base, tuned)
    return replace(models, base=tuned, chosen=chosen, snapshot=snapshot, description=description)


def _key_of(path: Path) -> str | None:
    """Key of a tuned network written earlier; None where there is none that can be read."""
    try:
        return str(read_meta(path).get("tuning", {}).get("key"))
    except UserError:
        return None
