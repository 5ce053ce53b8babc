"""The order of pictures: a pure function of (seed, position)."""

import itertools

import numpy as np
import pytest

from src.data.sampler import BatchPositions, PictureOrder


@pytest.mark.parametrize("num_images", [1, 2, 7, 100])
def test_each_pass_shows_every_picture_once(num_images: int) -> None:
    order = PictureOrder(num_images, seed=3)
    for number in range(4):
        indices, _ = order.at(number * num_images, num_images)
        assert sorted(indices.tolist()) == list(range(num_images))


def test_passes_and_seeds_differ() -> None:
    first, second = (PictureOrder(50, seed=0).at(start, 50)[0] for start in (0, 50))
    other = PictureOrder(50, seed=1).at(0, 50)[0]
    assert not np.array_equal(first, second) and not np.array_equal(first, other)


@pytest.mark.parametrize("start", [0, 1, 9, 10, 11, 37, 1000])
def test_any_start_equals_the_tail_of_the_whole(start: int) -> None:
    whole = PictureOrder(10, seed=4, mirror=True).at(0, 1100)
    part = PictureOrder(10, seed=4, mirror=True).at(start, 60)
    for w, p in zip(whole, part, strict=True):
        assert np.array_equal(w[start : start + 60], p)


def test_what_was_asked_before_changes_nothing() -> None:
    used = PictureOrder(10, seed=4, mirror=True)
    for start in (95, 3, 41, 41, 8):
        fresh = PictureOrder(10, seed=4, mirror=True).at(start, 25)
        for a, b in zip(used.at(start, 25), fresh, strict=True):
            assert np.array_equal(a, b)


def test_far_positions_cost_no_more_than_near_ones() -> None:
    indices, flips = PictureOrder(1000, seed=0, mirror=True).at(10**12, 2000)
    assert indices.shape == flips.shape == (2000,)
    assert indices.dtype == np.int64 and flips.dtype == bool
    assert (np.bincount(indices, minlength=1000) == 2).all()


def test_flips_are_half_of_showings_and_independent_of_order() -> None:
    flipped, plain = (PictureOrder(1000, seed=0, mirror=m).at(0, 4000) for m in (True, False))
    assert np.array_equal(flipped[0], plain[0])
    assert not plain[1].any()
    assert abs(flipped[1].mean() - 0.5) < 0.04
    by_picture = np.zeros(1000)
    np.add.at(by_picture, flipped[0], flipped[1])
    assert set(by_picture) == {0, 1, 2, 3, 4}  # a picture is not always shown the same way


def test_order_is_pinned() -> None:
    """Runs in progress resume by this order: a change here breaks them."""
    indices, flips = PictureOrder(8, seed=5, mirror=True).at(4, 8)
    assert indices.tolist() == [7, 5, 6, 0, 4, 2, 5, 0]
    assert flips.tolist() == [True, False, False, True, False, False, True, True]


def test_an_empty_set_has_no_order() -> None:
    with pytest.raises(ValueError, match="empty"):
        PictureOrder(0, seed=0)


def test_batches_follow_each_other_from_any_start() -> None:
    whole = list(itertools.islice(BatchPositions(4), 6))
    assert whole[0] == [0, 1, 2, 3] and list(itertools.chain(*whole)) == list(range(24))
    assert list(itertools.islice(BatchPositions(4, start=8), 4)) == whole[2:]


def test_ranks_share_a_batch() -> None:
    ranks = [list(itertools.islice(BatchPositions(6, start=12, rank=r, num_ranks=3), 2)) for r in range(3)]
    for step, batch in enumerate(itertools.islice(BatchPositions(6, start=12), 2)):
        parts = [rank[step] for rank in ranks]
        assert all(len(part) == 2 for part in parts)
        assert sorted(itertools.chain(*parts)) == batch
    with pytest.raises(ValueError, match="does not divide"):
        BatchPositions(5, num_ranks=2)
