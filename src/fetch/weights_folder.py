"""`WeightsFolder`: published files in a folder, each whole and checked, or one message that says what to do.

A file that lies there already is used without network. Two processes that want the same file take turns: the second
finds what the first has fetched.
"""

import os
import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from tqdm import tqdm

from ..errors import UserError
from ..files import expanded, file_sha256
from ..lock import exclusive
from ..options import Options
from .checksums import FILE, check_present, forget, note, recorded
from .remote_file import RemoteFile, local_path, scheme_of
from .transfer import Patience, Transfer, disk_errors
from .web import SNIFFED, WEB_PAGE, Failed, is_web_page


@dataclass(frozen=True)
class WeightsFolder(Options):
    """Where published files lie, and where they are looked for first: the options `weights`."""

    # of downloaded files and of those put there by hand; a relative one starts at the current directory
    folder: Path = Path("weights")
    mirror: str | None = None  # a folder, or the base of http, https or file URLs: `<mirror>/<name>` is tried first
    patience: Patience = field(default_factory=Patience)

    def check(self) -> None:
        """Refuse a mirror that cannot be opened."""
        self._mirror_base()

    def path(self, file: RemoteFile) -> Path:
        """Where a file lies, or would."""
        return self.folder / file.name

    def has(self, file: RemoteFile) -> bool:
        """Whether a file is there already, so that `fetch` needs no network."""
        return self.path(file).is_file()

    def fetch(self, file: RemoteFile) -> Path:
        """Return a file's path, fetching it if it is not there.

        Raises:
            UserError: when it cannot be had, naming each place with the reason and where to put the file by hand; when
                the file there is not the published one; when the folder cannot be written.
        """
        target = self.path(file)
        if target.exists():
            return _present(file, target)

        def waiting() -> None:
            print(f"weights    another process fetches {file.name}: waiting for it", flush=True)

        with ExitStack() as stack:
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(exclusive(target.with_name(f".{file.name}.lock"), waiting=waiting))
            if target.exists():  # fetched while this process waited
                return _present(file, target)
            return self._fetch(file, target)

    def forget(self, file: RemoteFile) -> None:
        """Take back what is recorded of a file that turned out to be another: the next one is taken as it comes."""
        forget(self.path(file))

    def _fetch(self, file: RemoteFile, target: Path) -> Path:
        """Try one place after the other."""
        failures = []
        recorded(target)  # a damaged record is said before anything is fetched
        for place in self._places(file):
            print(f"weights    fetching {file.name} from {place} (licence: {file.licence})", flush=True)
            try:
                sha256 = self._obtain(file, target, place)
            except Failed as error:
                failures.append(f"{place} ({error})")
                continue
            note(target, sha256, str(place))
            print(f"weights    {target}: {target.stat().st_size / 1e6:.1f} MB, sha256 {sha256}", flush=True)
            return target
        tried = "; ".join(failures) or "no address is known"
        raise UserError(
            f"{file.name} could not be fetched: {tried}. Put the file (licence: {file.licence}) at {target.resolve()} "
            "by hand, or name a folder or server that has it with weights.mirror="
        )

    def _places(self, file: RemoteFile) -> list[str | Path]:
        """Where to look: paths of this machine and http(s) URLs."""
        places: list[str | Path] = []
        base = self._mirror_base()
        if base is not None:
            places.append(base / file.name if isinstance(base, Path) else f"{base}/{quote(file.name)}")
        return places + [local_path(url) if urlsplit(url).scheme == "file" else url for url in file.urls]

    def _mirror_base(self) -> str | Path | None:
        """The mirror: a folder as a path, or the base of URLs as a text without a slash at its end."""
        if self.mirror is None or not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", self.mirror):
            return None if self.mirror is None else expanded(self.mirror)
        if self.parsed("mirror", scheme_of) == "file":
            return local_path(self.mirror)
        return self.mirror.rstrip("/")

    def _obtain(self, file: RemoteFile, target: Path, place: str | Path) -> str:
        """Bring the file into its place and return its sha256; wrong bytes are deleted."""
        with tqdm(
            total=file.size,
            desc=file.name,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            leave=False,
            disable=None,
        ) as bar:
            part = target.with_name(f"{target.name}.part")
            transfer = Transfer(part, file.size, file.sha256 is not None, self.patience, bar)
            resumed = transfer.copy(place) if isinstance(place, Path) else transfer.run(place)
            try:
                digest = _checked(file, target, transfer)
            except Failed as error:
                if isinstance(place, Path) or not resumed:
                    raise
                bar.write(f"weights    {error}: trying again from the beginning")  # the part may be of another file
                transfer.run(place)
                digest = _checked(file, target, transfer)
            with disk_errors(target):
                _publish(transfer, target)
            return digest


#: `weights/` in the current directory, no mirror.
DEFAULT_FOLDER = WeightsFolder()


def _present(file: RemoteFile, target: Path) -> Path:
    if not target.is_file():
        raise UserError(f"{target} is not a file: remove it, or set weights.folder")
    check_present(file, target)
    return target


def _checked(file: RemoteFile, target: Path, partial: Transfer) -> str:
    with open(partial.path, "rb") as opened:
        beginning = opened.read(SNIFFED)
    digest = file_sha256(partial.path)
    reason = WEB_PAGE if is_web_page(beginning) else file.difference(partial.received, digest)
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


def _publish(partial: Transfer, target: Path) -> None:
    with open(partial.path, "rb+") as opened:
        os.fsync(opened.fileno())
    os.replace(partial.path, target)
    partial.discard()
    with suppress(OSError):  # Windows opens no folders
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
