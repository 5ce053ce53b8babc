"""The weight of shape is found again from noisy clicks, and its agreement is asked of clicks that it has not seen."""

import random

import numpy as np
import pytest

from src.clicks import ENOUGH, Agreement, Click, Side, Taste, held_out, judge
from src.picking.pairs import next_pair

from .simulated import AXES, Clicker, recorded_sides


def clicks_of(clicker, sides, count=ENOUGH, *, seed=0):
    """What a person answers to the questions that pick.py would ask."""
    rng, clicks = random.Random(seed), []
    for _ in range(count):
        asked = {click.pair for click in clicks}
        clicks.append(clicker.click(*next_pair(Taste.of(clicks, AXES), sides, asked, rng)))
    return clicks


@pytest.mark.parametrize("noise", [0.03, 0.06, 0.1])
def test_forty_clicks_recover_alpha(noise):
    """Within .1 in at least 8 of 10; the blends and their places are those of a recorded sweep."""
    sides = recorded_sides()
    assert len(sides) > 15
    found = [Taste.of(clicks_of(Clicker(0.3, noise, seed), sides, seed=seed), AXES) for seed in range(10)]
    assert sum(abs(taste.alpha - 0.3) <= 0.1 for taste in found) >= 8, [taste.alpha for taste in found]
    assert sum(taste.interval[0] <= 0.3 <= taste.interval[1] for taste in found) >= 8


def test_the_chosen_pairs_tell_more_than_random_ones():
    sides = recorded_sides()
    rng = random.Random(0)
    widths = {"chosen": [], "random": []}
    for seed in range(4):
        person = Clicker(0.3, 0.06, seed)
        by_chance = [person.click(*rng.sample(sides, 2)) for _ in range(ENOUGH)]
        for name, clicks in (("chosen", clicks_of(person, sides, seed=seed)), ("random", by_chance)):
            low, high = Taste.of(clicks, AXES).interval
            widths[name].append(high - low)
    assert np.mean(widths["chosen"]) < 0.8 * np.mean(widths["random"])


def test_no_pair_is_asked_twice_before_all_were_and_sides_are_random():
    sides = recorded_sides()[:5]
    clicks = clicks_of(Clicker(0.5, 0.05, 0), sides, 10)
    assert len({click.pair for click in clicks}) == 10
    assert len(clicks_of(Clicker(0.5, 0.05, 0), sides, 12)) == 12
    pairs = [next_pair(Taste.of([], AXES), sides[:2], set(), random.Random(seed)) for seed in range(40)]
    assert 8 < sum(left is sides[0] for left, _ in pairs) < 32


def test_without_clicks_every_alpha_is_as_likely():
    taste = Taste.of([], AXES)
    assert taste.alpha == pytest.approx(0.5) and taste.interval == pytest.approx((0.025, 0.975), abs=0.02)


def test_a_third_axis_shares_what_shape_leaves():
    def side(key, **places):
        return Side(key, key, places)

    a, b = side("a", s=0.3, r=0.8, c=0.6), side("b", s=0.5, r=0.5, c=0.7)
    taste = Taste.of([Click(a, b, "left", "x")] * 20, ("s", "r", "c"))
    assert taste.alpha < 0.4, "rendering was preferred every time"


def test_agreement_is_asked_of_alphas_that_have_not_seen_the_click(monkeypatch):
    clicks, fits = clicks_of(Clicker(0.3, 0.06, 0), recorded_sides()), []
    fit = Taste.of.__func__

    def watched(cls, given, axes):
        fits.append({click.pair for click in given})
        return fit(cls, given, axes)

    monkeypatch.setattr(Taste, "of", classmethod(watched))
    held_out([*clicks, *clicks], AXES)  # every pair twice, as two people would
    everything = {click.pair for click in clicks}
    left_out = [everything - seen for seen in fits]
    assert len(fits) == 10 and set().union(*left_out) == everything
    assert sum(map(len, left_out)) == len(everything), "each pair is left out of one fit, with both of its clicks"


def test_agreement_tells_the_score_from_kid_and_chance():
    verdict = judge(clicks_of(Clicker(0.3, 0.03, 1), recorded_sides(), 80), AXES, "clicks")
    score, kid, chance = (verdict.agreement[name] for name in ("score", "kid", "chance"))
    assert score.share > 0.75 > kid.share and score.low > chance.high
    assert chance.share == 0.5 and chance.low == pytest.approx(0.4, abs=0.03)
    bounds = f"({100 * score.low:.0f} to {100 * score.high:.0f})"
    assert verdict.alpha == pytest.approx(0.3, abs=0.05), "which pairs are asked hangs on the last digit of a logarithm"
    assert f"80 clicks by simulated speak for alpha {verdict.alpha:.2f} (" in verdict.sentence
    assert f"foretold by the score in {100 * score.share:.0f} % {bounds}" in verdict.sentence
    assert f"by the snapshots' KID in {100 * kid.share:.0f} %" in verdict.sentence.replace(", ", ", by ")


def test_a_person_who_guesses_is_not_foretold():
    shares = []
    for seed in range(4):
        shares.append(held_out(clicks_of(Clicker(0.3, 9.0, seed), recorded_sides(), seed=seed), AXES)["score"].share)
    assert 0.35 < np.mean(shares) < 0.65


def test_wilsons_bounds():
    found = Agreement.of(15, 20)  # Agresti and Coull, 1998: .531 to .888
    assert (found.share, found.low, found.high) == pytest.approx((0.75, 0.531, 0.888), abs=1e-3)
