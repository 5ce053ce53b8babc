"""The W&B run beside the local files: what is set for W&B stands, this project's defaults fill the rest.

Set for W&B are its environment variables and its settings files (`wandb offline`, `wandb disabled`, `wandb login`);
an option of the command line stands above both. Nothing prompts, and no server is waited for long.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import requests

from ..errors import UserError

PROJECT = "caricature"
PROBE_TIMEOUT_SEC = 3.0
DEFAULTS: dict[str, Any] = {"init_timeout": 20.0, "silent": True, "console": "off", "disable_git": True}
#: What a default of a run is called among W&B's settings.
SETTING = {"dir": "root_dir", "project": "project", "name": "run_name", "group": "run_group", "tags": "run_tags"}


class NotReached(Exception):
    """Why W&B's server is not used."""


def open_wandb_run(run_dir: Path, *, mode: str, project: str | None, **defaults: Any) -> tuple[Any, str]:
    """Open a run.

    Args:
        run_dir: where W&B keeps its files.
        mode: `"auto"` (as set for W&B; online with a key and an answering server, else offline), `"online"` or
            `"offline"`.
        project: asked for; None for what is set for W&B, or this project's.
        defaults: `name`, `group` and `tags`, as far as they are not set for W&B; `config`.

    Returns:
        The run, None where W&B is disabled; where it goes, and why.

    Raises:
        UserError: when `mode="online"` cannot be had.
    """
    session = _Session()
    chosen = session.mode if mode == "auto" else mode
    reason = "asked for" if mode != "auto" else f"{session.origin} says so"
    if chosen == "disabled":
        return None, f"local files alone ({reason})"
    if chosen == "online":
        try:
            session.log_in()
            run = session.start(run_dir, "online", project, defaults)
            return run, f"Weights & Biases online ({session.host if mode == 'auto' else reason})"
        except Exception as error:  # W&B's own kinds differ from version to version
            reason = shortened(error)
            if mode == "online":
                raise UserError(f"tracker.mode=online: Weights & Biases cannot be reached ({reason})") from error
    return session.start(run_dir, "offline", project, defaults), f"Weights & Biases offline ({reason})"


class _Session:
    """W&B as it is set up now.

    Attributes:
        mode: `"online"`, `"offline"` or `"disabled"`.
        origin: where that is set.
    """

    def __init__(self) -> None:
        import wandb  # takes seconds

        if wandb.run is None:
            wandb.teardown()  # what an earlier session of this process has read may have changed
        settings = wandb.setup().settings
        self._wandb: Any = wandb
        self._given = frozenset(settings.model_fields_set)
        self._server = str(settings.base_url)
        self.mode = {"dryrun": "offline", "offline": "offline", "disabled": "disabled"}.get(settings.mode, "online")
        self.origin = "WANDB_MODE" if os.environ.get("WANDB_MODE") else "W&B's settings file"

    @property
    def host(self) -> str:
        """Name of the server."""
        return urlparse(self._server).hostname or ""

    def log_in(self) -> None:
        """See that there is a key and a server that answers; whether it takes the key is seen when a run is opened.

        Raises:
            NotReached: with the reason.
        """
        self._set(mode="online")
        if not self._wandb.login(prompt=False, verify=False):
            raise NotReached("no key; `wandb sync` uploads it later")
        self._probe()

    def start(self, run_dir: Path, mode: str, project: str | None, defaults: Mapping[str, Any]) -> Any:
        """Open the run, `"online"` or `"offline"`; see `open_wandb_run`."""
        run_dir.mkdir(parents=True, exist_ok=True)
        own = {"dir": str(run_dir), "project": PROJECT, **defaults}
        own = {key: value for key, value in own.items() if SETTING.get(key) not in self._given}
        own |= {} if project is None else {"project": project}
        self._set(mode=mode)
        run = self._wandb.init(mode=mode, reinit="finish_previous", **own)
        run.define_metric("kimg")
        run.define_metric("*", step_metric="kimg")
        for name in ("kid", "fid", "frechet"):
            run.define_metric(f"metrics/{name}", step_metric="kimg", summary="min")
        return run

    def _set(self, **settings: Any) -> None:
        own = {key: value for key, value in DEFAULTS.items() if key not in self._given}
        self._wandb.setup(self._wandb.Settings(**own, **settings))

    def _probe(self) -> None:
        """Ask whether anything answers, where that can be asked without a proxy; W&B's client would wait long."""
        if requests.utils.select_proxy(self._server, requests.utils.get_environ_proxies(self._server, no_proxy=None)):
            return
        port = urlparse(self._server).port or (80 if self._server.startswith("http:") else 443)
        try:
            socket.create_connection((self.host, port), timeout=PROBE_TIMEOUT_SEC).close()
        except OSError as error:
            raise NotReached(f"{self.host} does not answer: {shortened(error)}") from error


def shortened(error: BaseException) -> str:
    """The first line of an error, with words for W&B's answers without any."""
    text = str(error).strip().splitlines()
    line = text[0] if text else type(error).__name__
    return line.replace("<no message>", "refused without a reason; is the key right? `wandb login --relogin`")[:200]
