"""From options to a page that waits for clicks, and what they said when it is closed."""

import os
import random
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..clicks import ENOUGH
from ..errors import UserError
from ..options import read
from ..runs import find_run, finished_sweeps, recommending_sweep
from ..tracking import render_page
from .server import PickServer
from .settings import PickSettings
from .shown import Blends
from .sitting import Sitting

PAGE = Path(__file__).parent / "templates" / "pick.html"


def main(config: Mapping[str, Any]) -> None:
    """Serve the page as a plain configuration composed from `conf/pick.yaml` says, until it is closed there.

    Raises:
        UserError: when there is no sweep with blends to choose between, or the port is taken.
    """
    settings = read(PickSettings, config)
    run_dir = find_run(settings.run, Path(settings.paths.runs))
    blends = Blends.of(find_sweep(run_dir, settings.sweep))
    sitting = Sitting(blends, settings.who, random.Random())
    with open_server(sitting, settings.port) as server:
        print(f"picking    {blends.folder}: {len(blends.sides)} blends, clicks go to {sitting.path}", flush=True)
        print(f"page       {server.address}", flush=True)
        if settings.open and _has_desktop():
            webbrowser.open(server.entrance)
        server.serve_forever(poll_interval=0.1)
    print(_said(sitting))


def open_server(sitting: Sitting, port: int = 0) -> PickServer:
    """Make the page's server of a sitting; a context manager that closes it."""
    blends = sitting.blends
    title = f"{blends.folder.parents[1].name}: which do you like better?"
    return PickServer(sitting, render_page(PAGE, title=title, enough=ENOUGH), port)


def find_sweep(run_dir: Path, name: str | None) -> Path:
    """A run's sweep by name, or the one that recommends its blend, or the one that finished last."""
    finished = finished_sweeps(run_dir)
    if name is None:
        folder = recommending_sweep(run_dir) or next(reversed(finished), None)
        if folder is None:
            raise UserError(f"{run_dir.name} has no finished sweep: python sweep.py run={run_dir.name}")
        return folder
    for folder in finished:
        if folder.name == name:
            return folder
    raise UserError(f"sweep={name}: {run_dir.name} has {', '.join(f.name for f in finished) or 'no finished sweep'}")


def _has_desktop() -> bool:
    """Whether a browser would open a window, and not take the terminal."""
    return sys.platform in ("win32", "darwin") or any(os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY"))


def _said(sitting: Sitting) -> str:
    result = sitting.result()
    if result is None:
        count = len(sitting.clicks())
        return f"{count} of {ENOUGH} clicks: the same command goes on"
    return "\n".join([result["sentence"], result["recommendation"], result["command"]])
