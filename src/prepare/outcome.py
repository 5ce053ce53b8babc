"""What became of a source's files: rows of the manifest, `report.json`, contact sheets, and lines to read."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..data import DatasetReport
from ..files import write_text
from .contact import write_contact_sheets
from .pack import member_name
from .settings import PrepareSettings
from .work_folder import CHECKSUM, Unfinished

#: How reasons begin that name another picture.
DUPLICATE = "near-duplicate"


@dataclass
class Outcome:
    """What became of a source's files."""

    pictures: list[int]  # numbers of those used in the work, in order
    labels: list[int] | None  # class of each, or None
    left_out: dict[str, str]  # file name (of a face `name#1`, …) to reason
    classes: list[str] | None = None  # names of the classes, or None
    facts: dict[str, Any] = field(default_factory=dict)  # for the report
    # from a picture's number in the work to its file's place in the source's list of names
    source_of: Callable[[int], int] = int
    # from a picture's number in the work to the one that is shown, by which `drop=` leaves it out
    number_of: Callable[[int], int | str] = int
    details: dict[str, Any] = field(default_factory=dict)  # further parts of the manifest


def entries(
    settings: PrepareSettings, names: Sequence[str], work: Unfinished, outcome: Outcome
) -> list[dict[str, Any]]:
    """Rows of the manifest: `file` in a zip or `record` of TFRecords, what it was made of, what was done."""
    rows = []
    for i, number in enumerate(outcome.pictures):
        hidden = (CHECKSUM, "colour")
        record = {key: value for key, value in work.records[number].items() if key not in hidden}
        label = {} if outcome.labels is None else {"label": outcome.labels[i]}
        place = {"file": member_name(i)} if settings.format == "zip" else {"record": i}
        origin = {"number": outcome.number_of(number), "source": names[outcome.source_of(number)]}
        rows.append({**place, **origin, **label, **record})
    return rows


def write_report(settings: PrepareSettings, names: Sequence[str], work: Unfinished, outcome: Outcome) -> None:
    """Write `report.json` and the contact sheets, and print the essence."""
    folder = settings.report_folder
    notes = {
        names[outcome.source_of(i)]: work.records[i]["notes"] for i in outcome.pictures if work.records[i]["notes"]
    }
    report = {
        "out": os.fsdecode(settings.target),
        "source": os.fsdecode(settings.source),
        "used": len(outcome.pictures),
        "options": settings.choices(),
        "left_out": [{"file": name, "reason": reason} for name, reason in outcome.left_out.items()],
        "converted": notes,
        **outcome.facts,
    }
    write_text(folder / "report.json", json.dumps(report, indent=1))
    pages = write_contact_sheets(folder, [(str(outcome.number_of(i)), work.path(i)) for i in outcome.pictures])
    kinds = {name: DUPLICATE if r.startswith(DUPLICATE) else r for name, r in outcome.left_out.items()}
    if "num_faces" in outcome.facts:  # each reason has its own numbers in it
        kinds = {name: reason.partition(" (")[0] for name, reason in kinds.items()}
    print(shown(DatasetReport(str(settings.source), len(outcome.pictures), notes, kinds).summary()))
    for line in _lines(outcome.facts):
        print(line)
    if pages:
        print(f"contact sheets: {folder}/{pages[0].name}" + (f" to {pages[-1].name}" if len(pages) > 1 else ""))
    print(f"report: {folder / 'report.json'}")


def _lines(facts: Mapping[str, Any]) -> list[str]:
    """What the report of a FERG set, or of faces, says beyond the counts of files."""
    lines = []
    if "num_faces" in facts:
        lines.append(f"{facts['num_faces']} faces found in {facts['with_faces']} of {facts['pictures']} pictures")
    if "cells" in facts:
        counts = [n for row in facts["cells"].values() for n in row.values()]
        lines.append(f"{len(counts)} cells of {min(counts)} to {max(counts)} pictures, out of {facts['files']} files")
    if facts.get("short"):
        lines.append(
            f"too few pictures, shared by the others: {_listed([f'{k} {n}' for k, n in facts['short'].items()])}"
        )
    if facts.get("empty"):
        lines.append(f"no pictures at all: {_listed(facts['empty'])}")
    if facts.get("missing_numbers"):
        total = sum(len(numbers) for numbers in facts["missing_numbers"].values())
        lines.append(f"{total} missing numbers, neighbours taken: {_listed(list(facts['missing_numbers']))}")
    return lines


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:6]) + (f" and {len(items) - 6} more" if len(items) > 6 else "")


def shown(value: Any) -> str:
    """Text that any terminal takes: file names need not be UTF-8."""
    return str(value).encode(errors="replace").decode()
