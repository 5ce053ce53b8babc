"""One URL into one file: resumed where it stopped, checked for its length, tried again with bounded patience."""

import errno
import itertools
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3
from tqdm import tqdm

from ..errors import UserError
from ..files import write_text
from . import drive
from .web import SNIFFED, WEB_PAGE, Failed, Interrupted, Session, describe, is_html, is_web_page, read_page

CHUNK = 1 << 16
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PROGRESS = 1 << 20  # bytes that make a failed attempt count as progress


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for."""

    timeout_sec: float = 20.0  # without an answer or a byte
    attempts: int = 5  # failures in a row, without progress in between, before a URL is given up
    first_wait_sec: float = 1.0  # after the first failure; it doubles with each one more
    longest_wait_sec: float = 60.0  # the most that is waited, also where the server asks for more
    sleep: Callable[[float], None] = time.sleep  # waits so many seconds


@dataclass(frozen=True)
class Origin:
    """What the server said of the bytes in a partial file."""

    url: str  # that was asked for
    etag: str | None = None  # the response's strong ETag, or None
    modified: str | None = None  # its Last-Modified, or None
    total: int | None = None  # bytes of the whole file, or None where it did not say

    @property
    def validator(self) -> str | None:
        """What `If-Range` sends so that the rest of another file is not taken."""
        return self.etag or self.modified


@dataclass(frozen=True)
class Transfer:
    """One file on its way: `<name>.part`, and a note of where its bytes came from, so that a later attempt can go on.

    The process that writes them holds the file's lock.
    """

    path: Path  # of the partial file
    size: int | None  # of the file where it is published
    checked: bool  # whether its checksum is published
    patience: Patience  # with the server
    bar: "tqdm[Any]"  # shows the bytes so far, and each new attempt

    @property
    def note(self) -> Path:
        """Where the origin of the bytes is kept."""
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def received(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def discard(self) -> None:
        """Delete the bytes so far."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def run(self, url: str) -> bool:
        """Fetch the whole file; returns whether its beginning is from an earlier attempt.

        Failed has the reason when the URL does not give the file.
        """
        failures, reached = 0, False
        with Session() as session:
            while True:
                before = self.received
                try:
                    return self._attempt(session, url)
                except Interrupted as error:
                    reached = reached or error.reached
                    failures = 1 if self.received - before >= PROGRESS else failures + 1
                    if not reached:
                        raise Failed(str(error)) from error
                    if failures >= self.patience.attempts:
                        raise Failed(f"{error}; given up after {failures} attempts") from error
                    pause = self.patience.first_wait_sec * 2 ** (failures - 1)
                    pause = min(max(pause, error.retry_after_sec), self.patience.longest_wait_sec)
                    self.bar.write(f"weights    {error}: trying again in {pause:g} s")
                    self.patience.sleep(pause)

    def _attempt(self, session: Session, url: str) -> bool:
        timeout = self.patience.timeout_sec
        origin = self._origin(url)
        start = self.received if origin is not None else 0
        if origin is not None and start == origin.total:
            return True
        direct = url if drive.file_id(url) is None else drive.locate(session, url, timeout)
        if origin is None:
            with session.open(direct, timeout) as response:
                self._receive_anew(response, url)
            return False
        headers = {"Range": f"bytes={start}-"} | ({"If-Range": origin.validator} if origin.validator else {})
        with session.open(direct, timeout, headers) as response:
            if response.status_code == requests.codes.partial_content and _continues(response, origin, start):
                self._receive(_chunks(response), start, origin.total)
                return True
            if response.status_code in (requests.codes.partial_content, requests.codes.range_not_satisfiable):
                self.discard()
                raise Interrupted("the file there has changed")
            self._receive_anew(response, url)
            return False

    def _receive_anew(self, response: requests.Response, url: str) -> None:
        """Receive the whole body; an earlier partial file is given up once this looks like the file."""
        if response.status_code != requests.codes.ok:
            raise Failed(f"answered {response.status_code} {response.reason}")
        if is_html(response):
            page = read_page(response)
            raise Failed(WEB_PAGE if drive.file_id(url) is None else drive.explain(page))
        total = response.raw.length_remaining  # None where it is sent in chunks or not stated
        if self.size is not None and total not in (None, self.size):
            raise Failed(f"has {total} bytes there, not {self.size}")
        if total is None and not (response.raw.chunked or self.size or self.checked):
            raise Failed("states no length, so that a cut file could not be told from a whole one")
        chunks, first = _chunks(response), b""
        while len(first) < SNIFFED and (chunk := next(chunks, b"")):
            first += chunk
        if not first:
            raise Interrupted("sent nothing")
        if is_web_page(first):
            raise Failed(WEB_PAGE)
        etag = response.headers.get("ETag")
        strong = etag if etag and not etag.startswith("W/") else None
        with disk_errors(self.path):
            self.discard()
            origin = Origin(url, strong, response.headers.get("Last-Modified"), total)
            write_text(self.note, json.dumps(asdict(origin)))
        self._receive(itertools.chain([first], chunks), 0, total)

    def _receive(self, chunks: Iterator[bytes], start: int, total: int | None) -> None:
        """Append the body to the partial file, as far as it comes."""
        limit = self.size if total is None else total
        if limit is not None:
            self._check_space(limit - start)
        self.bar.reset(limit)
        self.bar.initial = self.bar.n = done = start
        with disk_errors(self.path), open(self.path, "ab") as file:
            for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                self.bar.update(len(chunk))
                if done == limit:
                    break
        if limit is None:
            return
        if done < limit:
            raise Interrupted(f"connection lost after {done} of {limit} bytes")
        with suppress(Interrupted):
            done += len(next(chunks, b""))
        if done > limit:
            self.discard()
            raise Failed(f"sends more than the {limit} bytes that the file has")

    def copy(self, source: Path) -> bool:
        """Take the bytes from a file of this machine, from its beginning (False, as `run` says it).

        Failed has the reason when it cannot be read.
        """
        try:
            opened = open(source, "rb")  # noqa: SIM115 (closed below)
        except OSError as error:
            raise Failed(describe(error)) from error
        with opened:
            total = source.stat().st_size
            self._check_space(total)
            self.bar.reset(total)
            with disk_errors(self.path):
                self.discard()
                with open(self.path, "wb") as file:
                    while chunk := opened.read(CHUNK):
                        file.write(chunk)
                        self.bar.update(len(chunk))
        return False

    def _origin(self, url: str) -> Origin | None:
        """Where the bytes so far came from, if `url` can go on with them, or None.

        It must be the same, and something must show a changed file: what its server said, or the whole one's checksum.
        """
        try:
            origin = Origin(**json.loads(self.note.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        same = origin.url == url and (origin.validator is not None or self.checked)
        fits = 0 < self.received <= (self.received if origin.total is None else origin.total)
        return origin if same and fits else None

    def _check_space(self, missing: int) -> None:
        """Refuse before the first byte what the disk cannot take."""
        free = shutil.disk_usage(self.path.parent).free
        if free < missing:
            raise UserError(
                f"{self.path.parent}: {missing / 1e6:.0f} MB are to be written and {free / 1e6:.0f} MB are free: "
                "make room, or set weights.folder"
            )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses inside the block into one line."""
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno in NO_SPACE else (error.strerror or str(error)).lower()
        raise UserError(f"{path} cannot be written ({what}): make room or set weights.folder") from error


def _continues(response: requests.Response, origin: Origin, start: int) -> bool:
    """Whether a 206 response is the rest of the file that `origin` began."""
    parts = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if parts is None or int(parts[1]) != start or is_html(response):
        return False
    if origin.total is not None and parts[3] not in ("*", str(origin.total)):
        return False
    if response.raw.length_remaining not in (None, int(parts[2]) - start + 1):
        return False
    if origin.etag is not None and response.headers.get("ETag", origin.etag) != origin.etag:
        return False
    return origin.modified is None or response.headers.get("Last-Modified", origin.modified) == origin.modified


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives; it may end before its stated length. A connection lost in another way is Interrupted."""
    response.raw.enforce_content_length = False
    while True:
        try:
            chunk = response.raw.read1(CHUNK)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise Interrupted(describe(error)) from error
        if not chunk:
            return
        yield chunk
