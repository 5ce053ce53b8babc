"""The recommendation: calibrated errors, candidates that hold the best, prices, notes, words, racing, joint ranking."""

import time

import numpy as np
import pytest

from src.metrics.cariscore.axis import Floats
from src.metrics.cariscore.comparison import combine, compare, joint
from src.metrics.cariscore.decision import DELTA, Cell, Note, decide, prices
from src.metrics.cariscore.race import looks, race
from src.metrics.cariscore.rendering import RenderingScale
from src.metrics.cariscore.sentence import recommendation, remark, too_few_codes

TITLES = ("cartoon shape adopted", "base rendering kept")
GRID = [Cell(f"{kimg}/{r}", kimg, r) for kimg in (1, 2, 4, 8) for r in (8, 16, 32)]


def noisy(means: Floats, codes: int, seed: int, own: float = 0.1, common: float = 0.3) -> Floats:
    """Pseudo-values of blends with these places `[C, 2]`, most of their spread common to all."""
    rng = np.random.default_rng(seed)
    return means + common * rng.standard_normal((codes, 1, 2)) + own * rng.standard_normal((codes, len(means), 2))


def peaked(at: int, count: int = 12, height: float = 0.3) -> Floats:
    """Places whose score is highest at one of the grid's cells."""
    fall = np.abs(np.arange(count) - at) / count
    return np.stack([0.7 - height * fall, 0.7 - height * fall], axis=1)


def test_the_score_is_a_product_of_powers() -> None:
    assert combine(np.array([[0.5, 0.5], [1.0, -0.2], [0.25, 1.0]]), (0.5, 0.5)) == pytest.approx([0.5, 0, 0.5])
    assert combine(np.array([0.25, 0.5]), (0.25, 0.75)) == pytest.approx(0.25**0.25 * 0.5**0.75)


def test_errors_are_those_of_new_codes() -> None:
    """Predicted over empirical standard deviation of gaps between sets of new codes, by the energy distance itself."""
    target = np.random.default_rng(99).standard_normal((200, 8)) + 1
    gaps, errors = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        base = rng.standard_normal((64, 8))
        scale = RenderingScale(np.eye(8), base, target, True)
        cells = [base + 0.5 * rng.standard_normal(base.shape) + shift for shift in (0.2, 0.5)]
        columns = [scale.place(x.astype(np.float32)).pseudo_values() for x in cells]
        pseudo = np.stack([np.stack([np.ones(64), column], axis=1) for column in columns], axis=1)
        found = compare(pseudo, draws=400)
        gaps.append(found.mean[0] - found.mean[1])
        errors.append(found.gap_error[0, 1])
    assert 0.8 < np.sqrt(np.mean(np.square(errors))) / np.std(gaps, ddof=1) < 1.25


def test_candidates_hold_the_best_when_all_are_equal() -> None:
    equal = np.full((20, 2), 0.5)
    held = [compare(noisy(equal, 64, seed), draws=300).candidate[0] for seed in range(200)]
    assert np.mean(held) > 0.92


def test_regret_bounds_hold_for_all_blends_at_once() -> None:
    means = peaked(5)
    true = combine(means, (0.5, 0.5))
    held = [(true.max() - true <= compare(noisy(means, 64, s), draws=300).regret).all() for s in range(200)]
    assert np.mean(held) > 0.92


def test_other_blends_change_no_score() -> None:
    pseudo = noisy(peaked(5), 128, 0)
    assert np.array_equal(compare(pseudo).mean[:4], compare(pseudo[:, :4]).mean)


def test_twins_are_both_candidates() -> None:
    pseudo = noisy(peaked(5), 128, 0)
    found = compare(np.concatenate([pseudo, pseudo[:, [5]]], axis=1))
    assert found.candidate[5] and found.candidate[-1]
    assert found.share[5] == pytest.approx(found.share[-1])


def test_fewer_than_64_codes_are_refused_in_words() -> None:
    assert decide(noisy(peaked(5), 63, 0), GRID) is None
    assert too_few_codes(63) == (
        "No blend is recommended: 63 codes do not tell how sure it would be, at least 64 are needed."
    )


def test_a_doubling_of_training_must_bring_its_price() -> None:
    cells = [Cell("early", 4, 16), Cell("late", 8, 16)]
    assert prices(cells)[1] - prices(cells)[0] == pytest.approx(DELTA)
    for gain, pick in ((0.5 * DELTA, 0), (2 * DELTA, 1)):
        means = np.array([[0.6, 0.6], [0.6 + gain, 0.6 + gain]])
        decision = decide(noisy(means, 1024, 0, own=0.002), cells)
        assert decision is not None and decision.pick == pick


