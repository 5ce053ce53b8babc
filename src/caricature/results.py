"""The folder of a caricature run's results: which one it is, what it was made from, what in it is out of date."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..data import FolderSource, Source
from ..errors import UserError
from ..faces import open_photos, picture_names, readable
from ..files import remove_partials, write_text
from .gather import LANDMARKS
from .settings import CaricatureSettings

FOLDER = "caricatures"
SOURCE, REPORT = "source.json", "report.json"


def begin_results(settings: CaricatureSettings, run_dir: Path | None) -> Path:
    """Make the folder of the results, and note in it what they are made from.

    By default it lies in `run_dir`, or the current folder, under its source's name; it is never one that holds the
    results of other photographs or codes.
    """
    given = _given(settings)
    source = str(given.resolve())
    if settings.out is not None:
        out = settings.out
        if settings.photos is not None and out.resolve() == given.resolve():
            raise UserError(f"out={out}: is the folder of the photographs; give another, such as {out / FOLDER}")
        other = _source_of(out)
        if other not in (None, source):
            raise UserError(f"out={out}: holds what was made from {other}; give another out=, or remove it")
    else:
        resolved = given.resolve()
        name = (resolved.name if resolved.is_dir() else resolved.stem) or FOLDER
        parent, number = (run_dir or Path()) / FOLDER, 1
        out = parent / name
        while _source_of(out) not in (None, source):
            number += 1
            out = parent / f"{name}-{number}"
    _note(out, given)
    for folder in ("", "caricatures", "codes", "faces", "photos"):
        remove_partials(out / folder)
    return out


@contextmanager
def results_folder(settings: CaricatureSettings, run_dir: Path | None) -> Iterator[Path]:
    """The folder of the results, as `begin_results` makes it; where the block leaves none, the note goes again."""
    out = begin_results(settings, run_dir)
    try:
        yield out
    finally:
        if {path.name for path in out.glob("*")} <= {SOURCE, LANDMARKS}:
            (out / SOURCE).unlink(missing_ok=True)
            with suppress(OSError):
                out.rmdir()  # landmarks stay: what was found is not looked for again
        elif not (out / SOURCE).exists():  # another process has ended here before there was any result
            _note(out, _given(settings))


def open_photographs(path: str | Path, *left_out: Path) -> Source:
    """Open photographs, without files in `left_out` and results of caricature runs that lie among them."""
    photos = open_photos(path)
    if not isinstance(photos, FolderSource):
        return photos
    root = photos.path.resolve()
    known = {folder.resolve() for folder in left_out}
    parents = {parent for name in photos.names() for parent in Path(name).parents if parent != Path()}
    ours = sorted(
        f"{parent.as_posix()}/"
        for parent in parents
        if root / parent in known or _source_of(photos.path / parent) is not None
    )
    if not ours:
        return photos
    print(f"photos     {readable(', '.join(ours))} left out: results", flush=True)
    rest = FolderSource(photos.path, ours)
    if not picture_names(rest):
        raise UserError(f"photos={path}: no pictures in it but results of earlier runs")
    return rest


def remove_stale(out: Path, report: Mapping[str, Any], pasted: Sequence[str]) -> None:
    """Remove pictures that an earlier run wrote, by its report in `out`, and this one did not."""
    try:
        before = json.loads((out / REPORT).read_text())
        names = [str(face["name"]) for face in before["faces"]]
        sheets = [str(name) for name in before.get("sheets", [])]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    now = {face["name"] for face in report["faces"]}
    stale = [out / "caricatures" / f"{name}.png" for name in names if name not in now]
    photos = [f"{name}{suffix}" for name in names for suffix in (".jpg", ".png")]
    stale += [out / "photos" / file for file in photos if file not in pasted]
    stale += [out / name for name in sheets if name not in report["sheets"]]
    for path in stale:
        if path.parent in (out, out / "caricatures", out / "photos"):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    with suppress(OSError):
        (out / "photos").rmdir()  # where it has become empty


def _given(settings: CaricatureSettings) -> Path:
    given = settings.photos or settings.codes
    assert given is not None
    return given


def _note(out: Path, given: Path) -> None:
    write_text(out / SOURCE, json.dumps({"made_from": str(given.resolve())}) + "\n")


def _source_of(folder: Path) -> str | None:
    """What the results in a folder were made from; None for another folder."""
    try:
        return str(json.loads((folder / SOURCE).read_text())["made_from"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
