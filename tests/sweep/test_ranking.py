"""The recommendation: bounds, gates, and the reason in a sentence, on made-up pseudo-values."""

import numpy as np
import pytest

from src.metrics.cariscore import Gate
from src.sweep.ranking import rank

N = 80


class Demand:
    """An axis as far as a ranking looks at it."""

    def __init__(self, name, title):
        self.name, self.title = name, title


SHAPE, RENDERING = Demand("s", "cartoon shape adopted"), Demand("r", "base rendering kept")
AXES = (SHAPE, RENDERING)


def pseudo(*places, noise=0.02, codes=N, seed=None):
    """Pseudo-values whose means are the places."""
    seed = round(1000 * abs(sum(places))) if seed is None else seed
    rest = np.random.default_rng(seed).standard_normal([codes, len(places)])
    return np.array(places) + noise * (rest - rest.mean(axis=0))


def grid(places, gates=None, **options):
    """Rows and pseudo-values of `{(kimg, resolution): places}`."""
    rows, values = [], {}
    for (kimg, r), place in places.items():
        label = f"kimg-{kimg:09.2f}/{r}"
        checks = (gates or {}).get((kimg, r), {"spread": 1.0})
        rows.append(
            {
                "label": label,
                "snapshot": f"kimg-{kimg:09.2f}",
                "kimg": kimg,
                "resolution": r,
                "gates": {name: Gate(name, value, 0.5, "no face").as_dict() for name, value in checks.items()},
                "picture": "x.jpg",
            }
        )
        values[label] = place if isinstance(place, np.ndarray) else pseudo(*place, **options)
    return rows, values


def ranked(places, *, gates=None, unblended=None, axes=AXES, codes=N, **options):
    return rank(*grid(places, gates, codes=codes), unblended or {}, axes, **options)


def test_the_original_network_is_never_recommended():
    rows, facts = ranked({(0, 8): (0.9, 0.9), (0, 16): (0.8, 0.8), (4, 8): (0.0, 0.9)})
    assert facts["recommended"] is None and facts["sentence"].startswith("No blend is recommended: none that passes")
    assert rows[0]["cari"] == pytest.approx(0.9) and rows[0]["share"] == 0


def test_a_single_blend_is_not_called_better_than_others():
    _, facts = ranked({(4, 16): (0.8, 0.7)})
    assert facts["sentence"].endswith("the only blend that could be ranked.")


def test_the_best_of_clearly_different_blends_is_recommended():
    rows, facts = ranked({(1, 8): (0.1, 0.95), (1, 16): (0.8, 0.8), (4, 8): (0.9, 0.1)})
    assert facts["recommended"]["label"] == facts["winner"]["label"] == "kimg-000001.00/16"
    assert facts["candidates"] == facts["equals"] == ["kimg-000001.00/16"] and facts["below_best"] == 0
    assert rows[1]["cari"] == pytest.approx(0.8) and rows[1]["share"] > 0.99
    assert facts["sentence"] == (
        "Use kimg-000001.00 blended at 16: CariScore 0.80 (cartoon shape adopted 0.80, base rendering kept 0.80); "
        "for this training it is better than every other blend of the grid (95 %)."
    )


def test_blends_that_may_be_the_best_are_named_with_the_bound_on_what_the_pick_misses():
    places = {(4, 8): pseudo(0.7, 0.7, noise=0.3, seed=1), (2, 16): pseudo(0.7, 0.7, noise=0.3, seed=2)}
    places[(1, 8)] = pseudo(0.05, 0.9, noise=0.3, seed=3)
    rows, values = grid(places)
    _, facts = rank(rows, values, {}, AXES)
    assert set(facts["candidates"]) == {"kimg-000004.00/8", "kimg-000002.00/16"}
    assert facts["recommended"]["label"] == "kimg-000002.00/16", "another doubling of training must bring .01"
    assert 0.01 < facts["regret"] < 0.2 and 0.01 < facts["below_best"] < 0.2
    bound = f"for this training at most {facts['below_best']:.3f} below the best of the grid (95 %)"
    assert bound in facts["sentence"]
    note = next(note for note in facts["notes"] if note["kind"] == "more_codes")
    assert note["value"] > N and f"n_latents={note['value']} would tell" in note["text"]


def test_fewer_than_64_codes_recommend_nothing_and_say_why():
    rows, facts = ranked({(1, 8): (0.5, 0.5), (1, 16): (0.8, 0.8)}, codes=63)
    assert facts["recommended"] is facts["winner"] is None and facts["candidates"] == []
    assert "63 codes do not tell how sure it would be, at least 64 are needed" in facts["sentence"]
    assert rows[1]["cari"] == pytest.approx(0.8)


