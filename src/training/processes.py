"""The processes of a run: who they are, how they come together, and how one's end is everybody's.

torchrun and Slurm start all of them, on one machine or several. Otherwise the process that the user has started checks
everything, opens the run's folder, and then starts the others of its machine (`worker.py`).
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from ..errors import UserError
from ..exits import EXIT_USER_ERROR
from ..group import Group
from ..options import OptionError
from ..signals import Stopped
from .settings import TrainerSettings

ROOT = Path(__file__).resolve().parents[2]
WORKER = "CARICATURE_WORKER"  # rank, world and port of a process that another has started
LOCALHOST = "127.0.0.1"
MEETING = timedelta(minutes=30)  # for all processes to come together, and to end
WORK = timedelta(hours=24)  # for the others to wait while one works alone, as for a sweep (`snapshot.stop`)
POLL_SEC = 0.1
PATIENCE_SEC = 10.0  # for the end of another process to be noticed
FAILED, HERE = "failed", "here"  # keys of the store


class OwnEnvironment(LightningEnvironment):
    """Ranks of the processes that a run starts by itself, on one machine."""

    def __init__(self, rank: int, world: int) -> None:
        super().__init__()
        self._global_rank, self._world_size = rank, world

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning is to start none."""
        return True

    def local_rank(self) -> int:
        """All are on this machine."""
        return self._global_rank

    def set_global_rank(self, rank: int) -> None:
        """It is known."""

    def set_world_size(self, size: int) -> None:
        """It is known."""