def test_the_pick_does_not_hang_on_the_number_of_codes() -> None:
    picks = {n: [_pick(noisy(peaked(5), n, seed, own=0.15)) for seed in range(20)] for n in (128, 1024)}
    assert np.mean(np.array(picks[128]) == 5) >= 0.9 and set(picks[1024]) == {5}


def _pick(pseudo: Floats, cells: list[Cell] = GRID) -> int:
    decision = decide(pseudo, cells)
    assert decision is not None
    return decision.pick


def test_it_says_how_many_codes_are_needed_and_they_are_enough() -> None:
    means = peaked(5, height=0.15)
    few = decide(noisy(means, 64, 0, own=0.2), GRID)
    assert few is not None and few.regret > DELTA
    needed = next(note.value for note in few.notes if note.kind == "more_codes")
    assert needed > 64
    enough = decide(noisy(means, 4 * needed, 0, own=0.2), GRID)
    assert enough is not None and enough.regret <= DELTA


def test_edges_of_the_grid_are_told() -> None:
    last = decide(noisy(peaked(11), 512, 0), GRID, resolutions=(4, 8, 16, 32))
    assert last is not None and Note("train_longer") in last.notes
    first = decide(noisy(peaked(0), 512, 0), GRID, resolutions=(4, 8, 16, 32))
    assert first is not None and {n.kind for n in first.notes} >= {"earlier_snapshots", "add_resolution"}
    assert next(n.value for n in first.notes if n.kind == "add_resolution") == 4
    middle = decide(noisy(peaked(4), 512, 0), GRID, resolutions=(4, 8, 16, 32))
    assert middle is not None and not middle.notes


def test_a_grid_goes_as_far_as_what_a_gate_stops() -> None:
    kept, stopped = GRID[:6], GRID[6:]
    pseudo = noisy(peaked(5)[:6], 512, 0)
    ends, whole = (decide(pseudo, kept, resolutions=(4, 8, 16, 32), stopped=beyond) for beyond in ((), stopped))
    assert ends is not None and "train_longer" in {note.kind for note in ends.notes}
    assert whole is not None and not whole.notes


def test_flat_grids_and_untrained_snapshots_are_told() -> None:
    flat = decide(noisy(np.full((12, 2), 0.6), 1024, 0, own=0.02), GRID)
    assert flat is not None and "flat" in {note.kind for note in flat.notes}
    blends, whole = peaked(4), np.array([[0.7, 0.7]])
    pseudo = noisy(np.concatenate([blends, whole]), 256, 0)
    decision = decide(pseudo[:, :12], GRID, unblended=pseudo[:, 12:])
    assert decision is not None and Note("unseparated") in decision.notes


def test_sentences_say_no_more_than_is_known() -> None:
    means = peaked(5, height=0.15)
    sure, unsure = (decide(noisy(means, n, 0, own), GRID) for n, own in ((4096, 0.02), (64, 0.2)))
    assert sure is not None and unsure is not None
    assert "for this training it is better than every other blend" in recommendation(sure, GRID, means, TITLES)
    text = recommendation(unsure, GRID, means, TITLES)
    assert text.startswith(f"Use {GRID[unsure.pick].label}: CariScore 0.")
    assert f"for this training at most {unsure.below_best:.3f} below the best of the grid (95 %)" in text
    assert "better than every other" not in text
    for note in unsure.notes:
        assert remark(note, unsure).endswith(".")


def test_looks_double_up_to_the_codes() -> None:
    assert looks(500) == [64, 128, 256, 500]
    assert looks(64) == [64]


def test_a_race_picks_the_same_from_fewer_pictures() -> None:
    whole = {seed: noisy(peaked(5), 1024, seed) for seed in range(20)}
    same, rendered = 0, 0
    for pseudo in whole.values():
        before = 0
        for codes, racing in race(GRID, looks(1024), lambda n, racing, rows=pseudo: rows[:n, racing]):
            rendered += (codes - before) * len(racing)
            before = codes
        assert codes < 1024, "decided before"
        same += racing[_pick(pseudo[:codes, racing], [GRID[i] for i in racing])] == _pick(pseudo)
    assert same >= 19
    assert rendered < 0.25 * 20 * 1024 * len(GRID)


def test_several_trainings_are_ranked_together() -> None:
    rng = np.random.default_rng(0)
    true = combine(peaked(5), (0.5, 0.5))
    held = 0
    for _ in range(100):
        table = true + 0.03 * rng.standard_normal((3, 1)) + 0.02 * rng.standard_normal((3, 12))
        found = joint(table, draws=500)
        held += found.candidate[5]
    assert held >= 93


def test_a_large_grid_is_compared_in_a_second() -> None:
    pseudo = np.random.default_rng(0).standard_normal((512, 100, 2)) + 3
    started = time.process_time()
    compare(pseudo, draws=500)
    assert time.process_time() - started < 2
