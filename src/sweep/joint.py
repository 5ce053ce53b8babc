"""Several trainings of one recipe ranked together: which snapshot and resolution to use when one trains once more.

Another training moves scores more than other codes do, so what is compared are the means over trainings, with the
spread between these (`metrics.cariscore.comparison.joint`). A cell counts that may be recommended in every training.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import UserError
from ..files import write_text
from ..metrics import LEVEL, Cell, joint, prices
from ..runs import run_config
from ..tracking import read_rows
from .plan import Sweep

FILE = "joint.json"
#: What trainings of one recipe may differ in: options, or their groups.
OWN = ("run", "seed", "resume", "total_kimg", "snapshot", "log_kimg", "checkpoint_kimg")
OWN_GROUPS = ("paths", "weights", "metrics", "tracker", "trainer", "experiment")


def check_recipe(sweeps: Sequence[Sweep]) -> None:
    """Refuse sweeps that cannot be ranked together.

    Raises:
        UserError: for one run alone, or one that differs from the first in its recipe or in how it is measured.
    """
    first, *others = sweeps
    if not others:
        raise UserError(f"joint=true ranks several trainings of one recipe, not {first.run_dir.name} alone: run=a,b,c")
    recipe = _recipe(first)
    for sweep in others:
        theirs = _recipe(sweep)
        different = [key for key in {**recipe, **theirs} if recipe.get(key) != theirs.get(key)]
        if different:
            key = different[0]
            raise UserError(
                f"joint=true: {sweep.run_dir.name} is no training of {first.run_dir.name}'s recipe, its {key} is "
                f"{theirs.get(key)}, not {recipe.get(key)}"
            )


def rank_jointly(sweeps: Sequence[Sweep]) -> dict[str, Any]:
    """Rank finished sweeps together, print the recommendation, and write it to `joint.json` in the folder of each.

    Raises:
        UserError: when no cell of a trained snapshot passes the gates in all of them.
    """
    tables = [{(r["kimg"], r["resolution"]): r for r in read_rows(s.table.path) if r["kimg"] > 0} for s in sweeps]
    shared = [key for key in tables[0] if all(key in table and table[key]["eligible"] for table in tables)]
    if not shared:
        raise UserError("joint=true: no blend is in all of these sweeps and passes the gates in each")
    scores = np.array([[table[key]["cari"] for key in shared] for table in tables])
    cells = [Cell(f"{kimg:g} kimg blended at {resolution}", kimg, resolution) for kimg, resolution in shared]
    compare = partial(joint, scores, seed=sweeps[0].settings.seed)
    by_score, by_value = compare(), compare(price=prices(cells))
    pick, best = int(by_value.mean.argmax()), int(by_score.mean.argmax())
    result = {
        "runs": [sweep.run_dir.name for sweep in sweeps],
        "cells": [
            {"kimg": c.kimg, "resolution": c.resolution, "cari": float(mean), "of_runs": own.tolist(), "regret": bound}
            for c, mean, own, bound in zip(cells, by_score.mean, scores.T, by_score.regret.tolist(), strict=True)
        ],
        "recommended": {"kimg": cells[pick].kimg, "resolution": cells[pick].resolution},
        "winner": {"kimg": cells[best].kimg, "resolution": cells[best].resolution},
        "candidates": int(by_score.candidate.sum()),
        "below_best": float(by_score.regret[pick]),
        "level": LEVEL,
        "sentence": _sentence(cells[pick], scores[:, pick], float(by_score.regret[pick]), by_score.candidate),
    }
    for sweep in sweeps:
        write_text(sweep.folder / FILE, json.dumps(result, indent=2, allow_nan=False) + "\n")
    print(result["sentence"], flush=True)
    return result


def _sentence(cell: Cell, scores: np.ndarray, below_best: float, candidates: np.ndarray) -> str:
    own = ", ".join(f"{score:.2f}" for score in scores)
    return (
        f"Over {len(scores)} trainings: {cell.label}, CariScore {scores.mean():.2f} on average ({own}); for trainings "
        f"of this recipe at most {below_best:.3f} below the best on average (95 %), {candidates.sum()} of "
        f"{len(candidates)} blends may be the best."
    )


def _recipe(sweep: Sweep) -> dict[str, Any]:
    """What trainings of one recipe have in common: options of the training, and how its sweep measures."""
    config = {key: value for key, value in run_config(sweep.run_dir).items() if key not in (*OWN, *OWN_GROUPS)}
    flat = {
        f"{group}.{key}" if isinstance(values, Mapping) else group: value
        for group, values in config.items()
        for key, value in (values.items() if isinstance(values, Mapping) else [("", values)])
    }
    return {**flat, **sweep.protocol}
