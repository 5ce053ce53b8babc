"""HTTP as downloads need it: what is opened, what a failure means, and whether trying again can help."""

import http.client
import math
import socket
import ssl
import urllib.error
from collections.abc import Mapping
from email.message import Message
from http.cookiejar import CookieJar
from typing import IO, Any
from urllib import request
from urllib.parse import urlsplit

AGENT = "caricature-weights"
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
RANGE_REFUSED = 416
PAGE_BYTES = 1 << 20  # the most that is read of a web page


class Failed(Exception):
    """A URL does not give the file; the message is the reason in a few words.

    Attributes:
        page: the web page that came with it.
    """

    def __init__(self, reason: str, *, page: str = "") -> None:
        super().__init__(reason)
        self.page = page


class Interrupted(Exception):
    """A URL does not give the file now; the same request may succeed later.

    Attributes:
        retry_after_sec: what the server asks for, or 0.
        page: the web page that came with it.
    """

    def __init__(self, reason: str, *, retry_after_sec: float = 0.0, page: str = "") -> None:
        super().__init__(reason)
        self.retry_after_sec, self.page = retry_after_sec, page


class Unreachable(Interrupted):
    """No connection was made: worth another try only where there was one before."""


class RangeRefused(Interrupted):
    """The server has no bytes from the asked position on."""


class _SafeRedirects(request.HTTPRedirectHandler):
    def redirect_request(
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise Failed(f"redirects to {newurl}, which is not opened")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def make_opener() -> request.OpenerDirector:
    """An opener for http and https alone, with proxies of the environment and cookies of its own."""
    opener = request.OpenerDirector()
    opener.addheaders = [("User-Agent", AGENT), ("Accept-Encoding", "identity")]
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        _SafeRedirects(),
        request.HTTPCookieProcessor(CookieJar()),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def open_url(
    opener: request.OpenerDirector, url: str, timeout_sec: float, headers: Mapping[str, str] | None = None
) -> http.client.HTTPResponse:
    """Send a GET request and return the response to a successful one.

    Raises:
        Failed: when asking again would not help.
        Interrupted: when it may; its kinds `Unreachable` and `RangeRefused`.
    """
    try:
        return opener.open(request.Request(url, headers=dict(headers or {})), timeout=timeout_sec)
    except urllib.error.HTTPError as error:
        with error:
            reason, page = " ".join(f"{error.code} {error.reason}".split()), _page(error)
        if error.code == RANGE_REFUSED:
            raise RangeRefused(reason) from error
        if error.code in TRANSIENT:
            pause = _seconds(error.headers.get("Retry-After"))
            raise Interrupted(reason, retry_after_sec=pause, page=page) from error
        raise Failed(reason, page=page) from error
    except urllib.error.URLError as error:
        raise Unreachable(describe(error.reason)) from error
    except (http.client.InvalidURL, UnicodeError) as error:
        raise Failed(f"not a URL ({error})") from error
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(describe(error)) from error


def is_html(headers: Message) -> bool:
    """Whether a response says that it is a web page."""
    return headers.get_content_type() in ("text/html", "application/xhtml+xml")


def describe(error: Any) -> str:
    """A network error in a few words."""
    if isinstance(error, socket.gaierror):
        return "no network, or no such host"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionResetError):
        return "connection lost"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def _page(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(PAGE_BYTES).decode("utf-8", "replace") if is_html(error.headers) else ""
    except (OSError, http.client.HTTPException):
        return ""


def _seconds(text: str | None) -> float:
    """`Retry-After` in seconds; its other form, a date, counts as nothing."""
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0
