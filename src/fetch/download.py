"""`fetch_file`: a published file into the weights folder, whole and checked, or one message that says what to do.

A file that lies there already is used without network. Two processes that want the same file take turns (a lock that
the kernel keeps): the second finds what the first has fetched.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from tqdm import tqdm

from ..errors import UserError
from ..files import file_sha256
from ..lock import exclusive
from .checksums import FILE, SNIFFED, check_present, is_web_page, note, recorded, wrong_bytes
from .partial import Partial, disk_errors
from .remote import RemoteFile, local_path, mirror_base, settings
from .transfer import CHUNK, WEB_PAGE, Say, Show, Transfer, copy_local
from .web import Failed


def fetch_file(
    file: RemoteFile, *, folder: Path | None = None, mirror: str | None = None, progress: bool = True
) -> Path:
    """Return a published file's path in the weights folder, fetching it if it is not there.

    Args:
        file: what, and from where.
        folder: of weights; None for the configured one.
        mirror: looked at first, as `<mirror>/<name>`; None for the configured one, if any.
        progress: show a bar (on a terminal) and say what is fetched.

    Raises:
        UserError: when it cannot be had, naming each place with the reason and where to put the file by hand; when the
            file there is not the published one; when the folder cannot be written.
    """
    target = (settings().folder if folder is None else Path(folder)) / file.name
    if target.exists():
        return _present(file, target)

    def waiting() -> None:
        if progress:
            print(f"weights    another process fetches {file.name}: waiting for it", flush=True)

    with ExitStack() as stack:
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(target.with_name(f".{file.name}.lock"), waiting=waiting))
        if target.exists():  # fetched while this process waited
            return _present(file, target)
        return _fetch(file, target, settings().mirror if mirror is None else mirror, progress)


def _present(file: RemoteFile, target: Path) -> Path:
    if not target.is_file():
        raise UserError(f"{target} is not a file: remove it, or set weights.folder")
    check_present(file, target)
    return target


def _fetch(file: RemoteFile, target: Path, mirror: str | None, progress: bool) -> Path:
    """Try one place after the other."""
    partial = Partial(target.with_name(f"{target.name}.part"))
    failures = []
    recorded(target)  # a damaged record is said before anything is fetched
    for place in _places(file, mirror):
        if progress:
            print(f"weights    fetching {file.name} from {place} (licence: {file.licence})", flush=True)
        try:
            with _bar(file, progress) as (show, say):
                digest = _obtain(file, target, place, partial, show, say)
        except Failed as error:
            failures.append(f"{place} ({error})")
            continue
        with disk_errors(target):
            _publish(partial, target)
        note(target, digest, str(place))
        if progress:
            print(f"weights    {target}: {target.stat().st_size / 1e6:.1f} MB, sha256 {digest}", flush=True)
        return target
    tried = "; ".join(failures) or "no address is known"
    raise UserError(
        f"{file.name} could not be fetched: {tried}. Put the file (licence: {file.licence}) at {target.resolve()} by "
        "hand, or name a folder or server that has it with weights.mirror="
    )


def _places(file: RemoteFile, mirror: str | None) -> list[str | Path]:
    """Where to look: paths of this machine and http(s) URLs."""
    places: list[str | Path] = []
    if mirror is not None:
        base = mirror_base(mirror)
        places.append(base / file.name if isinstance(base, Path) else f"{base}/{quote(file.name)}")
    return places + [local_path(url) if urlsplit(url).scheme == "file" else url for url in file.urls]


def _obtain(file: RemoteFile, target: Path, place: str | Path, partial: Partial, show: Show, say: Say) -> str:
    """Bring the file's bytes into the partial file and return their sha256; wrong bytes are deleted."""
    if isinstance(place, Path):
        copy_local(place, partial, show)
        return _checked(file, target, partial)
    transfer = Transfer(partial, file.size, file.sha256 is not None, settings().patience, show, say)
    resumed = transfer.run(place)
    try:
        return _checked(file, target, partial)
    except Failed as error:
        if not resumed:
            raise
        say(f"{error}: trying again from the beginning")  # the earlier part may have been of another file
    transfer.run(place)
    return _checked(file, target, partial)


def _checked(file: RemoteFile, target: Path, partial: Partial) -> str:
    with open(partial.path, "rb") as opened:
        beginning = opened.read(SNIFFED)
    digest = file_sha256(partial.path)
    reason = WEB_PAGE if is_web_page(beginning) else wrong_bytes(file, partial.size, digest)
    known = recorded(target)
    if reason is None and file.sha256 is None and known is not None and known["sha256"] != digest:
        reason = (
            f"its sha256 is {digest}, but {known['sha256']} was recorded at the first fetch: if the new file is right, "
            f"delete the entry in {target.with_name(FILE)}"
        )
    if reason is None:
        return digest
    partial.discard()
    raise Failed(reason)


def _publish(partial: Partial, target: Path) -> None:
    with open(partial.path, "rb+") as opened:
        os.fsync(opened.fileno())
    os.replace(partial.path, target)
    partial.discard()
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _bar(file: RemoteFile, progress: bool) -> Iterator[tuple[Show, Say]]:
    """A progress bar as two functions: `show(done, total)` and `say(line)`."""
    with tqdm(
        total=file.size,
        desc=file.name,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        leave=False,
        disable=None if progress else True,
    ) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            if done < bar.n or (bar.n == 0 and done > CHUNK):  # from the beginning again, or on from an earlier part
                bar.reset(total)
                bar.initial = bar.n = done
            bar.update(done - bar.n)

        def say(line: str) -> None:
            if progress:
                bar.write(f"weights    {line}")

        yield show, say
