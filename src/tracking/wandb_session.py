"""W&B as it is set up: what is set for it stands, this project's defaults fill the rest.

Set for W&B are its environment variables, its settings files (`wandb offline`, `wandb disabled`) and keys (`wandb
login`, netrc); an option of the command line stands above them. Nothing prompts, and no server is waited for long.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import requests

from ..metrics import FRECHET_NAMES

PROJECT = "caricature"
PROBE_TIMEOUT_SEC = 3.0
FINISH_TIMEOUT_SEC = 30.0  # for what is left to upload when a run ends; the next sitting sends the rest
DEFAULTS: dict[str, Any] = {
    "init_timeout": 20.0,
    "finish_timeout": FINISH_TIMEOUT_SEC,
    "finish_timeout_raises": True,
    "silent": True,
    "console": "off",
    "disable_git": True,
}
#: What an argument of `wandb.init` is called among W&B's settings.
SETTING = {
    "dir": "root_dir",
    "project": "project",
    "name": "run_name",
    "group": "run_group",
    "job_type": "run_job_type",
    "tags": "run_tags",
    "id": "run_id",
    "resume": "resume",
}


class NotReached(Exception):
    """Why W&B's server is not used."""


class WandbSession:
    """W&B as it is set up now.

    Attributes:
        mode: `"online"`, `"offline"` or `"disabled"`.
        origin: where that is set.
        given_id: the id that the environment asks for, as W&B's sweep agents do; None where it does not.
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
        self.given_id: str | None = settings.run_id

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

    def start(self, folder: Path, mode: str, *, chosen: Mapping[str, Any], usual: Mapping[str, Any]) -> Any:
        """Open a run, with kimg as x axis of everything; W&B's files are in `folder`, unless another is set for it.

        Of the arguments of `wandb.init`, those `chosen` stand above what is set for W&B, and the `usual` ones below.
        """
        folder.mkdir(parents=True, exist_ok=True)
        usual = {"dir": str(folder), "project": PROJECT, "resume": "allow", **usual}
        usual = {key: value for key, value in usual.items() if SETTING.get(key) not in self._given}
        self._set(mode=mode)
        try:
            run = self._wandb.init(mode=mode, reinit="finish_previous", **(usual | dict(chosen)))
        except Exception:
            self._wandb.teardown()  # or no other run of this id could be started
            raise
        run.define_metric("kimg")
        run.define_metric("*", step_metric="kimg")
        for name in ("kid", *FRECHET_NAMES):
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


def abandon() -> None:
    """End W&B's own process at once: at exit its client waits for it, and it for a server that does not answer."""
    import wandb

    with suppress(Exception, SystemExit):  # of a process that is gone
        session: Any = wandb.setup()
        session._connection._proc._process.kill()  # there is no public way
        wandb.teardown()


def shortened(error: BaseException) -> str:
    """The first line of an error, with words for a refusal."""
    text = str(error).strip().splitlines()
    line = text[0] if text else type(error).__name__
    return "the key is refused: `wandb login --relogin`" if "error 401" in line else line[:200]
