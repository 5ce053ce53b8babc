"""How often clicks agree with what foretold them, on clicks that had no part in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .file import Click
from .taste import Taste

FOLDS = 10
SIGMAS = 1.96  # of 95 %


@dataclass(frozen=True)
class Agreement:
    """A share of clicks, with the bounds of 95 % (Wilson, *J. Amer. Statist. Assoc.* 22, 1927)."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, agreeing: float, count: int) -> "Agreement":
        """Of a count; what says nothing about a click agrees half."""
        share, square = agreeing / count, SIGMAS**2
        middle = (share + square / (2 * count)) / (1 + square / count)
        reach = SIGMAS * np.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
        return cls(share, float(middle - reach), float(middle + reach))


def held_out(clicks: Sequence[Click], axes: Sequence[str]) -> dict[str, Agreement]:
    """Ask each click of those who did not see it.

    Clicks are dealt into ten parts, those on one pair into the same; each part is foretold by the alpha of the others.
    Equal answers are fitted, but have no winner to foretell.

    Returns:
        `score` (under the alpha of the other parts), `kid` (the snapshot of lower KID; left out when there are no
        KIDs), `chance` (the shares that 95 % of guessers reach); empty when no click has a winner.
    """
    number: dict[frozenset[str], int] = {}
    for click in clicks:
        number.setdefault(click.pair, len(number) % FOLDS)
    parts = [number[click.pair] for click in clicks]
    by_score = []
    for part in sorted(set(parts)):
        taste = Taste.of([click for click, own in zip(clicks, parts, strict=True) if own != part], axes)
        mine = [click for click, own in zip(clicks, parts, strict=True) if own == part and click.answer != "equal"]
        by_score += [_agrees(click, _lead(taste, click)) for click in mine]
    if not by_score:
        return {}
    count = len(by_score)
    by_kid = [
        _agrees(click, click.right.kid - click.left.kid)
        for click in clicks
        if click.answer != "equal" and click.left.kid is not None and click.right.kid is not None
    ]
    kid = {"kid": Agreement.of(sum(by_kid), len(by_kid))} if by_kid else {}
    return {"score": Agreement.of(sum(by_score), count), **kid, "chance": Agreement.of(count / 2, count)}


def _lead(taste: Taste, click: Click) -> float:
    left, right = (np.array([[side.places[name] for name in taste.axes]]) for side in (click.left, click.right))
    return float(taste.lead(left, right)[0])


def _agrees(click: Click, lead: float) -> float:
    """1 for an answer that was foretold by the side that leads, 0 for the other, a half where none does."""
    return 0.5 if lead == 0 else float((lead > 0) == (click.answer == "left"))
