"""The end of a sweep: rank, write the recommended network, pictures, rows and report, tell the tracker."""

import json
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from ..data import DatasetSettings, open_configured_dataset
from ..errors import UserError
from ..files import file_sha256, read_json, write_text
from ..metrics import face_features, get_extractor
from ..options import read
from ..runs import BEST, RANKING, blend_header, run_config
from ..tracking import open_tracker, write_sweep_report
from ..weights import load_network, save_network
from .features import EXTRACTOR, feature_protocol, has_features, load_features, save_arrays
from .plan import Sweep
from .ranking import Anchors, rank
from .table import copy_file

MAX_REALS = 2000
CHUNK = 64
TABLE = ("label", "kimg", "resolution", "cari", "s", "r", "share", "eligible", "picture")


def finish_sweep(sweep: Sweep, *, changed: bool = True) -> dict[str, Any]:
    """Rank a sweep whose cells are all made.

    Args:
        sweep: the sweep.
        changed: whether cells were added; if not, and the ranking comes out as it was, nothing new goes to the tracker.

    Returns:
        The ranking, as written to `ranking.json`.
    """
    rows = list(sweep.rows().values())
    cells = {row["label"]: load_features(sweep.table.features_path(row["key"])) for row in rows}
    rows, facts = rank(rows, cells, _anchors(sweep), sweep.settings)
    ranking = {**facts, "base": sweep.base.path.name, "protocol": sweep.protocol}
    path = sweep.folder / RANKING
    same = path.is_file() and path.read_text() == _json(ranking)
    best = _write_best(sweep, ranking)  # the largest file and the slowest first: until then all is as it was
    _show_pictures(sweep, rows)
    write_text(sweep.folder / "config.yaml", yaml.safe_dump(sweep.settings.as_config(), sort_keys=False))
    sweep.table.replace(rows)
    write_text(path, _json(ranking))
    report = write_sweep_report(sweep.folder)
    if changed or not same:
        _track(sweep, rows, ranking, best)
    print(ranking["sentence"])
    for name, reason in ranking["not_measured"].items():
        print(f"gate {name} is not measured: {reason}")
    print(f"report: {report}", flush=True)
    return ranking


def _anchors(sweep: Sweep) -> Anchors:
    features = {s.name: load_features(sweep.table.features_path(sweep.unblended_key(s))) for s in sweep.snapshots}
    reals, reason = _real_features(sweep)
    base = load_features(sweep.table.features_path(sweep.base_key))
    return Anchors(base, features, {s.name: s.kimg for s in sweep.snapshots}, reals, reason)


def _real_features(sweep: Sweep) -> tuple[Tensor | None, str | None]:
    """Features of the run's training pictures, or None and the reason."""
    path = sweep.run_dir / "run.json"
    facts = read_json(path).get("dataset") if path.is_file() else None
    settings = run_config(sweep.run_dir).get("dataset")
    if not facts or not settings:
        return None, f"{sweep.run_dir} does not say which pictures it was trained on"
    fingerprint = str(facts["fingerprint"])
    protocol = feature_protocol()
    measured = f"v{protocol['features_version']}-{str(protocol['extractor_sha256'])[:12]}"
    stored = sweep.folder / "features" / f"reals-{fingerprint[:12]}-{measured}.npz"
    if has_features(stored):
        with np.load(stored) as file:
            return torch.from_numpy(file["embedded"]), None
    try:
        dataset = open_configured_dataset(read(DatasetSettings, {**settings, "resolution": facts["resolution"]}))
    except UserError as error:
        return None, f"the training pictures cannot be read ({error})"
    if dataset.fingerprint != fingerprint:
        return None, "the data set has changed since the run was trained"
    count = min(len(dataset), MAX_REALS)
    if count < 2:
        return None, "a data set of one picture has no distances"
    indices = [i * len(dataset) // count for i in range(count)]
    chunks = [torch.stack([dataset[i][0] for i in indices[k : k + CHUNK]]) for k in range(0, count, CHUNK)]
    features = torch.cat([face_features(chunk, get_extractor(EXTRACTOR)) for chunk in chunks])
    save_arrays(stored, embedded=features.numpy())
    return features, None


def _write_best(sweep: Sweep, ranking: dict[str, Any]) -> Path | None:
    """Write the recommended blend as `best.safetensors`; without one, none is left there."""
    path, choice = sweep.folder / BEST, ranking["recommended"]
    if choice is None:
        path.unlink(missing_ok=True)
        return None
    snapshot = next(s for s in sweep.snapshots if s.name == choice["snapshot"])
    G = load_network(snapshot.path, device=sweep.base.G.mapping.w_avg.device, parts=("G_ema",)).G_ema
    ours = {"file": snapshot.path.name, "run": sweep.run_dir.name, "kimg": snapshot.kimg, "sha256": snapshot.sha256}
    base = {"file": sweep.base.path.name, "sha256": file_sha256(sweep.base.path)}
    recipe = sweep.recipes[choice["resolution"]]
    meta = {
        "kimg": snapshot.kimg,
        "parent": snapshot.sha256,
        "blend": blend_header(recipe, ours, base),
        "score": {key: choice[key] for key in ("cari", "s", "r", "share")},
        "protocol": sweep.protocol,
    }
    return save_network(path, G_ema=recipe.blend(G, sweep.base.G), meta=meta)


def _show_pictures(sweep: Sweep, rows: list[dict[str, Any]]) -> None:
    """Make `cells/` the pictures of this grid under this protocol; those of others stay in `features/` alone."""
    folder, kept = sweep.folder / "cells", sweep.table.picture_path
    shown = {"base": sweep.base_key, **{s.name: sweep.unblended_key(s) for s in sweep.snapshots}}
    shown |= {Path(row["picture"]).stem: row["key"] for row in rows}
    for name, key in shown.items():
        copy_file(kept(key), folder / f"{name}.jpg")
    for path in folder.glob("*.jpg"):
        copies = () if path.stem in shown else sweep.folder.glob(f"features/{escape(path.stem)}-*.jpg")
        with suppress(FileNotFoundError):  # another sweep has just taken it away
            if any(copy.read_bytes() == path.read_bytes() for copy in copies):
                path.unlink()


def _track(sweep: Sweep, rows: list[dict[str, Any]], ranking: dict[str, Any], best: Path | None) -> None:
    settings, run = sweep.settings, sweep.run_dir.name
    config = {**sweep.protocol, "run": run, "resolutions": list(sweep.recipes), "alpha": settings.alpha}
    tracker = open_tracker(
        sweep.run_dir,
        config=config,
        mode=settings.tracker.mode,
        project=settings.tracker.project,
        name=f"{run}-{sweep.folder.name}",
        group=run,
        tags=["sweep"],
    )
    try:
        values = [[sweep.folder / row[k] if k == "picture" else row[k] for k in TABLE] for row in rows]
        tracker.table("sweep/cells", TABLE, values)
        choice = ranking["recommended"]
        if best is not None and choice is not None:
            keys = {f"score/{name}": choice[key] for name, key in (("cari", "cari"), ("S", "s"), ("R", "r"))}
            tracker.summary({**keys, "recommended": choice["label"], "sentence": ranking["sentence"]})
            facts = {key: choice[key] for key in ("label", "kimg", "resolution", "cari")}
            tracker.artifact(best, name=f"{run}-blend", type="model", aliases=["best"], metadata=facts)
    finally:
        tracker.finish()


def _json(ranking: dict[str, Any]) -> str:
    return json.dumps(ranking, indent=2, allow_nan=False) + "\n"
