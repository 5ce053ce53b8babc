"""Which two blends to ask about next."""

import random
from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np

from ..clicks import Side, Taste

NEAR_BEST = 0.5  # any pair may be asked that tells so much of what the best one would
MOST = 1000  # pairs looked at


def next_pair(
    taste: Taste, sides: Sequence[Side], asked: Collection[frozenset[str]], rng: random.Random
) -> tuple[Side, Side]:
    """Draw one of the pairs whose answer tells most of alpha, on random sides.

    Not always the very best one: it would be one of few blends again and again, whose own faults would then decide. No
    pair is asked twice before all were; those that have an answer are `asked`, by the keys of their blends.
    """
    pairs = list(combinations(sides, 2))
    new = [pair for pair in pairs if frozenset(side.key for side in pair) not in asked] or pairs
    new = new if len(new) <= MOST else rng.sample(new, MOST)
    left, right = (np.array([[pair[i].places[name] for name in taste.axes] for pair in new]) for i in (0, 1))
    gain = taste.gain(left, right)
    chosen = list(new[rng.choice(np.flatnonzero(gain >= NEAR_BEST * gain.max()).tolist())])
    rng.shuffle(chosen)
    return chosen[0], chosen[1]
