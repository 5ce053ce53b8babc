"""Lists of seeds, layers and classes as people write them: 7, 0-35, [1, 2, 5-9], "1,2,5-9"."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

MAX_NUMBERS = 10_000
MAX_TEXT = 40
_RANGE = re.compile(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?")


def parse_numbers(value: Any, *, high: int) -> list[int]:
    """Parse whole numbers from 0 to `high`: one, a text of numbers and ranges with commas, or a list of these.

    A ValueError says what is expected: for anything else, a number twice, none, or too many.
    """
    expected = f"give whole numbers from 0 to {high}, such as 7, 0-5 or [1,2,5-9]"
    items = list(value) if isinstance(value, list | tuple) else [value]
    found: list[int] = []
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | str):
            raise ValueError(expected)
        for part in str(item).split(","):
            match = _RANGE.fullmatch(part)
            if match is None:
                raise ValueError(expected)
            first, last = int(match[1]), int(match[2] or match[1])
            if not first <= last <= high:
                raise ValueError(expected)
            if len(found) + last - first >= MAX_NUMBERS:
                raise ValueError(f"at most {MAX_NUMBERS} at a time")
            found += range(first, last + 1)
    if not found:
        raise ValueError(expected)
    twice = next((n for i, n in enumerate(found) if n in found[:i]), None) if len(set(found)) < len(found) else None
    if twice is not None:
        raise ValueError(f"{twice} is given twice")
    return found


def numbers_text(numbers: Sequence[int]) -> str:
    """A short text for file names: `0-35`, `1_2_5-9`; of long lists a count and a checksum."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return shortened("_".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs), len(numbers))


def shortened(text: str, count: int) -> str:
    """`text`, or a count and a checksum when it is too long for a file's name."""
    return text if len(text) <= MAX_TEXT else f"{count}of{hashlib.sha256(text.encode()).hexdigest()[:8]}"