def test_a_blend_that_fails_a_gate_is_scored_but_not_ranked():
    places, gates = {(1, 8): (0.5, 0.7), (1, 16): (0.8, 0.8)}, {(1, 16): {"spread": 0.1, "turn": None}}
    rows, facts = ranked(places, gates=gates)
    assert not rows[1]["eligible"] and rows[1]["cari"] > rows[0]["cari"] and rows[1]["share"] == 0
    assert facts["winner"]["label"] == "kimg-000001.00/8"
    assert facts["not_measured"] == {"turn": "no face"}
    rows, values = grid(places, gates)
    _, ignored = rank(rows, values, {}, AXES, gates=False)
    assert ignored["winner"]["label"] == "kimg-000001.00/16"


def test_longer_training_and_other_resolutions_are_not_asked_for_where_gates_have_stopped_them():
    places = {(1, 8): (0.3, 0.7), (2, 8): (0.5, 0.7), (4, 8): (0.6, 0.7), (2, 16): (0.55, 0.7)}
    for gates, told in (({}, {"train_longer"}), ({(4, 8): {"spread": 0.1}, (2, 16): {"spread": 0.1}}, set())):
        _, facts = ranked(places, gates=gates, resolutions=(8, 16))
        assert {note["kind"] for note in facts["notes"]} & {"train_longer", "add_resolution"} == told


def test_a_gate_that_is_not_measured_stops_no_blend():
    rows, facts = ranked({(1, 8): (0.5, 0.7)}, gates={(1, 8): {"turn": None}})
    assert rows[0]["eligible"] and facts["recommended"]["label"] == "kimg-000001.00/8"


def test_all_failing_gates_are_named():
    _, facts = ranked({(0, 8): (0, 1), (1, 8): (0.5, 0.7)}, gates={(1, 8): {"turn": -0.9, "memorisation": 0.1}})
    assert facts["recommended"] is None and facts["winner"] is None and facts["candidates"] == []
    assert "each fails a gate (memorisation, turn)" in facts["sentence"]


def test_an_unblended_snapshot_is_told_of_but_never_recommended():
    places = {(1, 8): (0.5, 0.5), (1, 16): (0.4, 0.4)}
    _, facts = ranked(places, unblended={"kimg-000001.00": pseudo(0.9, 0.5)})
    assert facts["recommended"]["label"] == "kimg-000001.00/8"
    assert "unseparated" in [note["kind"] for note in facts["notes"]]
    assert facts["unblended"][0]["s"] == pytest.approx(0.9)
    _, apart = ranked(places, unblended={"kimg-000001.00": pseudo(0.9, 0.0)})
    assert "unseparated" not in [note["kind"] for note in apart["notes"]]


def test_no_cells_score_hangs_on_what_else_is_in_the_grid():
    places = {(1, 8): (0.5, 0.7), (2, 8): (0.6, 0.6), (4, 8): (0.7, 0.5)}
    whole, _ = ranked(places)
    part, _ = ranked({key: places[key] for key in ((1, 8), (2, 8))})
    wrecked, _ = ranked({**places, (99, 8): (-3.0, -5.0)}, unblended={"kimg-000099.00": pseudo(4.0, -9.0)})
    assert [row["cari"] for row in whole[:2]] == [row["cari"] for row in part]
    assert [row["cari"] for row in whole] == [row["cari"] for row in wrecked[:3]]


def test_another_axis_appears_wherever_axes_are_listed():
    colour = Demand("c", "colour kept")
    rows, facts = ranked({(1, 8): (0.5, 0.8, 0.9), (1, 16): (0.6, 0.8, 0.1)}, axes=(*AXES, colour))
    assert [axis["name"] for axis in facts["axes"]] == ["s", "r", "c"]
    assert [axis["exponent"] for axis in facts["axes"]] == [0.5, 0.25, 0.25]
    assert rows[0]["c"] == pytest.approx(0.9) == facts["recommended"]["c"]
    assert rows[0]["cari"] == pytest.approx(0.5**0.5 * 0.8**0.25 * 0.9**0.25)
    assert "colour kept 0.90" in facts["sentence"]


def test_the_end_of_the_resolutions_is_said():
    places = {(1, 8): (0.4, 0.8), (1, 16): (0.6, 0.8), (2, 8): (0.4, 0.7), (2, 16): (0.5, 0.7)}
    _, facts = ranked(places, resolutions=(4, 8, 16, 32))
    (text,) = (note["text"] for note in facts["notes"] if note["kind"] == "add_resolution")
    assert "add 32 to blend.res" in text
    _, whole = ranked(places, resolutions=(8, 16))
    assert "add_resolution" not in [note["kind"] for note in whole["notes"]]
