"""Training steps of several processes on one machine, and the same in one: what a test runs in each process."""

import multiprocessing

import torch
import torch.distributed as dist

from src.augment import AugmentPipe
from src.group import Group
from src.training.settings import StepSettings
from src.training.step import Batch, TrainingStep
from tests.scripts import IMPORTED
from tests.tiny import TINY_PX, make_tiny

BATCH = 16  # four groups of the discriminator
SETTINGS = StepSettings(
    augment_p=0.3,
    ada_kimg=0.2,
    pl_interval=2,
    r1_interval=4,
    ema_kimg=0.1,
    ema_rampup=0.05,
    eps=1e-4,  # Adam's steps follow signs: with 1e-8 a gradient of the size of rounding moves a weight as far as any
)


def make(group=Group(), rounds=1, classes=3, static=None):  # noqa: B008
    G, D = make_tiny(0, TINY_PX, c_dim=classes)
    pipe = AugmentPipe.preset("bgc", static=static)
    return TrainingStep(G, D, SETTINGS, batch_size=BATCH, augment=pipe, group=group, rounds=rounds, seed=3)


def reals(i, group, classes=3):
    """The pictures of iteration i that are a process's."""
    images = torch.randn([BATCH, 3, TINY_PX, TINY_PX], generator=torch.Generator().manual_seed(i))
    c = torch.eye(classes)[(torch.arange(BATCH) + i) % classes]
    return Batch(images[group.rank :: group.world], c[group.rank :: group.world])


def trained(step, start, stop):
    """Train from iteration `start` to `stop`.

    Returns:
        Gradients of the phases of the first iteration, statistics of all, the state after the last.
    """
    gradients, rows = {}, []

    def note(optimizer, *_):
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients[len(gradients)] = [p.grad.clone() for p in parameters]

    hooks = [optimizer.register_step_pre_hook(note) for optimizer in step.optimizers.values()]
    for i in range(start, stop):
        rows.append({name: value.clone() for name, value in step.run(reals(i, step.group), BATCH * i).items()})
        while hooks:
            hooks.pop().remove()
    step.settle()
    return {"gradients": gradients, "rows": rows, "state": step.state_dict()}


def in_processes(work, world, folder, *arguments):
    """Call `work(group, *arguments)` in processes that have joined; their results, by rank."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    (folder / "store").unlink(missing_ok=True)
    shared = (work, world, folder, arguments)
    processes = [context.Process(target=_process, args=(rank, *shared), daemon=True) for rank in range(world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(world)]


def _process(rank, work, world, folder, arguments):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=world)
    result = work(Group.joined(), *arguments)
    torch.save(result, folder / f"{rank}.pt")
    dist.destroy_process_group()
