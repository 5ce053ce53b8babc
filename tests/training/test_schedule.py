"""When snapshots are taken."""

import pytest

from src.errors import UserError
from src.training.schedule import mark_name, run_length, snapshot_marks


def test_early_is_dense_then_every_twenty():
    assert snapshot_marks("early", 16) == [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16]
    assert snapshot_marks("early", 150)[-3:] == [100, 120, 140]
    assert snapshot_marks("early", None)[-1] == 32


def test_explicit_marks_end_the_run():
    assert snapshot_marks([0, 1, 2], None) == [0, 1, 2]
    assert run_length([0, 1, 2], None) == 2
    assert run_length([0, 1, 2], 5) == 5


def test_a_number_is_an_interval():
    assert snapshot_marks(0.5, 2) == [0, 0.5, 1, 1.5, 2]


@pytest.mark.parametrize("kimg", [[], [2, 1], [0, 0], [-1], ["a"], "dense", 0, -1, [0.001, 0.002], [True]])
def test_other_schedules_are_refused(kimg):
    with pytest.raises(UserError, match=r"snapshot\.kimg"):
        snapshot_marks(kimg, 10)


def test_marks_after_the_end_are_refused():
    with pytest.raises(UserError, match="after the end"):
        snapshot_marks([0, 8], 4)


def test_names_sort_by_kimg():
    assert mark_name(16) == "kimg-000016.00"
    assert sorted([mark_name(100), mark_name(2.5), mark_name(16)]) == [mark_name(2.5), mark_name(16), mark_name(100)]
