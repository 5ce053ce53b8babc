"""Lines that are appended stand whole, or it is said that there was no room."""

import pytest

from src.errors import UserError
from src.files import append_lines


def test_a_line_for_which_there_is_no_room_is_no_success_and_the_next_stands_alone(tmp_path):
    resource = pytest.importorskip("resource")
    path, before = tmp_path / "rows.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)
    append_lines(path, ["first"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))  # as on a disk with four bytes left
    try:
        with pytest.raises(UserError, match=r"rows\.jsonl.*No space left"):
            append_lines(path, ["second"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    append_lines(path, ["third"])
    assert path.read_text().splitlines() == ["first", "seco", "third"]
