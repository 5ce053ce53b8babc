"""Jobs by one of Hydra's launchers: as many at once as there are GPUs or cores, where its processes run here."""

import copy
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from .slots import environment, names_of_places, places

ROOT = Path(__file__).resolve().parents[1]
HERE = ("JoblibLauncher", "LocalLauncher")  # launchers whose processes run on this machine


def launch(
    task: TaskFunction,
    jobs: Sequence[Sequence[str]],
    *,
    context: HydraContext,
    config: DictConfig,
    folder: Path,
    device: str,
) -> Any:
    """Carry out jobs by the launcher that a configuration names.

    Args:
        task: what a job does with its configuration.
        jobs: the overrides of each.
        context: Hydra's.
        config: of the script, with Hydra's own part.
        folder: where launchers that write down what jobs print (submitit) do so.
        device: `"cpu"` for jobs that want no GPU.

    Returns:
        A `JobReturn` of each.

    Raises:
        RuntimeError: by the launcher, for a process that ended without a result.
    """
    config = copy.deepcopy(config)
    known = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    with open_dict(config), ExitStack() as stack:
        config.hydra.sweep.dir = str(folder).replace("${", r"\${")
        stack.enter_context(environment(PYTHONPATH=os.pathsep.join(known)))
        if launcher_of(config) in HERE:
            at_once = stack.enter_context(places(len(jobs), num_gpus=_num_gpus(device)))
            if "n_jobs" in config.hydra.launcher:
                given = config.hydra.launcher.n_jobs
                config.hydra.launcher.n_jobs = min(given, at_once) if given > 0 else at_once
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
        return launcher.launch(jobs, initial_job_idx=0)


def launcher_of(config: DictConfig) -> str:
    """Name of the launcher's class, such as `BasicLauncher`."""
    return str(config.hydra.launcher._target_).rsplit(".", 1)[-1]


def num_at_once(config: DictConfig, device: str) -> int | None:
    """How many jobs a launcher carries out at once on this machine; None for one that does so elsewhere."""
    if launcher_of(config) not in HERE:
        return None
    given = int(config.hydra.launcher.get("n_jobs", -1))
    return given if given > 0 else len(names_of_places(_num_gpus(device)))


def said(error: RuntimeError) -> str:
    """What a launcher says of a process that ended without a result: its first lines, as one; a log may follow."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__


def _num_gpus(device: str) -> int:
    if device == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()
