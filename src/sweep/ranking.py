"""From features to a recommendation: scores of the whole grid, gates, confidence, one cell.

Anchors are fixed for the grid: the base network at one end, the un-blended snapshot that went farthest at the other.
Blends that fail a gate are scored but not ranked. The codes are resampled in all cells alike; cells whose difference
to the winner has a 95 % interval that includes 0 cannot be told apart from it, and among these the earliest snapshot,
then the smallest resolution is recommended: the closest to the person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..metrics import Anchors as Axes, Gate, diversity, fit_anchors, identity_retrieval, memorisation, score_blends
from .features import PictureFeatures
from .settings import SweepSettings

Row = dict[str, Any]
KINSHIP_FLOOR = 0.5  # below: drifted so far that layers no longer fit (a gate)
CARI_NOTHING = 1e-6  # rounding errors of a structure of 0


@dataclass(frozen=True)
class Anchors:
    """What every cell is measured against.

    Attributes:
        base: the base network's features on the common codes.
        finetuned: those of each un-blended snapshot, by name.
        kimg: of each snapshot.
        reals: embedded features of the training pictures `[M, d]`, or None.
        no_reals: why there are none.
    """

    base: PictureFeatures
    finetuned: Mapping[str, PictureFeatures]
    kimg: Mapping[str, float]
    reals: Tensor | None
    no_reals: str | None = None


def rank(
    rows: Sequence[Row], cells: Mapping[str, PictureFeatures], anchors: Anchors, settings: SweepSettings
) -> tuple[list[Row], dict[str, Any]]:
    """Score and rank a grid.

    Args:
        rows: of the cells, as jobs wrote them.
        cells: each cell's features by label.
        anchors: what they are measured against.
        settings: `alpha`, `seed`, `n_bootstrap` and `gates` are used.

    Returns:
        The rows with scores and gates, in their order, and the content of `ranking.json`.
    """
    trained = {name: f.bands for name, f in anchors.finetuned.items() if anchors.kimg[name] > 0}
    axes = fit_anchors(anchors.base.bands, trained, seed=settings.seed)
    options: dict[str, Any] = {"alpha": settings.alpha, "seed": settings.seed}
    bands = {label: features.bands for label, features in cells.items()}
    placed = score_blends(anchors.base.bands, trained, bands, num_bootstrap=2, **options)
    scores = {score.label: score for score in placed}
    gates = {row["label"]: _gates(row, cells[row["label"]], anchors) for row in rows}
    eligible = {k: not settings.gates or all(g["passed"] for g in gates[k].values()) for k in gates}
    trained_cells = {row["label"] for row in rows if row["kimg"] > 0}  # before that a blend is the original network
    ranked = {k: bands[k] for k in bands if k in trained_cells and eligible[k] and scores[k].cari > CARI_NOTHING}
    order = []
    if ranked:
        bootstraps = settings.n_bootstrap
        order = score_blends(anchors.base.bands, trained, ranked, num_bootstrap=bootstraps, **options)
    shares = {score.label: score.share for score in order}
    result = [
        {
            **row,
            "s": scores[row["label"]].s,
            "r": scores[row["label"]].r,
            "cari": scores[row["label"]].cari,
            "share": shares.get(row["label"], 0.0),
            "gates": gates[row["label"]],
            "eligible": eligible[row["label"]],
        }
        for row in rows
    ]
    by_label = {row["label"]: row for row in result}
    tied = [score.label for score in order if score.gap[0] <= 0]
    choice = min(tied, key=lambda label: (by_label[label]["kimg"], by_label[label]["resolution"]), default=None)
    facts = {
        "recommended": _summary(by_label[choice]) if choice else None,
        "winner": _summary(by_label[order[0].label]) if order else None,
        "indistinguishable": tied,
        "sentence": _sentence(result, by_label, [score.label for score in order], choice, tied),
        "direction": settings.blend.direction,
        "alpha": settings.alpha,
        "n_latents": len(anchors.base.bands.low),
        "n_bootstrap": settings.n_bootstrap,
        "seed": settings.seed,
        "gates": settings.gates,
        "not_measured": {"memorisation": anchors.no_reals} if anchors.reals is None else {},
        "anchor": axes.finetuned,
        "held_out_auc": {"structure": axes.low.auc, "rendering": axes.high.auc},
        "finetuned": _finetuned(anchors, axes),
    }
    return result, facts


def _gates(row: Row, features: PictureFeatures, anchors: Anchors) -> dict[str, Any]:
    """The gates' results; memorisation stands among them only where the training pictures could be read."""
    base, blended = anchors.base.embedded, features.embedded
    gates = [identity_retrieval(base, blended), diversity(base, blended)]
    if anchors.reals is not None:
        gates.append(memorisation(blended, anchors.reals))
    gates.append(Gate("kinship", row["kinship"], KINSHIP_FLOOR, row["kinship"] >= KINSHIP_FLOOR))
    return {gate.name: gate.as_dict() for gate in gates}


def _finetuned(anchors: Anchors, axes: Axes) -> list[dict[str, Any]]:
    """Where each un-blended snapshot lies on the axes."""
    result = []
    for name, features in anchors.finetuned.items():
        low, high = axes.low.project(features.bands.low).mean(), axes.high.project(features.bands.high).mean()
        s, r = float(np.clip(low, 0, 1)), 1 - float(np.clip(high, 0, 1))
        result.append({"snapshot": name, "kimg": anchors.kimg[name], "s": s, "r": r})
    return result


def _summary(row: Row) -> dict[str, Any]:
    return {key: row[key] for key in ("label", "snapshot", "kimg", "resolution", "cari", "s", "r", "share", "picture")}


def _sentence(
    rows: list[Row], by_label: Mapping[str, Row], order: list[str], choice: str | None, tied: list[str]
) -> str:
    """The recommendation and its reason, in one sentence."""
    if choice is None:
        return _no_recommendation(rows)
    row, winner = by_label[choice], order[0]
    text = (
        f"Use {row['snapshot']} blended at {row['resolution']}: CariScore {row['cari']:.2f} "
        f"(structure adopted {row['s']:.2f}, rendering kept {row['r']:.2f})"
    )
    if len(order) == 1:
        return f"{text}, the only blend that could be ranked."
    if len(tied) == 1:
        return f"{text}, better than every other blend with 95 % confidence."
    if choice == winner:
        others = f"{len(tied) - 1} other blend{'s' * (len(tied) > 2)}"
        return (
            f"{text}, the highest; {others} cannot be told apart from it at 95 %, but none is of an earlier snapshot."
        )
    return (
        f"{text}; the highest score is {by_label[winner]['cari']:.2f} ({winner}), {len(tied)} blends cannot be told "
        "apart at 95 %, and this one has the earliest snapshot, then the smallest resolution."
    )


def _no_recommendation(rows: list[Row]) -> str:
    failed = sorted({name for row in rows for name, g in row["gates"].items() if not g["passed"]})
    if rows and not any(row["eligible"] for row in rows):
        return (
            f"No blend is recommended: each fails a gate ({', '.join(failed)}); look at the pictures, and rank them "
            "all the same with gates=false if they are good."
        )
    return (
        "No blend is recommended: none that passes the gates has both the cartoons' structure and the original's "
        "rendering; train longer, or try other resolutions or the other blend.direction."
    )
