"""The page's server: this machine alone, one page and four questions, no file is served by name.

Who may ask: the path begins with a secret of this sitting, which other users of the machine and other pages do not
know; `Host` is this address, so that no name of somebody else's leads here; a question has the page's own `Origin`.
What a browser is started with can be seen by all users: that address leads to the page once, and nowhere afterwards.
"""

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

from ..errors import UserError
from .sitting import Sitting

HOST = "127.0.0.1"
MAX_BODY = 1000  # bytes of an answer
ANSWERS = ("left", "right", "equal")
#: Nothing from elsewhere, nowhere else to.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PickServer(ThreadingHTTPServer):
    """Serves the page of a sitting, on any port that is free for 0, until the page says that it is done."""

    daemon_threads = True

    def __init__(self, sitting: Sitting, page: str, port: int = 0) -> None:
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(f"port={port}: cannot be had ({error.strerror or error}); 0 takes any") from error
        self.origin = f"http://{HOST}:{self.server_port}"
        self.secret = secrets.token_urlsafe(18)
        self._door: str | None = secrets.token_urlsafe(18)
        self.page = page.encode()
        self._sitting, self._lock = sitting, Lock()

    @property
    def address(self) -> str:
        """Of the page."""
        return f"{self.origin}/{self.secret}/"

    @property
    def entrance(self) -> str:
        """An address that leads to the page once."""
        return f"{self.origin}/{self._door}/"

    def enters(self, path: str) -> bool:
        """Whether a path is that of the entrance, which is closed by it."""
        with self._lock:
            is_door = self._door is not None and path == f"/{self._door}/"
            if is_door:
                self._door = None
            return is_door

    def reply(self, question: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one question of the page's, one at a time.

        Args:
            question: `state`, `click` (with `question` and `answer`), `undo`, `result` or `done`.
            given: with it.

        Raises:
            KeyError, ValueError: for another question.
        """
        with self._lock:
            if question == "click":
                if given["answer"] not in ANSWERS:
                    raise ValueError(given["answer"])
                self._sitting.answer(int(given["question"]), given["answer"])
            elif question == "undo":
                self._sitting.undo()
            elif question == "result":
                return {"result": self._sitting.result()}
            elif question == "done":
                return {}
            elif question != "state":
                raise KeyError(question)
            return self._sitting.state()


class _Handler(BaseHTTPRequestHandler):
    server: PickServer
    timeout = 30  # seconds that a connection may stay silent

    def do_GET(self) -> None:
        """The page."""
        if self._is_meant() and self.server.enters(self.path):
            return self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", Location=self.server.address)
        if not self._is_meant() or self.path != f"/{self.server.secret}/":
            return self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
        self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """A question of the page's."""
        start, question = f"/{self.server.secret}/", self.path.rpartition("/")[2]
        if not self._is_meant() or self.path != start + question:
            return self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
        if self.headers.get("Origin") != self.server.origin:
            return self._send(HTTPStatus.FORBIDDEN, b"", "text/plain")
        try:
            given = json.loads(self._body())
            reply, status = self.server.reply(question, given), HTTPStatus.OK
        except UserError as error:
            reply, status = {"error": str(error)}, HTTPStatus.INTERNAL_SERVER_ERROR
        except (KeyError, TypeError, ValueError):
            reply, status = {"error": "no such question"}, HTTPStatus.BAD_REQUEST
        self._send(status, json.dumps(reply).encode(), "application/json")
        if question == "done" and status == HTTPStatus.OK:
            self.server.shutdown()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is the person's."""

    def _is_meant(self) -> bool:
        return self.headers.get("Host") == self.server.origin.removeprefix("http://")

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length", ""))
        if not 0 <= length <= MAX_BODY:
            raise ValueError(length)
        return self.rfile.read(length)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, **more: str) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
