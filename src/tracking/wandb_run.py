"""A run in W&B beside the local files. It shows what they hold, and never stops or delays a program.

All calls are made by a thread of its own, since some of W&B's wait for its server. A row's step in W&B is nimg, so that
its media sliders and its order are those of the one clock; the x axis is kimg.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ..errors import UserError
from .artifacts import MAX_TAG, fitted
from .wandb_record import WandbRecord
from .wandb_session import FINISH_TIMEOUT_SEC, WandbSession, abandon, shortened

API_TIMEOUT_SEC = 10
GRACE_SEC = 5.0  # beyond the time that W&B itself takes to give up
MODEL = "model"  # type of artifacts


class WandbRun:
    """A run in W&B, or none. Made by `open_wandb_run`.

    Args:
        run: W&B's; None for none.
        record: of its folder.
        status: see below.

    Attributes:
        status: where it goes and why, which it is, and what is new about that.
        first: images (nimg) from which on W&B has no rows; earlier ones are not sent again.
    """

    def __init__(self, run: Any = None, record: WandbRecord | None = None, status: str = "local files alone") -> None:
        self._run, self._record, self.status = run, record, status
        self.first = 0 if record is None else record.first
        self._next, self._warned = self.first, False
        self._nimg, self._step = -1, 0 if run is None else run.starting_step - 1
        self._tables: dict[str, Any] = {}
        self._calls: SimpleQueue[Callable[[Any], None] | None] = SimpleQueue()
        self._worker = Thread(target=self._work, args=(run,), daemon=True)
        if run is not None:
            self._worker.start()

    @property
    def is_open(self) -> bool:
        """Whether there is one."""
        return self._run is not None

    def log(
        self,
        values: Mapping[str, Any],
        nimg: int,
        *,
        tables: Mapping[str, Mapping[str, Any]] | None = None,
        missed: bool = False,
    ) -> None:
        """Show a row, unless W&B has it already.

        Args:
            values: by name; a `Path` is the picture that it names.
            nimg: when it was.
            tables: further rows, each of a table of its own that grows.
            missed: W&B has other rows of that moment, but not this one.
        """
        if nimg < self.first and not missed:
            return
        if nimg != self._nimg:  # rows of one moment are one; after a sync in another order steps only count on
            self._nimg, self._step = nimg, max(nimg, self._step + 1)
        self._next = max(self._next, nimg + 1)

        step = self._step
        self._mirror(lambda run: run.log({k: _shown(v) for k, v in finite(values).items()}, step=step))
        for key, row in (tables or {}).items():
            self._mirror(partial(lambda key, row, run: run.log({key: self._grown(key, row)}, step=step), key, row))

    def _grown(self, key: str, row: Mapping[str, Any]) -> Any:
        """The table after a row was added."""
        if key not in self._tables:
            self._tables[key] = _wandb().Table(columns=list(row), log_mode="INCREMENTAL", allow_mixed_types=True)
        self._tables[key].add_data(*map(_shown, finite(row).values()))
        return self._tables[key]

    def show(self, media: Mapping[str, Callable[[Any], Any]]) -> None:
        """Show what belongs to no moment: each by a function that makes it with the wandb module."""
        self._mirror(lambda run: run.log({key: make(_wandb()) for key, make in media.items()}))

    def store(self, path: Path, *, name: str, aliases: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Store a network file as a version of an artifact; the same content again is no new version."""

        def store(run: Any) -> None:
            artifact = _wandb().Artifact(name, type=MODEL, metadata=finite(metadata))
            artifact.add_file(str(path), policy="immutable")  # no copy in the user's home
            run.log_artifact(artifact, aliases=list(aliases))

        self._mirror(store)

    def use(self, artifacts: Sequence[str]) -> None:
        """Say that this run was made of artifacts (`entity/project/name:alias`); offline that cannot be said."""

        def use(run: Any) -> None:
            for artifact in artifacts:
                run.use_artifact(artifact)

        self._online(use, "does not show of which snapshots this was made")

    def keep_only(self, name: str, aliases: Collection[str]) -> None:
        """Delete versions of an artifact that have none of these aliases; offline ones are not there yet."""

        def delete(run: Any) -> None:
            api, path = _wandb().Api(timeout=API_TIMEOUT_SEC), f"{run.entity}/{run.project}/{name}"
            there = api.artifact_collection_exists(path, MODEL)
            for version in api.artifacts(MODEL, path) if there else ():
                if not set(version.aliases) & {*aliases, "latest", "best"}:
                    version.delete()

        self._online(delete, "keeps snapshots that were deleted here")

    def summary(self, values: Mapping[str, Any]) -> None:
        """Set summary values."""
        self._mirror(lambda run: run.summary.update(finite(values)))

    def finish(self) -> bool:
        """Close it, and tell whether W&B has taken all; what could not be uploaded is sent by the next sitting."""

        def end(run: Any) -> None:
            run.finish()
            if self._record is not None and not self._warned:
                self._record.closed(self._next)

        if self._run is None:
            return False
        self._end_with(end)
        self._worker.join(FINISH_TIMEOUT_SEC + GRACE_SEC)
        self._run = None
        if self._worker.is_alive():
            self._warn("its server does not answer")
            self._calls = SimpleQueue()  # what waits is given up
            self._end_with(end)
        if self._warned:
            abandon()
            self._worker.join(GRACE_SEC)
        return not self._warned

    def _online(self, call: Callable[[Any], None], otherwise: str) -> None:
        """Ask the server for what a run can do without."""

        def ask(run: Any) -> None:
            try:
                call(run)
            except Exception as error:
                print(f"note       Weights & Biases {otherwise} ({shortened(error)})", flush=True)

        if self._run is not None and not self._run.offline:
            self._mirror(ask)

    def _end_with(self, call: Callable[[Any], None]) -> None:
        """Do something last."""
        for last in (call, None):
            self._calls.put(last)

    def _mirror(self, call: Callable[[Any], None]) -> None:
        """Do something in W&B, if there is a run, without waiting for it."""
        if self._run is not None:
            self._calls.put(call)

    def _work(self, run: Any) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call(run)
            except Exception as error:
                self._warn(shortened(error))

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            later = "the local files go on, and the same command sends the rest later"
            print(f"tracker: Weights & Biases failed ({reason}); {later}", flush=True)


