"""A person who clicks as a score with some alpha and some noise would."""

import json

import numpy as np

from src.clicks import MIN_PLACE, Click, Side

from ..scripts import ROOT

AXES = ("s", "r")


def recorded_sides(experiment: str = "demo") -> list[Side]:
    """The blends of a recorded sweep that can be told from no blend."""
    recorded = json.loads((ROOT / "experiments" / experiment / "results.json").read_text())
    kid = {row["kimg"]: row["kid"] for row in recorded["metrics"]}
    sides = []
    for row in recorded["cells"]:
        label, places = f"{row['kimg']:g}/{row['resolution']}", {name: row[name] for name in AXES}
        if row["kimg"] > 0 and min(places.values()) >= MIN_PLACE:
            sides.append(Side(label, f"key of {label}", places, kid.get(row["kimg"])))
    return sides


class Clicker:
    """Answers by S^alpha R^(1 - alpha) of each side, misjudged a little each time.

    Args:
        alpha: weight of shape.
        noise: standard deviation of the difference that is seen.
        seed: of the noise.
    """

    SAME = 0.01  # smaller differences are equal

    def __init__(self, alpha: float, noise: float, seed: int) -> None:
        self.alpha, self.noise, self.rng = alpha, noise, np.random.default_rng(seed)

    def score(self, side: Side) -> float:
        return side.places["s"] ** self.alpha * side.places["r"] ** (1 - self.alpha)

    def answer(self, left: Side, right: Side):
        seen = self.score(left) - self.score(right) + self.noise * self.rng.standard_normal()
        return "equal" if abs(seen) < self.SAME else "left" if seen > 0 else "right"

    def click(self, left: Side, right: Side) -> Click:
        return Click(left, right, self.answer(left, right), "simulated")
