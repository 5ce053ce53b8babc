"""HTTP as downloads need it: a session, what a failure means, and whether trying again can help."""

import http.client
import math
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

AGENT = "caricature-weights"
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
PAGE_BYTES = 1 << 20  # the most that is read of a web page
SNIFFED = 512  # bytes at a file's beginning that show one
MAX_REDIRECTS = 10
WEB_PAGE = "a web page instead of the file"


class Failed(Exception):
    """A URL does not give the file; the message is the reason in a few words."""

    def __init__(self, reason: str, *, page: str = "") -> None:
        super().__init__(reason)
        self.page = page  # the web page that came with it


class Interrupted(Failed):
    """A URL does not give the file now; the same request may succeed later."""

    def __init__(self, reason: str, *, page: str = "", retry_after_sec: float = 0.0, reached: bool = True) -> None:
        super().__init__(reason, page=page)
        #: What the server asks for, or 0; whether there was a connection: without one, another try is worth it only
        #: where there was one before.
        self.retry_after_sec, self.reached = retry_after_sec, reached


class Session(requests.Session):
    """Proxies of the environment, cookies of its own, no encodings, and no way from https to less."""

    def __init__(self) -> None:
        super().__init__()
        self.headers.update({"User-Agent": AGENT, "Accept-Encoding": "identity", "Connection": "close"})
        self.max_redirects = MAX_REDIRECTS

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a response leads; Failed when that is not to be opened."""
        target = super().get_redirect_target(resp)
        if target is not None:
            scheme = urlsplit(urljoin(resp.url, target)).scheme
            if scheme not in ("http", "https") or (scheme == "http" and resp.url.startswith("https:")):
                raise Failed(f"redirects to {target}, which is not opened")
        return target

    def open(self, url: str, timeout_sec: float, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Send a GET request and return the response, its body unread, of any status below 400 or 416.

        Failed when asking again would not help, Interrupted when it may.
        """
        try:
            response = self.get(url, headers=headers, timeout=timeout_sec, stream=True)
        except requests.TooManyRedirects as error:
            raise Failed("redirects without an end") from error
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            refused = any(isinstance(inner, urllib3.exceptions.MaxRetryError) for inner in error.args)
            raise Interrupted(describe(error), reached=not refused) from error
        except (requests.RequestException, ValueError) as error:
            raise Failed(f"not a URL ({error})") from error
        if response.status_code < 400 or response.status_code == requests.codes.range_not_satisfiable:
            return response
        with response:
            reason, page = f"{response.status_code} {response.reason}".strip(), read_page(response)
            if response.status_code in TRANSIENT:
                raise Interrupted(reason, page=page, retry_after_sec=_seconds(response.headers.get("Retry-After")))
            raise Failed(reason, page=page)


def is_html(response: requests.Response) -> bool:
    """Whether a response says that it is a web page."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml")


def is_web_page(beginning: bytes) -> bool:
    """Whether a file that begins so is an HTML page, whatever it is called."""
    return beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype html", b"<html"))


def read_page(response: requests.Response) -> str:
    """The text of a response that is a web page; empty for others."""
    try:
        return response.raw.read(PAGE_BYTES).decode("utf-8", "replace") if is_html(response) else ""
    except (OSError, urllib3.exceptions.HTTPError):
        return ""


def describe(error: BaseException) -> str:
    """A network error in a few words."""
    while isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):  # which wrap what happened
        inner = error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    if isinstance(error, socket.gaierror):
        return "no network, or no such host"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}; REQUESTS_CA_BUNDLE names a file with your own"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionResetError):
        return "connection lost"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def _seconds(text: str | None) -> float:
    """`Retry-After` in seconds; its other form, a date, counts as nothing."""
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0