def open_wandb_run(
    folder: Path,
    *,
    mode: str,
    project: str | None,
    record: Callable[[str | None], WandbRecord],
    name: str,
    config: Mapping[str, Any],
    one_of_many: bool = False,
    **usual: Any,
) -> WandbRun:
    """Open the run of a folder: a new one, or the one that it has already.

    Args:
        folder: where W&B keeps its files.
        mode: `"auto"` (as set for W&B; online with a key and an answering server, else offline), `"online"`,
            `"offline"`, or `"disabled"` (none).
        project: asked for; None for what is set for W&B, or this project's.
        record: opens the folder's record, given the id that is set for W&B.
        name: display name, unless one is set for W&B.
        config: shown beside it.
        one_of_many: id and name are of this run alone, whatever is set for W&B.
        usual: `group`, `job_type` and `tags`, as far as they are not set for W&B; the group is name and id without.

    Returns:
        The run; none where W&B is disabled or does not start.

    Raises:
        UserError: when `mode="online"` cannot be had.
    """
    if mode == "disabled":
        return WandbRun()
    try:
        session = WandbSession()
        known = record(None if one_of_many else session.given_id)
        usual = {"name": fitted(name), "group": fitted(f"{name}-{known.id}"), **usual}
        usual["tags"] = [fitted(tag, MAX_TAG) for tag in usual.get("tags", ()) if tag]
        chosen = {"id": known.id, "config": dict(config), **({"name": usual["name"]} if one_of_many else {})}
        chosen |= {} if project is None else {"project": project}
        return _open(session, known, folder, mode, chosen, {k: v for k, v in usual.items() if k not in chosen})
    except UserError:
        raise
    except Exception as error:  # W&B's own kinds differ from version to version
        return WandbRun(status=f"local files alone (Weights & Biases does not start: {shortened(error)})")


def _open(
    session: WandbSession,
    record: WandbRecord,
    folder: Path,
    wanted: str,
    chosen: Mapping[str, Any],
    usual: Mapping[str, Any],
) -> WandbRun:
    mode = session.mode if wanted == "auto" else wanted
    reason = "asked for" if wanted != "auto" else f"{session.origin} says so"
    if mode == "disabled":
        return WandbRun(status=f"local files alone ({reason})")
    run = None
    if mode == "online":
        try:
            session.log_in()
            run = session.start(folder, "online", chosen=chosen, usual=usual)
            reason = session.host if wanted == "auto" else reason
        except Exception as error:
            mode, reason = "offline", shortened(error)
            if wanted == "online":
                raise UserError(f"tracker.mode=online: Weights & Biases cannot be reached ({reason})") from error
    run = run or session.start(folder, "offline", chosen=chosen, usual=usual)
    if run.resumed:
        last = run.summary.get("nimg")
        record.found_on_server(0 if last is None else int(last) + 1)
    record.opened(mode, run.settings.sync_file, run.path if mode == "online" else None)
    goes_on = record.news or "continued"
    return WandbRun(run, record, f"Weights & Biases {mode} ({reason}), run {run.id} ({goes_on})")


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with None for numbers that JSON does not have."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _shown(value: Any) -> Any:
    return _wandb().Image(str(value), caption=value.stem) if isinstance(value, Path) else value


def _wandb() -> Any:
    """The wandb module, imported when it is first needed: it takes seconds."""
    import wandb

    return wandb
