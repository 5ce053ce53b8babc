"""A file server on this machine that can be told to misbehave, one answer after the other."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Answers each path with its list of answers in turn, the last one again and again.

    Attributes:
        base: `http://127.0.0.1:PORT`.
        asked: a (path, headers) pair for each request.
    """

    def __init__(self):
        server = self
        self.answers, self.asked = {}, []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.asked.append((self.path, dict(self.headers)))
                answers = server.answers.get(self.path) or server.answers.get(self.path.split("?")[0]) or [status(404)]
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)
                self.close_connection = True

            def log_message(self, *args):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.httpd.handle_error = lambda request, address: None  # a client that hangs up
        self.base = f"http://127.0.0.1:{self.httpd.server_port}"

    def serve(self, path, *answers):
        """Set the answers of a path; returns its URL."""
        self.answers[path] = list(answers)
        return self.base + path

    def ranges(self, path):
        """The Range header of each request for a path."""
        return [headers.get("Range") for asked, headers in self.asked if asked.split("?")[0] == path]


@contextmanager
def serving():
    server = Server()
    thread = threading.Thread(target=server.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.httpd.shutdown()
        server.httpd.server_close()


def head(handler, code, headers):
    handler.send_response(code)
    handler.send_header("Connection", "close")
    for key, value in headers.items():
        if value is not None:
            handler.send_header(key, value)
    handler.end_headers()


def status(code, body=b"", **headers):
    """An answer without a file."""

    def answer(handler):
        head(handler, code, {"Content-Length": len(body), **{k.replace("_", "-"): v for k, v in headers.items()}})
        handler.wfile.write(body)

    return answer


def page(text, code=200, **headers):
    """A web page."""
    return status(code, text.encode(), Content_Type="text/html; charset=utf-8", **headers)


def file(data, *, etag='"1"', modified=None, stop=None, length=None, ranges=True, if_range=True, then=None, kind=None):
    """A file, as a well-behaved server gives it.

    Args:
        data: its bytes.
        etag: its ETag.
        modified: its Last-Modified.
        stop: send only so many bytes of the body and close.
        length: a false Content-Length; False for none.
        ranges: honour Range.
        if_range: honour If-Range.
        then: called after the bytes, before the connection is closed.
        kind: Content-Type.
    """

    def answer(handler):
        wanted, start = handler.headers.get("Range"), 0
        fits = handler.headers.get("If-Range") in (None, etag, modified) or not if_range
        common = {"ETag": etag, "Last-Modified": modified, "Content-Type": kind or "application/octet-stream"}
        if wanted and ranges and fits:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                head(handler, 416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": 0})
                return
            common["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        stated = len(body) if length is None else length
        common["Content-Length"] = None if length is False else stated
        head(handler, 206 if "Content-Range" in common else 200, common)
        handler.wfile.write(body if stop is None else body[:stop])
        handler.wfile.flush()
        if then is not None:
            then()

    return answer


def chunked(data, *, whole=True):
    """A file in chunks, without a Content-Length."""

    def answer(handler):
        head(handler, 200, {"Transfer-Encoding": "chunked"})
        for i in range(0, len(data), 1000):
            part = data[i : i + 1000]
            handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        if whole:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


def stall(seconds=1.5):
    """No answer for a while."""
    return lambda handler: time.sleep(seconds)
