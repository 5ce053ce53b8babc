"""A headless Chromium that opens a page at some width and answers what stands where.

It is asked through a pipe (`--remote-debugging-pipe` of the Chrome DevTools Protocol: JSON between zero bytes), so that
no driver and no package is needed. `--window-size` would not do: a window is at least 500 px wide.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--mute-audio")
TIMEOUT_SEC = 60
PHONE_PX = 600  # narrower viewports are a phone's
WIDTHS = (390, 768, 1000, 1280)  # a phone, a tablet, half of a screen, a laptop
#: What is cut off: beyond the page, wider than its box, a text beyond its chart; but not what scrolls on purpose.
CUT_OFF = """
(width => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect(), chart = e.closest('svg'), inside = 0.5
  if (!box.width || e.closest('.sheet, .wide')) return false
  if (box.left < -inside || box.right > width + inside) return true
  if (!chart) return e.clientWidth && e.scrollWidth > e.clientWidth + 1
  const edge = chart.getBoundingClientRect()
  return e.tagName == 'text' && (box.left < edge.left - inside || box.right > edge.right + inside)
}).map(e => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 40)}`))
"""


def find_browser() -> str | None:
    """The browser's path; None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One browser with one page; a context manager that ends it.

    Args:
        profile: an empty folder for its profile.
    """

    def __init__(self, profile: Path) -> None:
        binary = find_browser()
        assert binary is not None
        # the browser reads 3 and writes 4: the shell makes them of its own standard input and output
        line = ["sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null', binary, *OPTIONS]
        options = ["--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [*line, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._number, self._session = 0, None
        self._unread, self._events = b"", list[dict[str, Any]]()
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(
        self, page: Path | str, width: int, *, height: int = 800, dark: bool = False, downloads: Path | None = None
    ) -> None:
        """Open a page in a viewport of so many CSS pixels, and wait until it and its pictures are there.

        Args:
            page: its file or address.
            width: CSS pixels.
            height: CSS pixels.
            dark: whether the reader prefers dark colours.
            downloads: folder for what the page gives to download; None to refuse it.
        """
        behaviour = {"behavior": "deny"} if downloads is None else {"behavior": "allow", "downloadPath": str(downloads)}
        self._ask("Browser.setDownloadBehavior", **behaviour, eventsEnabled=True)
        self._events.clear()
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < PHONE_PX,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        self.evaluate(
            "new Promise(done => document.readyState == 'complete' ? done() : addEventListener('load', done))"
        )

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is waited for."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until a JavaScript expression in the page is true, and return its value."""
        deadline = time.monotonic() + TIMEOUT_SEC
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.02)
        return value

    def press(self, key: str) -> None:
        """Press a key: a character, or a name such as `Escape` or `ArrowRight`."""
        code = {"Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        virtual = code.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=virtual, **text)

    def point(self, selector: str, *, click: bool = False) -> None:
        """Move the mouse to the middle of the first element of a CSS selector, and perhaps click there."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.box(selector)
        place = {"x": (box["left"] + box["right"]) / 2, "y": (box["top"] + box["bottom"]) / 2}
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", **place)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self._ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def cut_off(self, width: int) -> list[str]:
        """The elements that are cut off in a page opened at that width."""
        return list(self.evaluate(f"{CUT_OFF.strip()}({width})"))

    def box(self, selector: str) -> dict[str, float]:
        """Where the first element of a CSS selector stands: `left`, `right`, `top`, `bottom`, `width`, `height`."""
        return dict(self.evaluate(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()"))

    def downloaded(self, folder: Path) -> Path:
        """Wait for the end of the download that the page has begun, and return its file in the folder of `open`."""
        while True:
            event = self._events.pop(0) if self._events else self._read()
            if event.get("method") == "Browser.downloadProgress" and event["params"]["state"] != "inProgress":
                assert event["params"]["state"] == "completed"
                (path,) = folder.iterdir()
                return path

    def screenshot(self, path: Path) -> Path:
        """Write the whole page as a PNG."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self._ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        while (answer := self._read()).get("id") != self._number:
            self._events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\0" not in self._unread:
            ready, _, _ = select.select([pipe], [], [], TIMEOUT_SEC)
            data = os.read(pipe, 2**16) if ready else b""
            assert data, "the browser does not answer" if not ready else "the browser has ended"
            self._unread += data
        first, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message
