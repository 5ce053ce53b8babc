"""Gates on constructed features, where the right answer is known."""

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.metrics.gates import diversity, face_features, identity_retrieval, memorisation


def _cloud(count: int, seed: int, features: int = 16) -> torch.Tensor:
    return torch.randn([count, features], generator=torch.Generator().manual_seed(seed))


def test_identity_ignores_a_shift_that_all_pictures_share():
    base = _cloud(50, 0)
    gate = identity_retrieval(base, base + 100 + 0.1 * _cloud(50, 1))
    assert gate.value == 1.0 and gate.passed


def test_identity_fails_for_unrelated_or_collapsed_pictures():
    base = _cloud(50, 0)
    unrelated = identity_retrieval(base, _cloud(50, 1))
    collapsed = identity_retrieval(base, torch.ones(50, 16))
    assert unrelated.value < 0.2 and not unrelated.passed
    assert collapsed.value == 0.0 and not collapsed.passed


def test_identity_value_is_the_share_of_pictures_found():
    base = _cloud(80, 0, features=64)
    blend = base.clone()
    blend[[0, 1, 2, 3]] = base[[1, 2, 3, 0]]  # four people are someone else
    gate = identity_retrieval(base, blend)
    assert gate.value == pytest.approx(0.95)
    assert gate.passed and not identity_retrieval(base, blend, threshold=0.96).passed


def test_identity_forgives_what_a_style_does_to_everybody():
    base = _cloud(120, 0)
    styled = base @ _cloud(16, 5) + 3  # turned, stretched and moved, the same for all
    assert identity_retrieval(base, styled).value > 0.9


def test_identity_is_not_found_by_fitting_the_pair_itself():
    """Held-out pairs: a map could turn any 50 pictures into any 50 others of more features than pictures."""
    assert identity_retrieval(_cloud(50, 0, features=300), _cloud(50, 1, features=300)).value < 0.15


def test_face_features_look_at_the_face_alone():
    seen = []

    def extractor(images):
        seen.append(images)
        return images.float().flatten(1)

    pictures = torch.randint(0, 256, [2, 3, 64, 64], dtype=torch.uint8)
    changed = pictures.clone()
    changed[:, :, :6], changed[:, :, :, -8:] = 0, 255
    assert torch.equal(face_features(pictures, extractor), face_features(changed, extractor))
    changed[:, :, 34, 32] = 255 - pictures[:, :, 34, 32]
    assert not torch.equal(face_features(pictures, extractor), face_features(changed, extractor))
    assert seen[0].dtype == torch.uint8 and (seen[0][:, :, 0] == 128).all()


def test_identity_uses_the_first_pictures_up_to_the_limit():
    base = _cloud(60, 0)
    blend = torch.cat([base[:30], _cloud(30, 1)])
    assert identity_retrieval(base, blend, limit=30).value == 1.0
    assert identity_retrieval(base, blend).value < 0.8


def test_identity_needs_pairs():
    with pytest.raises(UserError, match=r"\[9, 16\] and \[8, 16\]"):
        identity_retrieval(_cloud(9, 0), _cloud(8, 0))
    with pytest.raises(UserError, match="at least 2 pictures"):
        identity_retrieval(_cloud(1, 0), _cloud(1, 0))


def test_diversity_is_the_ratio_of_pairwise_distances():
    base = _cloud(40, 0)
    assert diversity(base, 0.5 * base + 3).value == pytest.approx(0.5, rel=1e-5)
    assert not diversity(base, 0.5 * base).passed
    assert diversity(base, _cloud(9, 1)).passed
    with pytest.raises(UserError, match="all alike"):
        diversity(torch.ones(5, 3), base)


def test_memorisation_tells_copies_from_new_pictures():
    training = _cloud(200, 0)
    copies = memorisation(training[:50] + 0.01 * _cloud(50, 1), training)
    fresh = memorisation(_cloud(100, 2), training)
    assert copies.value < 0.1 and not copies.passed
    assert 0.9 < fresh.value < 1.1 and fresh.passed


def test_gates_take_numpy_and_write_plain_values():
    base = _cloud(9, 0).numpy()
    facts = identity_retrieval(base, base).as_dict()
    assert facts == {"value": 1.0, "threshold": 0.5, "passed": True}
    assert diversity(base.astype(np.float64), base).as_dict()["value"] == pytest.approx(1.0)
