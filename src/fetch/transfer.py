"""One URL into one file: resumed where it stopped, checked for its length, tried again with bounded patience."""

import http.client
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import OpenerDirector

from . import drive
from .checksums import SNIFFED, is_web_page
from .partial import Origin, Partial, disk_errors
from .remote import Patience
from .web import PAGE_BYTES, Failed, Interrupted, RangeRefused, Unreachable, describe, is_html, make_opener, open_url

CHUNK = 1 << 16
PROGRESS = 1 << 20  # bytes that make a failed attempt count as progress
WEB_PAGE = "a web page instead of the file"
Show = Callable[[int, int | None], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Transfer:
    """How to fetch one file.

    Attributes:
        partial: where its bytes go.
        size: of the file where it is published.
        checked: whether its checksum is published.
        patience: with the server.
        show: told the bytes so far and their total or None.
        say: told of each new attempt.
    """

    partial: Partial
    size: int | None
    checked: bool
    patience: Patience
    show: Show
    say: Say

    def run(self, url: str) -> bool:
        """Fetch the whole file.

        Returns:
            Whether its beginning is from an earlier attempt.

        Raises:
            Failed: with the reason, when the URL does not give the file.
            UserError: when the disk does not take it.
        """
        opener, failures, reached = make_opener(), 0, False
        while True:
            before = self.partial.size
            try:
                return self._attempt(opener, url)
            except Interrupted as error:
                reached = reached or not isinstance(error, Unreachable)
                failures = 1 if self.partial.size - before >= PROGRESS else failures + 1
                if not reached:
                    raise Failed(str(error)) from error
                if failures >= self.patience.attempts:
                    raise Failed(f"{error}; given up after {failures} attempts") from error
                pause = self.patience.first_wait_sec * 2 ** (failures - 1)
                pause = min(max(pause, error.retry_after_sec), self.patience.longest_wait_sec)
                self.say(f"{error}: trying again in {pause:g} s")
                self.patience.sleep(pause)

    def _attempt(self, opener: OpenerDirector, url: str) -> bool:
        timeout = self.patience.timeout_sec
        origin = self.partial.origin(url, checked=self.checked)
        start = self.partial.size if origin is not None else 0
        if origin is not None and start == origin.total:
            return True
        direct = url if drive.file_id(url) is None else drive.locate(opener, url, timeout)
        headers = {}
        if origin is not None:
            headers["Range"] = f"bytes={start}-"
            if origin.validator is not None:
                headers["If-Range"] = origin.validator
        try:
            response = open_url(opener, direct, timeout, headers)
        except RangeRefused:
            self.partial.discard()
            raise
        with response:
            if origin is None or response.status != http.client.PARTIAL_CONTENT:
                self._receive_anew(response, url)
                return False
            if not _continues(response, origin, start):
                self.partial.discard()
                raise Interrupted("the file there has changed")
            _reveal_excess(response)
            self._receive(response, start, origin.total)
            return True

    def _receive_anew(self, response: http.client.HTTPResponse, url: str) -> None:
        """Receive the whole body; an earlier partial file is given up once this looks like the file."""
        if response.status != http.client.OK:
            raise Failed(f"answered {response.status} {response.reason}")
        if is_html(response.headers):
            page = response.read(PAGE_BYTES).decode("utf-8", "replace")
            raise Failed(WEB_PAGE if drive.file_id(url) is None else drive.explain(page))
        total = response.length  # None where it is sent in chunks or not stated
        if self.size is not None and total not in (None, self.size):
            raise Failed(f"has {total} bytes there, not {self.size}")
        if total is None and not (response.chunked or self.size or self.checked):
            raise Failed("states no length, so that a cut file could not be told from a whole one")
        _reveal_excess(response)
        first = _read(response.read, SNIFFED if total is None else min(SNIFFED, total))
        if not first:
            raise Interrupted("sent nothing")
        if is_web_page(first):
            raise Failed(WEB_PAGE)
        etag = response.headers.get("ETag")
        strong = etag if etag and not etag.startswith("W/") else None
        with disk_errors(self.partial.path):
            self.partial.begin(Origin(url, strong, response.headers.get("Last-Modified"), total))
        self._receive(response, 0, total, first)

    def _receive(self, response: http.client.HTTPResponse, start: int, total: int | None, first: bytes = b"") -> None:
        """Append the body to the partial file, as far as it comes; `first` was read from it before."""
        limit = self.size if total is None else total
        if limit is not None:
            self.partial.check_space(limit - start)
        done = start
        with disk_errors(self.partial.path), open(self.partial.path, "ab") as file:
            for chunk in _chunks(response, first, None if limit is None else limit - start):
                file.write(chunk)
                done += len(chunk)
                self.show(done, limit)
        if limit is None:
            return
        if done < limit:
            raise Interrupted(f"connection lost after {done} of {limit} bytes")
        if _sends_more(response):
            self.partial.discard()
            raise Failed(f"sends more than the {limit} bytes that the file has")


def copy_local(source: Path, partial: Partial, show: Show) -> None:
    """Copy a file of this machine into the partial file.

    Raises:
        Failed: when it cannot be read.
        UserError: when the disk does not take it.
    """
    try:
        opened = open(source, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise Failed(describe(error)) from error
    with opened:
        total, done = source.stat().st_size, 0
        partial.check_space(total)
        with disk_errors(partial.path):
            partial.discard()
            with open(partial.path, "wb") as file:
                while chunk := opened.read(CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    show(done, total)


def _continues(response: http.client.HTTPResponse, origin: Origin, start: int) -> bool:
    """Whether a 206 response is the rest of the file that `origin` began."""
    parts = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if parts is None or int(parts[1]) != start or is_html(response.headers):
        return False
    if origin.total is not None and parts[3] not in ("*", str(origin.total)):
        return False
    if response.length is not None and response.length != int(parts[2]) - start + 1:
        return False
    if origin.etag is not None and response.headers.get("ETag", origin.etag) != origin.etag:
        return False
    return origin.modified is None or response.headers.get("Last-Modified", origin.modified) == origin.modified


def _reveal_excess(response: http.client.HTTPResponse) -> None:
    """Let one byte more than Content-Length be read: `http.client` would hide what follows."""
    if response.length is not None:
        response.length += 1


def _sends_more(response: http.client.HTTPResponse) -> bool:
    """Whether bytes follow; a connection that ends or stays silent has none."""
    try:
        return bool(response.read(1))
    except (OSError, http.client.HTTPException):
        return False


def _chunks(response: http.client.HTTPResponse, first: bytes, limit: int | None) -> Iterator[bytes]:
    """`first` and then the body, until its end or `limit` bytes."""
    done = len(first)
    if first:
        yield first
    while limit is None or done < limit:
        chunk = _read(response.read1, CHUNK if limit is None else min(CHUNK, limit - done))
        if not chunk:
            return
        done += len(chunk)
        yield chunk


def _read(read: Callable[[int], bytes], count: int) -> bytes:
    try:
        return read(count)
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(describe(error)) from error
