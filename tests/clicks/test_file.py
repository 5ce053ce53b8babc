"""Files of clicks: only appended to, merged by writing one behind the other, taken back by a line."""

import json

import pytest

from src.clicks import Click, Side, append_click, read_clicks, read_enough_clicks, undo_click
from src.errors import UserError

A, B = (Side(f"kimg-{k}/8", f"key-{k}", {"s": 0.2 * k, "r": 0.5}, 0.1 * k) for k in (1, 2))


def test_a_click_comes_back_as_it_was_given(tmp_path):
    path, click = tmp_path / "sweeps" / "clicks.jsonl", Click(A, B, "equal", "anna", (3, 5))
    append_click(path, click)
    assert read_clicks(path) == [click]
    assert json.loads(path.read_text())["left"]["places"] == {"s": 0.2, "r": 0.5}


def test_merged_files_count_each_click_once_and_keep_who_gave_it(tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    for path, who in ((one, "anna"), (two, "bert")):
        append_click(path, Click(A, B, "left", who))
    merged = tmp_path / "merged.jsonl"
    merged.write_text(one.read_text() + two.read_text() + one.read_text())
    assert [click.who for click in read_clicks(merged)] == ["anna", "bert"]


def test_a_click_that_was_taken_back_stays_in_the_file_and_does_not_count(tmp_path):
    path, first, second = tmp_path / "clicks.jsonl", Click(A, B, "left", "anna"), Click(A, B, "right", "anna")
    append_click(path, first)
    undo_click(path, first)
    append_click(path, second)
    assert read_clicks(path) == [second] and len(path.read_text().splitlines()) == 3
    path.write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")
    assert read_clicks(path) == [second], "whatever the order of merged files"


def test_a_line_that_a_crash_cut_short_costs_itself_alone(tmp_path):
    path, click = tmp_path / "clicks.jsonl", Click(A, B, "left", "anna")
    path.write_text('{"left": {"lab')
    append_click(path, click)
    assert read_clicks(path) == [click]


@pytest.mark.parametrize("line", ['{"kimg": 1, "kid": 0.3}', "[1]", '"left"', '{"left": {}, "right": {}}'])
def test_another_file_is_refused_by_its_line(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    append_click(path, Click(A, B, "left", "anna"))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 2 is no click"):
        read_clicks(path)


def test_too_few_clicks_and_no_file_are_said(tmp_path):
    path = tmp_path / "clicks.jsonl"
    with pytest.raises(UserError, match=r"clicks\.jsonl: cannot be read"):
        read_enough_clicks(path)
    append_click(path, Click(A, B, "left", "anna"))
    with pytest.raises(UserError, match="1 clicks do not tell alpha, 40 are needed"):
        read_enough_clicks(path)
