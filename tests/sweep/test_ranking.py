"""The recommendation: confidence, gates, and the reason in a sentence, on made-up features."""

import numpy as np
import pytest
import torch

from src.metrics import BandFeatures
from src.sweep.features import PictureFeatures
from src.sweep.ranking import Anchors, rank

from .conftest import settings_of

N = 80
SETTINGS = settings_of((8, 16), n_bootstrap=300)
RNG = np.random.default_rng(0)
LOW, HIGH = RNG.standard_normal((2, N, 6)).astype(np.float32)
EMBEDDED = torch.randn([N, 12], generator=torch.Generator().manual_seed(0))


def features(low: float, high: float, noise: float = 0.02, embedded=EMBEDDED) -> PictureFeatures:
    """Pictures moved so far along both bands' axes (0 base, 1 fine-tuned)."""
    rng = np.random.default_rng(round(1000 * abs(low) + high))
    jitter = rng.standard_normal((2, N, 6)).astype(np.float32) * noise
    step = np.array([4, 0, 0, 0, 0, 0], dtype=np.float32)
    return PictureFeatures(BandFeatures(LOW + low * step + jitter[0], HIGH + high * step + jitter[1]), embedded)


def grid(places, **changes):
    """Rows and features of `{(kimg, resolution): (low, high)}`."""
    rows, cells = [], {}
    for (kimg, r), place in places.items():
        label = f"kimg-{kimg:09.2f}/{r}"
        row = {
            "label": label,
            "snapshot": f"kimg-{kimg:09.2f}",
            "kimg": kimg,
            "resolution": r,
            "kinship": 0.99,
            "picture": "x.jpg",
        }
        rows.append({**row, **changes.get(label, {})})
        cells[label] = place if isinstance(place, PictureFeatures) else features(*place)
    return rows, cells


def measured() -> Anchors:
    finetuned = {"kimg-000000.00": features(0, 0), "kimg-000004.00": features(1, 1)}
    kimg = {"kimg-000000.00": 0.0, "kimg-000004.00": 4.0}
    return Anchors(features(0, 0), finetuned, kimg, reals=None, no_reals="none here")


def test_the_original_network_is_never_recommended():
    rows, cells = grid({(0, 8): (1e-9, 0.0), (0, 16): (0.001, 0.0), (4, 8): (0.0, 1.0)})
    for row in rows:
        row["kinship"] = 1.0 if row["kimg"] == 0 else 0.2
    _, facts = rank(rows, cells, measured(), SETTINGS)
    assert facts["recommended"] is None and facts["sentence"].startswith("No blend is recommended")


def test_a_single_blend_is_not_called_better_than_others():
    rows, cells = grid({(4, 16): (0.8, 0.2)})
    _, facts = rank(rows, cells, measured(), SETTINGS)
    assert facts["sentence"].endswith("the only blend that could be ranked.")


def test_the_best_of_clearly_different_blends_is_recommended():
    rows, cells = grid({(1, 8): (0.1, 0.0), (1, 16): (0.8, 0.2), (4, 8): (0.9, 0.9)})
    scored, facts = rank(rows, cells, measured(), SETTINGS)
    assert [row["label"] for row in scored] == [row["label"] for row in rows]
    assert facts["recommended"]["label"] == facts["winner"]["label"] == "kimg-000001.00/16"
    assert facts["indistinguishable"] == ["kimg-000001.00/16"] and facts["anchor"] == "kimg-000004.00"
    assert scored[1]["cari"] == pytest.approx(0.8, abs=0.05) and scored[1]["share"] > 0.99
    assert "better than every other blend with 95 % confidence" in facts["sentence"]


def test_of_blends_that_cannot_be_told_apart_the_earliest_then_smallest_is_recommended():
    noisy = 3.0
    places = {(4, 8): (0.7, 0.3), (2, 16): (0.7, 0.3), (2, 8): (0.69, 0.3), (1, 8): (0.05, 0.0)}
    rows, cells = grid({key: features(*place, noise=noisy) for key, place in places.items()})
    _, facts = rank(rows, cells, measured(), SETTINGS)
    assert set(facts["indistinguishable"]) == {"kimg-000004.00/8", "kimg-000002.00/16", "kimg-000002.00/8"}
    assert facts["recommended"]["label"] == "kimg-000002.00/8"


def test_a_blend_that_fails_a_gate_is_scored_but_not_ranked():
    alike = features(0.8, 0.2, embedded=EMBEDDED * 0.1)  # variety lost
    rows, cells = grid({(1, 8): (0.5, 0.3), (1, 16): alike})
    scored, facts = rank(rows, cells, measured(), SETTINGS)
    assert not scored[1]["eligible"] and not scored[1]["gates"]["diversity"]["passed"]
    assert scored[1]["cari"] > scored[0]["cari"] and scored[1]["share"] == 0
    assert facts["winner"]["label"] == "kimg-000001.00/8"
    _, ignored = rank(rows, cells, measured(), settings_of((8, 16), gates=False, n_bootstrap=300))
    assert ignored["winner"]["label"] == "kimg-000001.00/16"


def test_strangers_copies_and_swapped_identities_fail_their_gates():
    swapped = features(0.6, 0.3, embedded=EMBEDDED.roll(1, dims=0))
    rows, cells = grid({(1, 8): (0.6, 0.3), (1, 16): swapped}, **{"kimg-000001.00/8": {"kinship": 0.2}})
    reals = EMBEDDED + 0.01 * torch.randn(EMBEDDED.shape, generator=torch.Generator().manual_seed(1))
    known = Anchors(features(0, 0), measured().finetuned, measured().kimg, reals)
    scored, facts = rank(rows, cells, known, SETTINGS)
    passed = [{name: gate["passed"] for name, gate in row["gates"].items()} for row in scored]
    assert passed[0] == {"identity": True, "diversity": True, "memorisation": False, "kinship": False}
    assert passed[1]["identity"] is False and passed[1]["kinship"] is True
    assert facts["recommended"] is None and facts["winner"] is None and facts["indistinguishable"] == []
    assert "each fails a gate (identity, kinship, memorisation)" in facts["sentence"]


def test_nothing_is_recommended_where_no_structure_is_adopted():
    rows, cells = grid({(1, 8): (-0.2, 0.0), (1, 16): (-0.1, 0.0)})
    _, facts = rank(rows, cells, measured(), SETTINGS)
    assert facts["recommended"] is None and "train longer" in facts["sentence"]
