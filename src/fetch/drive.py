"""Google Drive: from the links that people publish to the file itself, past the page that cannot scan for viruses."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import parse_qs, parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from .web import Failed, Session, is_html, read_page

DOWNLOAD = "https://drive.google.com/uc"
HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
MAX_PAGES = 3
QUOTA = "Google Drive's download quota of this file is used up for now; it may work tomorrow"
GONE = "Google Drive says that the file does not exist any more"
LOGIN = "Google Drive asks for a login: the file is not public"
OTHER = "Google Drive shows a web page instead of the file"


def file_id(url: str) -> str | None:
    """The file that a Google Drive link names (`/uc?id=`, `/open?id=`, `/file/d/<id>`), or None for other URLs."""
    parts = urlsplit(url)
    if parts.hostname not in HOSTS:
        return None
    in_path = re.search(r"/file/d/([\w-]+)", parts.path)
    return in_path[1] if in_path else parse_qs(parts.query).get("id", [None])[0]


def locate(session: Session, url: str, timeout_sec: float) -> str:
    """Find where the bytes of a Google Drive link are, confirming what its pages ask to be confirmed.

    The session keeps the cookies for that. Failed says that the quota is used up, or that the file is gone or not
    public.
    """
    address = f"{DOWNLOAD}?{urlencode({'export': 'download', 'id': file_id(url)})}"
    for _ in range(MAX_PAGES):
        try:
            with session.open(address, timeout_sec) as response:
                if not is_html(response):
                    return address
                page = read_page(response)
        except Failed as error:
            known = explain(error.page)
            if known != OTHER:
                raise Failed(known) from error
            raise
        confirmed = _confirmed(page, response.url, {c.name: c.value or "" for c in response.cookies})
        if confirmed is None:
            raise Failed(explain(page))
        address = confirmed
    raise Failed(OTHER)


def explain(page: str) -> str:
    """Why Google Drive shows this page instead of a file."""
    if re.search(r"quota exceeded|too many users have viewed or downloaded", page, re.IGNORECASE):
        return QUOTA
    if re.search(r"file you have requested does not exist|error 404|not found", page, re.IGNORECASE):
        return GONE
    if re.search(r"you need access|request access|accounts\.google\.com/\S*signin|sign in", page, re.IGNORECASE):
        return LOGIN
    return OTHER


def _confirmed(page: str, here: str, cookies: Mapping[str, str]) -> str | None:
    """The address that a person who presses "download anyway" would get, or None."""
    forms = _Forms()
    forms.feed(page)
    for action, fields in forms.found:
        if "confirm" in fields or "id" in fields or "confirm=" in action:
            return _with_query(urljoin(here, action), fields)
    for link in forms.links:
        if re.search(r"[?&]confirm=", link):
            return urljoin(here, link)
    tokens = (value for name, value in cookies.items() if name.startswith("download_warning"))  # before it had a form
    token = next(tokens, None)
    return None if token is None else _with_query(here, {"confirm": token})


def _with_query(url: str, fields: dict[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **fields})))


class _Forms(HTMLParser):
    """Forms with their named inputs, and links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.links: list[str] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        values = {key: value or "" for key, value in attrs}
        if tag == "form":
            self.found.append((values.get("action", ""), {}))
            self._open = True
        elif tag == "input" and self._open and values.get("name"):
            self.found[-1][1][values["name"]] = values.get("value", "")
        elif tag == "a" and "href" in values:
            self.links.append(values["href"])

    def handle_endtag(self, tag: str) -> None:
        """Leave a form."""
        if tag == "form":
            self._open = False
