"""The recommendation in words that say no more than is known."""

from collections.abc import Sequence

from .axis import Floats
from .decision import DELTA, MIN_CODES, Cell, Decision, Note


def recommendation(
    decision: Decision, cells: Sequence[Cell], places: Floats, titles: Sequence[str], delta: float = DELTA
) -> str:
    """Say what is recommended, how good it is and how far below the best it may be.

    Args:
        decision: about `cells`.
        cells: the blends that could be recommended.
        places: of each on each axis `[C, A]`.
        titles: of the axes.
        delta: what a doubling of training must bring.
    """
    i, cell = decision.pick, cells[decision.pick]
    parts = ", ".join(f"{title} {place:.2f}" for title, place in zip(titles, places[i], strict=True))
    text = f"Use {cell.label}: CariScore {decision.scores.mean[i]:.2f} ({parts})"
    if len(cells) == 1:
        return f"{text}, the only blend that could be ranked."
    if decision.candidates == [i]:
        return f"{text}; for this training it is better than every other blend of the grid (95 %)."
    bound = f"for this training at most {decision.below_best:.3f} below the best of the grid (95 %)"
    why = f"a doubling of training must bring {delta:g}"
    return f"{text}; {bound}, {_among(decision)}; {why}."


def too_few_codes(codes: int) -> str:
    """Say that nothing is recommended."""
    return f"No blend is recommended: {codes} codes do not tell how sure it would be, at least {MIN_CODES} are needed."


def remark(note: Note, decision: Decision) -> str:
    """One sentence about one note."""
    if note.kind == "more_codes":
        return f"It may be more than that below: n_latents={note.value} would tell (now {decision.regret:.3f})."
    if note.kind == "flat":
        worst = float(decision.scores.regret[decision.candidates].max())
        return (
            f"{note.value} blends cannot be told apart, none of them is more than {worst:.3f} below the best: "
            "look at their pictures and take the one that pleases."
        )
    if note.kind == "unseparated":
        return (
            "An un-blended snapshot may be as good as the best blend: not trained enough to tell shape from rendering."
        )
    if note.kind == "add_resolution":
        return (
            f"The best may lie outside: add {note.value} to blend.res{', the score rises there' if note.sure else ''}."
        )
    if note.kind == "train_longer":
        still = "The score still rises" if note.sure else "It is not known that the score falls"
        return f"{still} at the last snapshot: train longer."
    if note.kind == "earlier_snapshots":
        still = "The score rises" if note.sure else "It is not known that the score falls"
        return f"{still} towards the first snapshot: take earlier ones (snapshot.kimg)."
    raise ValueError(f"unknown note {note.kind}")


def _among(decision: Decision) -> str:
    count = len(decision.candidates)
    others = count - (decision.pick in decision.candidates)
    if decision.pick not in decision.candidates:
        return f"though {others} other{'s' * (others > 1)} may be the best by the score alone"
    return f"{others} other blend{'s' * (others > 1)} cannot be told from the best"
