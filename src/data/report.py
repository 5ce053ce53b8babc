"""What a look through a data set found: pictures used, converted, left out, and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_MAX_LISTED = 200


@dataclass
class DatasetReport:
    """Counts and reasons of one check."""

    source: str  # the path checked
    used: int = 0  # pictures in the set
    converted: dict[str, list[str]] = field(default_factory=dict)  # file name to what was done to it
    skipped: dict[str, str] = field(default_factory=dict)  # file name to the reason it was left out
    # why labels that are there are not used; None where they are, or where there are none
    labels_problem: str | None = None

    def summary(self) -> str:
        """One line: `400 pictures from DIR (12 converted: grey to RGB; 3 skipped: 2 empty file, 1 damaged)`."""
        return f"{self.used} pictures from {self.source}{self.details()}"

    def details(self) -> str:
        """What is to be said of them, in brackets; empty where there is nothing."""
        parts = []
        if self.converted:
            kinds = Counter(note for notes in self.converted.values() for note in notes)
            parts.append(f"{len(self.converted)} converted: {_counts(kinds)}")
        if self.skipped:
            parts.append(f"{len(self.skipped)} skipped: {_counts(Counter(self.skipped.values()))}")
        if self.labels_problem:
            parts.append(f"labels not used: {self.labels_problem}")
        return f" ({'; '.join(parts)})" if parts else ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `run.json`; long lists are cut and say so."""
        return {
            "source": self.source,
            "used": self.used,
            "num_converted": len(self.converted),
            "num_skipped": len(self.skipped),
            **({"labels_problem": self.labels_problem} if self.labels_problem else {}),
            "converted": dict(list(self.converted.items())[:_MAX_LISTED]),
            "skipped": dict(list(self.skipped.items())[:_MAX_LISTED]),
        }


def _counts(kinds: Counter[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    shown = [f"{count} {note}" for note, count in kinds.most_common(4)]
    return ", ".join(shown) + (", ..." if len(kinds) > 4 else "")
