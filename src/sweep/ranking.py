"""From pseudo-values to a recommendation: scores of the whole grid, gates, and the decision with its bounds.

References are the base network and the training cartoons, so no cell's score hangs on what else is in the grid. Blends
that fail a gate, and those of a snapshot at 0 kimg, are scored but never recommended.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import (
    DELTA,
    LEVEL,
    Cell,
    Decision,
    Named,
    combine,
    decide,
    exponents,
    recommendation,
    remark,
    too_few_codes,
)

Row = dict[str, Any]
Pseudo = NDArray[np.float64]
CARI_NOTHING = 1e-6  # rounding errors of a score of 0


def rank(
    rows: Sequence[Row],
    pseudo: Mapping[str, Pseudo],
    unblended: Mapping[str, Pseudo],
    axes: Sequence[Named],
    *,
    alpha: float = 0.5,
    seed: int = 0,
    gates: bool = True,
    resolutions: Sequence[int] = (),
    left_out: Collection[str] = (),
    level: float = LEVEL,
) -> tuple[list[Row], dict[str, Any]]:
    """Score and rank a grid.

    Args:
        rows: of the cells, as jobs wrote them, with their gates.
        pseudo: each cell's pseudo-values `[N, A]` by label, of the same codes; fewer of those that a race left out.
        unblended: those of each un-blended snapshot later than 0 kimg, by name; those of all codes are compared.
        axes: of the score.
        alpha: weight of shape.
        seed: of the draws.
        gates: whether a blend that fails one is left out.
        resolutions: at which the networks could be blended.
        left_out: labels of the cells that a race has left out: they are scored, but not compared any more.
        level: of the statements.

    Returns:
        The rows with a place on each axis, `cari`, `share` (of the draws in which it is the best) and `eligible`, in
        their order; and what `ranking.json` says of the decision.
    """
    weights = exponents(axes, alpha)
    result = [_scored(row, pseudo[row["label"]], axes, weights, gates=gates) for row in rows]
    grid = [row for row in result if may_be_recommended(row, gates=gates)]
    stopped = [row for row in result if row["kimg"] > 0 and not _passes(row, gates)]
    ranked = [row for row in grid if row["label"] not in left_out]
    how: dict[str, Any] = {"weights": weights, "level": level, "resolutions": resolutions, "seed": seed}
    seen = {"grid": list(map(_as_cell, grid)), "stopped": list(map(_as_cell, stopped))}
    decision = _compared(ranked, pseudo, unblended, **seen, **how)
    decided = _undecided(result, pseudo) if decision is None else _decided(ranked, decision, axes)
    return result, decided | {
        "axes": [{"name": a.name, "title": a.title, "exponent": w} for a, w in zip(axes, weights, strict=True)],
        "alpha": alpha,
        "gates": gates,
        "unblended": [{"snapshot": name, **_placed(rows, axes, weights)} for name, rows in unblended.items()],
        "not_measured": _not_measured(result),
    }


def _scored(row: Row, pseudo: Pseudo, axes: Sequence[Named], weights: Sequence[float], *, gates: bool) -> Row:
    return row | _placed(pseudo, axes, weights) | {"share": 0.0, "eligible": _passes(row, gates)}


def _compared(
    ranked: Sequence[Row], pseudo: Mapping[str, Pseudo], unblended: Mapping[str, Pseudo], **how: Any
) -> Decision | None:
    """The decision between blends; None where none has something of each demand."""
    if max((row["cari"] for row in ranked), default=0) <= CARI_NOTHING:
        return None
    stacked = np.stack([pseudo[row["label"]] for row in ranked], axis=1)
    others = [values for values in unblended.values() if len(values) == len(stacked)]
    beside = np.stack(others, axis=1) if others else None
    return decide(stacked, list(map(_as_cell, ranked)), unblended=beside, **how)


def _as_cell(row: Row) -> Cell:
    return Cell(f"{row['snapshot']} blended at {row['resolution']}", row["kimg"], row["resolution"])


def may_be_recommended(row: Row, *, gates: bool) -> bool:
    """Whether a cell is of a trained snapshot and, where that is asked, passes its gates."""
    return bool(row["kimg"] > 0) and _passes(row, gates)


def _passes(row: Row, gates: bool) -> bool:
    return not gates or all(gate["passed"] is not False for gate in row["gates"].values())


def _placed(pseudo: Pseudo, axes: Sequence[Named], weights: Sequence[float]) -> dict[str, float]:
    """Places without their bias in 1/N, not clipped, and the score."""
    places = pseudo.mean(axis=0)
    return {axis.name: float(place) for axis, place in zip(axes, places, strict=True)} | {
        "cari": float(combine(places, weights))
    }


def _decided(ranked: Sequence[Row], decision: Decision, axes: Sequence[Named]) -> dict[str, Any]:
    """What is said of a decision; the rows learn their shares of the draws."""
    for row, share in zip(ranked, decision.scores.share, strict=True):
        row["share"] = float(share)
    by_score = sorted(range(len(ranked)), key=lambda i: -decision.scores.mean[i])
    labels = [ranked[i]["label"] for i in by_score]
    candidates, equals = ({ranked[i]["label"] for i in chosen} for chosen in (decision.candidates, decision.equals))
    places = np.stack([[row[axis.name] for axis in axes] for row in ranked])
    return {
        "recommended": _summary(ranked[decision.pick], axes),
        "winner": _summary(ranked[by_score[0]], axes),
        "candidates": [label for label in labels if label in candidates],
        "equals": [label for label in labels if label in equals],
        "below_best": decision.below_best,
        "regret": decision.regret,
        "level": LEVEL,
        "delta": DELTA,
        "notes": [{**asdict(note), "text": remark(note, decision)} for note in decision.notes],
        "sentence": recommendation(decision, list(map(_as_cell, ranked)), places, [axis.title for axis in axes]),
    }


def _undecided(rows: Sequence[Row], pseudo: Mapping[str, Pseudo]) -> dict[str, Any]:
    return {
        "recommended": None,
        "winner": None,
        "candidates": [],
        "equals": [],
        "notes": [],
        "sentence": _no_recommendation(rows, len(next(iter(pseudo.values()))) if pseudo else 0),
    }


def _summary(row: Row, axes: Sequence[Named]) -> Row:
    named = ("label", "snapshot", "kimg", "resolution", "cari", *(axis.name for axis in axes), "share", "picture")
    return {key: row[key] for key in named}


def _not_measured(rows: Sequence[Row]) -> dict[str, str]:
    """Gates that could not be measured on some blend, with the reason."""
    return {name: gate["reason"] for row in rows for name, gate in row["gates"].items() if gate["passed"] is None}


def _no_recommendation(rows: Sequence[Row], codes: int) -> str:
    trained = [row for row in rows if row["kimg"] > 0]
    failed = sorted({name for row in trained for name, gate in row["gates"].items() if gate["passed"] is False})
    if trained and not any(row["eligible"] for row in trained):
        return (
            f"No blend is recommended: each fails a gate ({', '.join(failed)}); look at the pictures, and rank them "
            "all the same with gates=false if they are good."
        )
    if max((row["cari"] for row in trained if row["eligible"]), default=0) > CARI_NOTHING:
        return too_few_codes(codes)
    return (
        "No blend is recommended: none that passes the gates meets all of the score's demands at once; train longer, "
        "or try other resolutions or the other blend.direction."
    )
