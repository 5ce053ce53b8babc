"""Drawn faces out of screenshots and illustrations: find, cut out, leave out what is nearly the same or pruned by hand.

A face's number is its picture's place in the source and its own in the picture, from left to right: `12.1`, `12.2`. So
numbers stay what they are whatever else is left out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

from ..data import NOT_PICTURES, Source, not_of_kinds
from ..errors import UserError
from .duplicates import near_duplicates
from .face_boxes import FaceDetector
from .face_cuts import MAX_FACES, Cut, FaceCutter
from .outcome import DUPLICATE, Outcome
from .parallel import in_order
from .render import Record
from .settings import PrepareSettings
from .work_folder import Unfinished

_STEP = MAX_FACES + 1  # in the work a picture has number place · _STEP, its faces have those that follow
_DROPPED = "in the drop list"
_ENTRY = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")


def prepare_faces(
    settings: PrepareSettings,
    source: Source,
    names: Sequence[str],
    sizes: Sequence[int],
    work: Unfinished,
    detector: FaceDetector,
) -> Outcome:
    """Cut the faces out of all pictures of a source that are not done yet, and decide which are used."""
    places = cut_faces(settings, source, names, sizes, work, detector, slice(None))
    records = work.records
    faces = [place * _STEP + i for place in places for i in range(1, _count(records, place) + 1)]
    dropped = dropped_faces(settings.dropped, names, {place: _count(records, place) for place in places})
    reasons = {number: records[number]["reason"] for number in faces if "reason" in records[number]}
    usable = [number for number in faces if number not in reasons]
    copies = near_duplicates(usable, records, settings.near_bits or 0)
    reasons |= {i: f"{DUPLICATE} of {number_of(j)} ({bits} of 64 bits differ)" for i, (j, bits) in copies.items()}
    pairs = [[_name(i, names), _name(j, names), bits] for i, (j, bits) in copies.items()]
    for number in faces:  # last: a copy of what was pruned does not come up in its place
        place, face = divmod(number, _STEP)
        if number not in reasons and ((place, face) in dropped or (place, None) in dropped):
            reasons[number] = _DROPPED
    left_out = {}
    for place in places:
        if not _count(records, place):
            left_out[names[place]] = records[place * _STEP].get("reason", "no face found")
        for number in range(place * _STEP + 1, place * _STEP + 1 + _count(records, place)):
            if number in reasons:
                left_out[_name(number, names)] = reasons[number]
    with_faces = sum(_count(records, place) > 0 for place in places)
    return Outcome(
        [number for number in faces if number not in reasons],
        None,
        left_out,
        facts={"num_faces": len(faces), "with_faces": with_faces, "pictures": len(places), "duplicates": pairs},
        source_of=lambda number: number // _STEP,
        number_of=number_of,
        details={"left_out": [_left_out_row(number, names, records, reasons[number]) for number in sorted(reasons)]},
    )


def cut_faces(
    settings: PrepareSettings,
    source: Source,
    names: Sequence[str],
    sizes: Sequence[int],
    work: Unfinished,
    detector: FaceDetector,
    part: slice,
) -> list[int]:
    """Look at a part of the pictures, those that are not done yet; returns the places of all pictures of that part.

    A picture's record is written after those of its faces.
    """
    places = [i for i, name in enumerate(names) if not_of_kinds([name], NOT_PICTURES)][part]
    todo = [place for place in places if not _is_done(work, place)]
    cutter = FaceCutter(settings, source, detector)

    def cut(place: int) -> tuple[Record, Sequence[Cut]]:
        return cutter(names[place], sizes[place])

    with tqdm(total=len(places), initial=len(places) - len(todo), desc="pictures", unit="img", disable=None) as bar:
        for place, (record, cuts) in in_order(cut, todo):
            for i, (face, png) in enumerate(cuts, 1):
                work.add(place * _STEP + i, face, png)
            work.add(place * _STEP, record, None)
            bar.update()
    return places


def number_of(number: int) -> str:
    """From a face's number in the work to the one that is shown: `12.1`."""
    place, face = divmod(number, _STEP)
    return f"{place}.{face}"


def dropped_faces(
    entries: Sequence[str], names: Sequence[str], counts: Mapping[int, int]
) -> set[tuple[int, int | None]]:
    """Read a drop list: `12.1` or `name#1` for a face, `12` or `name` for all faces of a picture.

    `counts` are the faces of each picture by its place. Returned are places, and numbers of faces there or None for
    all.
    """
    places = {name: i for i, name in enumerate(names)}
    found: set[tuple[int, int | None]] = set()
    for entry in entries:
        match, (stem, _, number) = _ENTRY.fullmatch(entry), entry.rpartition("#")
        if entry in places:
            place, face = places[entry], None
        elif match:
            place, face = int(match[1]), None if match[2] is None else int(match[2])
        elif stem in places and number.isascii() and number.isdigit():
            place, face = places[stem], int(number)
        else:
            place, face = -1, None
        if place not in counts:
            raise UserError(
                f"drop: {entry} is neither a picture of the source nor a number of the contact sheets, such as 12.1 "
                "for a face or 12 for all faces of a picture"
            )
        if face is not None and not 1 <= face <= counts[place]:
            raise UserError(f"drop: {entry}: {names[place]} has {counts[place]} faces, counted from 1")
        found.add((place, face))
    return found


def _count(records: Mapping[int, Record], place: int) -> int:
    return int(records[place * _STEP].get("faces", 0))


def _is_done(work: Unfinished, place: int) -> bool:
    first = place * _STEP
    return work.has(first) and all(work.has(first + i) for i in range(1, _count(work.records, place) + 1))


def _name(number: int, names: Sequence[str]) -> str:
    place, face = divmod(number, _STEP)
    return f"{names[place]}#{face}"


def _left_out_row(number: int, names: Sequence[str], records: Mapping[int, Record], reason: str) -> dict[str, Any]:
    known = ("sha256", "size", "face", "score", "crop", "sharpness", "hash")
    record = {key: records[number][key] for key in known if key in records[number]}
    return {"number": number_of(number), "source": names[number // _STEP], **record, "reason": reason}
