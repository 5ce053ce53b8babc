"""`prepare.py`: pictures of any kind to one clean data set, with a manifest, a report and contact sheets."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..data import MIN_PICTURES, NOT_PICTURES, Labels, Source, is_folder, not_of_kinds, open_source, read_labels
from ..errors import UserError
from ..options import OptionError, read
from .detectors import open_face_detector
from .drawn_faces import cut_faces, prepare_faces
from .duplicates import near_duplicates
from .face_boxes import FaceDetector
from .ferg import Frame, TooFew, read_tree
from .ferg_choice import FergChoice, Make, describe, first_choice
from .manifest import is_same, is_same_source, key_of, make_manifest, read_manifest, source_status
from .outcome import DUPLICATE, Outcome, entries, shown, write_report
from .pack import write_tfrecord, write_zip
from .parallel import in_order, quiet_decoders
from .render import Record, Renderer
from .settings import OUT_FOLDER, PrepareSettings
from .similarity import Similarity, fit_similarity
from .work_folder import Unfinished, clean, one_at_a_time, unfinished, unfinished_part

_WRITERS = {"zip": write_zip, "tfrecord": write_tfrecord}
_DROPPED = "in the drop list"


def main(config: Mapping[str, Any]) -> None:
    """Prepare as a plain configuration composed from `conf/prepare.yaml` says.

    A UserError for everything that the user can put right.
    """
    prepare(read(PrepareSettings, config))


def share(config: Mapping[str, Any], number: int, count: int) -> None:
    """Make part `number` of `count` of the pictures that are wanted first, for `main` with this `config` to go on."""
    asked = _open(read(PrepareSettings, config))
    settings, stamp, part = asked.settings, asked.stamp, slice(number, None, count)
    with quiet_decoders(), ExitStack() as held:
        with one_at_a_time(settings.target, say=False):
            known = read_manifest(settings.target)
            if known is not None and is_same(known, settings, stamp):
                return
            _check_target(settings, known, stamp)
            begun = unfinished_part(settings.target, key_of(settings, stamp), f"{number}-of-{count}")
            work = held.enter_context(begun)
        if work is None:
            return
        if asked.detector is not None:
            cut_faces(settings, asked.source, asked.names, asked.sizes, work, asked.detector, part)
        else:
            _Job(asked, work).share(part)


def prepare(settings: PrepareSettings) -> Path:
    """Read a source and write the data set (returned), its report and contact sheets; go on where it stopped before."""
    asked = _open(settings)
    settings, names, stamp = asked.settings, asked.names, asked.stamp
    out = settings.target
    with quiet_decoders(), one_at_a_time(out):
        known = read_manifest(out)
        if known is not None and is_same(known, settings, stamp):
            clean(out, settings.report_folder)
            print(f"{out} is there already, made of the same pictures with the same options: nothing to do")
            if (settings.report_folder / "report.json").is_file():
                print(f"report: {settings.report_folder / 'report.json'}")
            return out
        _check_target(settings, known, stamp)
        if known is not None:
            print(f"{out} was made with other options or pictures: it will be replaced")
        work = unfinished(out, key_of(settings, stamp), settings.report_folder)
        if work.records:
            print(f"continuing: {len(work.records)} pictures were done before")
        if asked.detector is not None:
            outcome = prepare_faces(settings, asked.source, names, asked.sizes, work, asked.detector)
        else:
            outcome = _Job(asked, work).make()
        write_report(settings, names, work, outcome)
        used = len(outcome.pictures)
        if used < MIN_PICTURES:
            raise UserError(
                f"source={settings.source}: {used} usable pictures, at least {MIN_PICTURES} needed; "
                f"{settings.report_folder / 'report.json'} says why"
            )
        manifest = make_manifest(
            settings, stamp, entries(settings, names, work, outcome), outcome.classes, outcome.details
        )
        _WRITERS[settings.format](out, work, outcome.pictures, outcome.labels, manifest)
        shutil.rmtree(work.folder, ignore_errors=True)
        print(f"written: {out}")
        usual = settings.recipe != "folder" and out == OUT_FOLDER / f"{settings.recipe}.zip"
        options = f"dataset={settings.recipe}" if usual else f"dataset=folder dataset.path={shown(out)}"
        print(f"train with: python train.py {options}")
        return out


def _check_target(settings: PrepareSettings, known: dict[str, Any] | None, stamp: str) -> None:
    """Refuse to replace what is not a set of this source."""
    out = settings.target
    if known is None:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise UserError(f"out={out}: exists and was not made by prepare.py; move it away, or choose another out=")
        return
    if settings.out is None and not is_same_source(known, settings, stamp):
        raise UserError(
            f"{out} was made of another source ({shown(known.get('source'))}): give another out=, or out={out} to "
            "replace it"
        )


@dataclass(frozen=True)
class _Asked:
    """What is asked for, and the source."""

    settings: PrepareSettings
    source: Source
    names: list[str]  # of its files
    sizes: list[int]  # of them in bytes
    stamp: str  # digest that changes with them
    detector: FaceDetector | None


def _open(settings: PrepareSettings) -> _Asked:
    source, names = _named(settings.source)
    settings, detector = _with_detector(settings)
    stamp, sizes = source_status(source, settings.source, names)
    return _Asked(settings, source, names, sizes, stamp, detector)


def _named(path: Path) -> tuple[Source, list[str]]:
    """Open a source and list its names; messages speak of `source=`."""
    try:
        source = open_source(path)
        names = source.names()
    except OptionError as error:
        raise OptionError("source", error.value, error.reason) from error
    if not names:
        raise OptionError("source", path, "no files in it; give a folder or zip of pictures")
    return source, names


def _with_detector(settings: PrepareSettings) -> tuple[PrepareSettings, FaceDetector | None]:
    """Open the detector of faces where one is needed; what it is becomes one of the choices."""
    if settings.recipe != "yuanshen":
        return settings, None
    faces = settings.faces
    detector = open_face_detector(faces.detector, faces.sha256, weights_folder=settings.weights)
    score = detector.default_min_score if faces.min_score is None else faces.min_score
    return replace(settings, faces=replace(faces, min_score=score, identity=detector.identity())), detector


class _Job:
    """The work on one source, file by file; numbers are places in its list of names."""

    def __init__(self, asked: _Asked, work: Unfinished) -> None:
        self.settings, self.source, self.names, self.sizes = asked.settings, asked.source, asked.names, asked.sizes
        self.work, self.render = work, Renderer(asked.settings, asked.source)
        self.dropped = {number: _DROPPED for number in _dropped(asked.settings.dropped, asked.names)}

    def share(self, part: slice) -> None:
        """Make a part of the pictures that are wanted first; whoever goes on replaces what turns out bad."""
        if self.settings.recipe == "ferg":
            choice, make = self._ferg_choice()
            first_choice(choice, self.settings, self.source, self.work)
            make(choice.frames()[part])
        else:
            wanted, _, _ = self._folder_files()
            self._make({i: {} for i in wanted[part]}, {})

    def make(self) -> Outcome:
        """Make what the recipe says."""
        return self.ferg() if self.settings.recipe == "ferg" else self.folder()

    def folder(self) -> Outcome:
        """Make every picture of a folder, zip or TFRecords."""
        wanted, left_out, labels = self._folder_files()
        table = labels.classes
        if labels.problem:
            print(f"note       labels not used, the set will have none: {shown(labels.problem)}")
        self._make({i: {} for i in wanted}, {})
        left_out |= self._refused(wanted)
        kept = self._of_one_size([i for i in wanted if i not in left_out], left_out)
        facts: dict[str, Any] = {}
        if self.settings.near_bits is not None:
            copies, names = near_duplicates(kept, self.work.records, self.settings.near_bits), self.names
            left_out |= {i: f"{DUPLICATE} of {names[j]} ({n} of 64 bits differ)" for i, (j, n) in copies.items()}
            facts["duplicates"] = [[names[i], names[j], n] for i, (j, n) in copies.items()]
            kept = [i for i in kept if i not in copies]
        classes = None if table is None else [table[self.names[i]] for i in kept]
        facts |= {"labels_problem": labels.problem} if labels.problem else {}
        return Outcome(kept, classes, {self.names[i]: left_out[i] for i in sorted(left_out)}, facts=facts)

    def _folder_files(self) -> tuple[list[int], dict[int, str], Labels]:
        """The files to make pictures of, those left out with reasons, and the labels."""
        labels = read_labels(self.source, self.names)
        numbers = [i for i, name in enumerate(self.names) if not_of_kinds([name], NOT_PICTURES)]
        left_out = {i: self.dropped[i] for i in numbers if i in self.dropped}
        if (table := labels.classes) is not None:
            listed = {i for i in numbers if self.names[i] in table or is_folder(self.names[i])}
            left_out |= {i: "no label in dataset.json" for i in numbers if i not in listed}
        return [i for i in numbers if i not in left_out], left_out, labels

    def ferg(self) -> Outcome:
        """Choose and make a balanced set of a FERG tree."""
        choice, make = self._ferg_choice()
        try:
            first_choice(choice, self.settings, self.source, self.work)
            choice.settle(make)
        except TooFew:  # nearly all were asked for: look at all, so that the number in the message can be had
            choice.look_at_all(make)
            choice.counts()
            raise
        tree = choice.tree
        pictures = [f.index for f in choice.frames()]
        classes = tree.characters
        left_out = {self.names[i]: choice.bad[i] for i in sorted(choice.bad)} | tree.strange
        labels = [classes.index(self.work.records[i]["character"]) for i in pictures]
        return Outcome(pictures, labels, left_out, classes, describe(choice, tree.empty_cells()))

    def _ferg_choice(self) -> tuple[FergChoice, Make]:
        """The choice of frames before it is made, and what makes pictures of frames."""
        tree = read_tree(self.names, frozenset(NOT_PICTURES))
        fits = self._fits(tree.characters)
        empty = {f.index: "empty file" for frames in tree.cells.values() for f in frames if self.sizes[f.index] == 0}
        cells = {f.index: cell for cell, frames in tree.cells.items() for f in frames}

        def make(frames: Iterable[Frame]) -> dict[int, str]:
            chosen = [f.index for f in frames]
            extra = {i: {"character": cells[i][0], "expression": cells[i][1]} for i in chosen}
            self._make(extra, {i: fits[cells[i][0]] for i in chosen} if fits else {})
            return self._refused(chosen)

        bad = self.dropped | (empty if any(self.sizes) else {})
        return FergChoice(tree, self.settings.num_pictures, bad), make

    def _fits(self, characters: Sequence[str]) -> dict[str, Similarity]:
        points = self.settings.points
        if points is None:
            return {}
        missing = [c for c in characters if c not in points]
        if missing:
            raise UserError(f"align.points has no points for {', '.join(missing)}: add {missing[0]}: [[x, y], ...]")
        return {c: fit_similarity(points[c]) for c in characters}

    def _make(self, extra: Mapping[int, Record], fits: Mapping[int, Similarity]) -> None:
        """Make the pictures that are not there yet."""
        todo = [i for i in extra if not self.work.has(i)]

        def one(number: int) -> tuple[Record, bytes | None]:
            return self.render(self.names[number], self.sizes[number], fits.get(number))

        with tqdm(total=len(extra), initial=len(extra) - len(todo), desc="pictures", unit="img", disable=None) as bar:
            for number, (record, png) in in_order(one, todo):
                self.work.add(number, record | extra[number], png)
                bar.update()

    def _refused(self, numbers: Iterable[int]) -> dict[int, str]:
        records = self.work.records
        return {i: records[i]["reason"] for i in numbers if "reason" in records[i]}

    def _of_one_size(self, numbers: list[int], left_out: dict[int, str]) -> list[int]:
        if self.settings.resolution is not None or not numbers:
            return numbers
        records, first = self.work.records, self.work.records[numbers[0]]["size"]
        for i in numbers:
            if records[i]["size"] != first:
                left_out[i] = f"{'x'.join(map(str, records[i]['size']))}, the first is {'x'.join(map(str, first))}"
        return [i for i in numbers if i not in left_out]


def _dropped(entries: Sequence[str], names: Sequence[str]) -> list[int]:
    """Numbers of the files that a drop list names, by number or name."""
    places = {name: i for i, name in enumerate(names)}
    found = []
    for entry in entries:
        number = int(entry) if entry.isascii() and entry.isdigit() and len(entry) < 10 else -1
        number = number if 0 <= number < len(names) else places.get(entry, -1)
        if number < 0:
            raise UserError(
                f"drop: {entry} is neither a file of the source nor a number from 0 to {len(names) - 1}; numbers are "
                "those of the contact sheets"
            )
        found.append(number)
    return found
