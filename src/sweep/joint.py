"""Several trainings of one recipe ranked together: which snapshot and resolution to use when one trains once more.

Another training moves scores more than other codes do, so what is compared are the means over trainings, with the
spread between these (`metrics.cariscore.comparison.joint`). A cell counts that may be recommended in every training.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import UserError
from ..files import write_text
from ..metrics import LEVEL, Cell, combine, exponents, joint, prices
from ..runs import RUN_JSON, run_json
from .features import load_pseudo
from .plan import Sweep

FILE = "joint.json"


def check_recipe(sweeps: Sequence[Sweep]) -> None:
    """Refuse sweeps that cannot be ranked together.

    One alone, or one that differs from the first in its recipe or in how it is measured, did not begin by itself, or
    has the seed of another.
    """
    first, *others = sweeps
    if not others:
        raise UserError(f"joint=true ranks several trainings of one recipe, not {first.run_dir.name} alone: run=a,b,c")
    recipe, seeds = _recipe(first), {_seed(first): first}
    for sweep in others:
        theirs, name = _recipe(sweep), sweep.run_dir.name
        different = [key for key in {**recipe, **theirs} if recipe.get(key) != theirs.get(key)]
        if different:
            key = different[0]
            raise UserError(
                f"joint=true: {name} is no training of {first.run_dir.name}'s recipe, its {key} is {theirs.get(key)}, "
                f"not {recipe.get(key)}"
            )
        twin = seeds.setdefault(_seed(sweep), sweep)
        if twin is not sweep:
            raise UserError(
                f"joint=true: {twin.run_dir.name} and {name} have one seed, so they are one training: leave one out, "
                "or train it with another seed"
            )


def check_references(sweeps: Sequence[Sweep]) -> None:
    """Refuse sweeps that are measured against different pictures, as where the training pictures of one are gone."""
    first, *others = sweeps
    for sweep in others:
        if sweep.references.facts["identity"] != first.references.facts["identity"]:
            reasons = {s.run_dir.name: s.references.facts["cartoons"]["reason"] for s in (first, sweep)}
            said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)
            raise UserError(
                f"joint=true: {' and '.join(reasons)} are measured against different pictures ({said}), so their "
                "scores do not compare"
            )


def rank_jointly(sweeps: Sequence[Sweep]) -> dict[str, Any]:
    """Rank finished sweeps together, print the recommendation, and write it to `joint.json` in the folder of each.

    All cells are compared by the codes that all have: those of a race's first look, unless all went further.
    """
    tables = [{(r["kimg"], r["resolution"]): r for r in s.table.scored() if r["kimg"] > 0} for s in sweeps]
    shared = [key for key in tables[0] if all(key in table and table[key]["eligible"] for table in tables)]
    if not shared:
        raise UserError("joint=true: no blend is in all of these sweeps and passes the gates in each")
    pseudo = [
        [load_pseudo(sweep.table.features_path(table[key]["key"])) for key in shared]
        for sweep, table in zip(sweeps, tables, strict=True)
    ]
    codes, weights = min(len(v) for own in pseudo for v in own), exponents(sweeps[0].references.axes, sweeps[0].alpha)
    scores = np.array([[combine(values[:codes].mean(axis=0), weights) for values in own] for own in pseudo])
    cells = [Cell(f"{kimg:g} kimg blended at {resolution}", kimg, resolution) for kimg, resolution in shared]
    by_score = joint(scores, seed=sweeps[0].settings.seed)
    by_value = by_score.less(prices(cells))
    pick, best = int(by_value.mean.argmax()), int(by_score.mean.argmax())
    result = {
        "runs": [sweep.run_dir.name for sweep in sweeps],
        "codes": codes,
        "cells": [
            {"kimg": c.kimg, "resolution": c.resolution, "cari": float(mean), "of_runs": own.tolist(), "regret": bound}
            for c, mean, own, bound in zip(cells, by_score.mean, scores.T, by_score.regret.tolist(), strict=True)
        ],
        "recommended": {"kimg": cells[pick].kimg, "resolution": cells[pick].resolution},
        "winner": {"kimg": cells[best].kimg, "resolution": cells[best].resolution},
        "candidates": int(by_score.candidate.sum()),
        "below_best": float(by_score.regret[pick]),
        "level": LEVEL,
        "sentence": _sentence(cells[pick], scores[:, pick], float(by_score.regret[pick]), by_score.candidate, codes),
    }
    for sweep in sweeps:
        write_text(sweep.folder / FILE, json.dumps(result, indent=2, allow_nan=False) + "\n")
    print(result["sentence"], flush=True)
    return result


def _sentence(cell: Cell, scores: np.ndarray, below_best: float, candidates: np.ndarray, codes: int) -> str:
    own = ", ".join(f"{score:.2f}" for score in scores)
    return (
        f"Over {len(scores)} trainings, by the {codes} codes that all their blends have: {cell.label}, CariScore "
        f"{scores.mean():.2f} on average ({own}); for trainings of this recipe at most {below_best:.3f} below the best "
        f"on average (95 %), {candidates.sum()} of {len(candidates)} blends may be the best."
    )


def _recipe(sweep: Sweep) -> dict[str, Any]:
    """What trainings of one recipe have in common: all that identifies them but the seed, and how they are measured."""
    facts = run_json(sweep.run_dir)
    if facts.get("forked"):
        raise UserError(
            f"joint=true: {sweep.run_dir.name} went on from the state of another run, so it is no training of one "
            "recipe: leave it out"
        )
    return {key: value for key, value in _identity(sweep).items() if key != "seed"} | sweep.protocol


def _seed(sweep: Sweep) -> Any:
    return _identity(sweep).get("seed")


def _identity(sweep: Sweep) -> dict[str, Any]:
    identity = run_json(sweep.run_dir).get("identity")
    if not isinstance(identity, dict):
        raise UserError(f"{sweep.run_dir / RUN_JSON} does not say what the run is (no identity): leave it out of run=")
    return identity
