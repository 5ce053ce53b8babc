"""What a run says of itself on the terminal, before and after training."""

import torch

from ..files import read_json
from ..metrics import evaluation_cost
from ..networks import slow_format
from ..runs import RUN_JSON
from ..signals import Stopped
from .fork import fork_line
from .module import GanModule
from .opened_run import Run


def print_header(run: Run, tracking: str) -> None:
    """Say what is trained, how, and where it is tracked (`tracking`), a line each."""
    G, D = run.module.step.G, run.module.step.D
    count = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (G, D)]
    start = run.start.facts.get("source", "fresh networks")
    lines = [
        f"run        {run.folder}" + (f" (continues {run.checkpoint.path.name})" if run.checkpoint else ""),
        f"data       {run.dataset.report.summary()}",
        f"networks   {G.resolution} px, G {count[0]:.2f} M, D {count[1]:.2f} M parameters, from {start}",
        f"training   to {run.total_kimg:g} kimg, batch {run.module.step.batch_size}{_parts(run.module)}, "
        f"{len({*run.marks, run.total_kimg})} snapshots",
        f"computes   {run.compute.summary(run.processes.threads)}, torch {torch.__version__}",
        f"phases     {run.acceleration.summary()}",
        f"ops        {run.compute.ops}",
        f"metrics    {run.measures}",
    ]
    if run.settings.metrics.extractor is not None:
        lines.append(f"cost       {evaluation_cost(run.settings.metrics, len(run.dataset), run.compute.device)}")
    lines.append(f"tracking   {tracking}")
    if slow := slow_format(run.compute.precision, run.compute.device):
        lines.append(f"note       {slow}")
    lines += fork_line(read_json(run.folder / RUN_JSON))
    if run.start.facts.get("fresh"):
        lines.append(f"fresh      {', '.join(run.start.facts['fresh'])}")
    print("\n".join(lines), flush=True)


def _parts(module: GanModule) -> str:
    """How the batch is divided, for the header; nothing where it is not."""
    world, rounds = module.step.group.world, module.step.rounds
    return (f" on {world} devices" if world > 1 else "") + (f" in {rounds} rounds" if rounds > 1 else "")


def print_end(run: Run, img_per_sec: float | None, stopped: Stopped | None) -> None:
    """Say where training ended, how fast it was, and by which signal, if any."""
    at = f"{run.module.nimg / 1000:g} kimg"
    speed = "" if img_per_sec is None else f", {img_per_sec:.1f} img/s"
    if stopped is not None:
        print(f"stopped by {stopped} at {at}{speed}; everything is saved: the same command continues")
    else:
        print(f"done: {at}{speed}")