class Processes:
    """This process among those of its run; entered for as long as the run lasts.

    `environment` is Lightning's description of them, None for a process by itself; `group` may be used once it has come
    together.
    """

    def __init__(self, settings: TrainerSettings) -> None:
        world = settings.devices * settings.num_nodes
        self.environment = _environment(settings, world) if world > 1 else None
        self.group = Group(0 if self.environment is None else self.environment.global_rank(), world)
        self._starts = isinstance(self.environment, OwnEnvironment) and WORKER not in os.environ
        self._on_gpu = settings.accelerator != "cpu" and torch.cuda.is_available()
        self._store: Any = None
        self._workers: list[subprocess.Popen[str]] = []
        self._ending = threading.Event()
        self._quiet = contextlib.ExitStack()

    def __enter__(self) -> "Processes":
        if self.environment is None:
            return self
        if not self.group.is_first:
            nowhere = self._quiet.enter_context(open(os.devnull, "w", encoding="utf-8"))
            self._quiet.enter_context(contextlib.redirect_stdout(nowhere))
        if self._on_gpu:
            torch.cuda.set_device(self.environment.local_rank() % torch.cuda.device_count())
        if not self._starts:
            self._join(_store(self.environment))
        return self

    @property
    def threads(self) -> int:
        """Threads of this process when all have come together: one that starts the others shares its own with them."""
        threads = torch.get_num_threads()
        return max(threads // self.group.world, 1) if self._starts and not self._workers else threads

    def start(self, config: Mapping[str, Any]) -> None:
        """Start the others and come together with them, unless somebody has started them."""
        if not self._starts:
            return
        world = self.group.world
        store = TCPStore(LOCALHOST, 0, world, is_master=True, timeout=MEETING, wait_for_workers=False)
        threads = self.threads
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        for rank in range(1, world):
            own = {WORKER: f"{rank}/{world}/{store.port}", "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
            worker = subprocess.Popen(
                [sys.executable, "-m", "src.training.worker"],
                env={**os.environ, **own},
                stdin=subprocess.PIPE,
                text=True,
                process_group=0,  # a terminal's Ctrl-C is for the first to answer
            )
            self._workers.append(worker)
            assert worker.stdin is not None
            try:
                worker.stdin.write(json.dumps(config) + "\n")
                worker.stdin.flush()  # and stays open as long as this process lives
            except BrokenPipeError as error:
                raise UserError(_gone(rank, worker.wait(), world)) from error
        self._quiet.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(threads)
        threading.Thread(target=self._watch, daemon=True).start()
        self._join(store)

    def told(self, text: str = "") -> str:
        """The text of the first process; where the group has not come together, one's own."""
        return self.group.told(text) if self._store is not None else text

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        patience = 0.0 if error is not None else MEETING.total_seconds()
        try:
            if error is not None and self._store is not None and not isinstance(error, Stopped):
                self._judge(error)
        except SystemExit:
            patience = PATIENCE_SEC  # for who tells
            raise
        finally:
            self._ending.set()
            if self.environment is not None and dist.is_initialized():
                dist.destroy_process_group()
            for worker in self._workers:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.wait(patience)
                worker.kill()
                worker.communicate()
            self._quiet.close()
        if isinstance(error, Stopped) and WORKER in os.environ:  # at once, and not as all have agreed
            raise SystemExit(error.exit_code)

    def _join(self, store: Any) -> None:
        self._store = store
        self._meet()
        backend = "cpu:gloo,cuda:nccl" if self._on_gpu else "gloo"
        dist.init_process_group(backend, store=store, rank=self.group.rank, world_size=self.group.world, timeout=WORK)

    def _meet(self) -> None:
        """Wait until all processes are here; signals are answered meanwhile."""
        self._store.set(f"{HERE}/{self.group.rank}", "")
        until = time.monotonic() + MEETING.total_seconds()
        while missing := [rank for rank in range(self.group.world) if not self._store.check([f"{HERE}/{rank}"])]:
            if time.monotonic() > until:
                raise UserError(
                    f"process {missing[0]} of {self.group.world} has not come within {MEETING}: start all of them"
                )
            time.sleep(POLL_SEC)

    def _judge(self, error: BaseException) -> None:
        """Whose end this is: the first process that fails tells why, the others leave without a word.

        Raises:
            UserError: for a process that has ended without telling.
            SystemExit: when another process has told.
        """
        code = EXIT_USER_ERROR if isinstance(error, UserError) else 1
        dead = None if isinstance(error, UserError) else self._dead(time.monotonic() + PATIENCE_SEC / 2)
        if not self._is_first_to_fail():
            raise SystemExit(code if dead is None else dead[1]) from error
        if dead is not None:
            raise UserError(_gone(*dead, self.group.world)) from error

    def _is_first_to_fail(self) -> bool:
        try:
            return bool(self._store.add(FAILED, 1) == 1)
        except Exception:  # who keeps the store has left
            return self.group.is_first

    def _dead(self, until: float) -> tuple[int, int] | None:
        """Rank and exit code of a worker that has failed; waits for one, as its end is heard before it is seen."""
        while self._workers:
            for rank, worker in enumerate(self._workers, 1):
                if worker.poll():
                    return rank, int(worker.returncode)
            if time.monotonic() > until:
                break
            time.sleep(POLL_SEC)
        return None

    def _watch(self) -> None:
        """End this process where it waits in vain for a worker that is gone."""
        while not self._ending.wait(1):
            dead = self._dead(0)
            if dead is not None and not self._ending.wait(PATIENCE_SEC):
                if dead[1] < 0:  # no time to tell
                    print(f"error: {_gone(*dead, self.group.world)}", file=sys.stderr, flush=True)
                for worker in self._workers:
                    worker.kill()
                sys.stdout.flush()
                os._exit(max(dead[1], 1))


def _environment(settings: TrainerSettings, world: int) -> ClusterEnvironment:
    """Who this process is, as whoever has started it says."""
    environment: ClusterEnvironment
    if WORKER in os.environ:
        rank, of, _ = map(int, os.environ[WORKER].split("/"))
        return OwnEnvironment(rank, of)
    if TorchElasticEnvironment.detect():
        environment, name = TorchElasticEnvironment(), "torchrun"
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        try:
            environment, name = SLURMEnvironment(auto_requeue=False), "srun"
        except RuntimeError as error:
            raise UserError(f"Slurm: {str(error).split(' HINT: ')[-1]}") from error
    elif settings.num_nodes > 1:
        raise settings.wrong("num_nodes", "start the command on every machine with torchrun or srun").within("trainer")
    else:
        _check_devices(settings)
        return OwnEnvironment(0, world)
    if environment.world_size() != world:
        reason = f"{name} has started {environment.world_size()} processes; devices times num_nodes is their number"
        raise OptionError("trainer.devices", settings.devices, reason)
    return environment


def _check_devices(settings: TrainerSettings) -> None:
    there = torch.cuda.device_count() if settings.accelerator != "cpu" and torch.cuda.is_available() else 0
    if 0 < there < settings.devices:
        raise OptionError("trainer.devices", settings.devices, f"this machine has {there} CUDA devices")


def _store(environment: ClusterEnvironment) -> Any:
    """Where the processes that somebody has started meet."""
    if WORKER in os.environ:
        port = int(os.environ[WORKER].split("/")[2])
        return TCPStore(LOCALHOST, port, environment.world_size(), is_master=False, timeout=MEETING)
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    rank, world = environment.global_rank(), environment.world_size()
    store, _, _ = next(rendezvous("env://", rank, world, timeout=MEETING))
    return PrefixStore("caricature", store)


def _gone(rank: int, code: int, world: int) -> str:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"process {rank} of {world} has ended ({how}), so all stop: the same command goes on from what is saved"
