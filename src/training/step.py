"""One training iteration: walk the phases, draw, take the optimiser steps. Knows nothing of Lightning, Hydra, W&B.

Every random number comes from a generator seeded by `phase_seed(seed, nimg, phase)`. The work of a phase reads nothing
back from the device, so that `graphs` may capture it once and replay it.

A batch may be computed in parts: a process of a group has every world-th picture, and takes them in rounds. All numbers
are drawn for the whole batch, a part holds whole groups of the minibatch standard deviation, and gradients, statistics
and moments are averaged once a phase, in one piece. So the training is that of one process with the whole batch.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from ..augment import AdaController, AugmentPipe
from ..data import gaussian_blur
from ..draws import Draws
from ..group import ALONE, Group
from ..networks import FP32, Discriminator, Generator, Precision, computing_in
from .compiled import CompiledNetworks
from .ema import GeneratorEma
from .freezing import check_networks, trained_discriminator, trained_generator
from .graphs import PhaseGraphs
from .losses import d_main, d_r1, g_lengths, g_main, g_path_length, noise_maps
from .phases import LENGTH, W_MEAN, Batch, Phase, Statistics, build_phases
from .seeds import phase_seed, seeded_generator
from .settings import BLUR_REACH, StepSettings

__all__ = ["Batch", "Phase", "TrainingStep"]
RATES = ("lr", "betas", "eps")


class TrainingStep(nn.Module):
    """Generator, discriminator, their average and everything that changes with them."""

    pl_mean: Tensor

    def __init__(
        self,
        G: Generator,
        D: Discriminator,
        settings: StepSettings,
        *,
        batch_size: int = 8,  # real images an iteration, of all processes
        G_ema: Generator | None = None,  # where the average starts; None for a copy of `G`
        augment: AugmentPipe | None = None,  # in front of D
        source: Generator | None = None,  # frozen, for the structure loss: needed when its weight is not 0
        precision: Precision = FP32,  # of the main phases
        regularizer_precision: Precision = FP32,  # of path length and R1
        seed: int = 0,
        group: Group = ALONE,
        rounds: int = 1,  # into which a process divides its pictures
    ) -> None:
        super().__init__()
        self.G, self.D, self.settings, self.seed, self.group, self.rounds = G, D, settings, seed, group, rounds
        self.batch_size = batch_size
        self.precisions = {"main": precision, "reg": regularizer_precision}
        self.augment = augment
        self.ada: AdaController | None = None
        if augment is not None:
            augment.p.fill_(settings.augment_p)
            self.ada = AdaController(
                target=settings.ada_target,
                adjust_kimg=settings.ada_kimg,
                interval=settings.ada_interval,
                initial_p=settings.augment_p,
                device=G.mapping.w_avg.device,
            )
        self.ema = GeneratorEma(
            G if G_ema is None else G_ema, half_life_kimg=settings.ema_kimg, rampup=settings.ema_rampup
        )
        self.G_ema = self.ema.module
        self.register_buffer("pl_mean", torch.zeros([]))
        self._source = [source]  # in a list: not a submodule, so not in checkpoints
        self._trained = {"G": trained_generator(G, settings), "D": trained_discriminator(D, settings)}
        check_networks(G, D, settings, source)
        objectives = {"G_main": self._g_main, "G_reg": self._g_reg, "D_main": self._d_main, "D_reg": self._d_reg}
        self.phases = build_phases(settings, self._trained, objectives)
        self._whole_length: Tensor | None = None
        self.graphs: PhaseGraphs | None = None  # replays phases; None (the reference) runs them op by op
        self.compiled: CompiledNetworks | None = None  # for the main phases; None (the reference): eager
        self.labelled: Callable[[str], AbstractContextManager[Any]] = record_function  # entered with each phase's name
        for optimizer in self.optimizers.values():
            optimizer.register_load_state_dict_post_hook(self._optimizer_loaded)

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The two optimisers by network name."""
        return {phase.network: phase.optimizer for phase in self.phases}

    @property
    def source(self) -> Generator | None:
        """The frozen generator that the structure loss compares with."""
        return self._source[0]

    def run(self, batch: Batch, nimg: int) -> Statistics:
        """Take one iteration with this process's reals, after `nimg` real images.

        Returns:
            Statistics as detached scalars: `loss/G`, `loss/D`, … of the phases that ran.
        """
        stats: Statistics = {}
        size = batch.images.shape[0] * self.group.world
        if self.graphs is not None:
            batch = self.graphs.hold(batch)
        for phase in self.phases:
            if (nimg // size) % phase.interval == 0:
                stats |= self._run_phase(phase, batch, nimg)
        with self.labelled("ema"):
            self.ema.update(self.G, nimg, size)
        if self.ada is not None and self.augment is not None:
            self.ada.count(size)
            if self.ada.end_batch(size, self.group.sum_):
                self.augment.p.copy_(self.ada.p)
        return stats

    def settle(self) -> None:
        """Make the state of the group's first process that of all; every process calls it before a state is saved."""
        if self.ada is not None:
            self.ada.settle(self.group.sum_, holds=self.group.is_first)

    def _run_phase(self, phase: Phase, batch: Batch, nimg: int) -> Statistics:
        with self.labelled(phase.name):
            if self.graphs is not None:
                seed = phase_seed(self.seed, nimg, phase.name)
                return self.graphs.run(phase.name, partial(self._optimize, phase), phase.optimizer, batch, seed)
            generator = seeded_generator(self.seed, nimg, phase.name, batch.images.device)
            return self._optimize(phase, batch, generator)

    def _optimize(self, phase: Phase, batch: Batch, generator: torch.Generator) -> Statistics:
        """The work of a phase, all of it on the device: gradients of its loss, one step of its optimiser."""
        trained = self._trained[phase.network]
        for parameter in trained:
            parameter.requires_grad_(True)
        phase.optimizer.zero_grad(set_to_none=True)
        precision = self.precisions[phase.kind]
        with computing_in(precision, self.G.synthesis, self.D):
            self._whole_length = self._length_in_rounds(batch, generator) if phase.name == "G_reg" else None
            told = []
            for part, draws in self._parts(batch, generator):
                loss, stats = phase.objective(part, draws)
                weight = phase.interval / self.rounds
                (loss * weight if weight != 1 else loss).backward(inputs=trained)
                told.append(stats)
        stats = {name: torch.stack([each[name] for each in told]).mean(dim=0) for name in stats} if told[1:] else stats
        if self.group.world > 1:
            self._average([p.grad for p in trained if p.grad is not None] + list(stats.values()))
        if precision.name == "fp16":
            _replace_overflows(trained)
        with record_function("optimizer"):
            phase.optimizer.step()
        for parameter in trained:
            parameter.requires_grad_(False)
        self._move(stats)
        return stats

    def _parts(self, batch: Batch, generator: torch.Generator) -> Iterator[tuple[Batch, Draws]]:
        """The rounds of a phase: the pictures of each, and its numbers out of those of the whole batch."""
        world, rounds = self.group.world, self.rounds
        for i in range(rounds):
            if i > 0:
                self._outside(lambda: generator.manual_seed(generator.initial_seed()))
            part = batch if rounds == 1 else Batch(*(None if t is None else t[i::rounds] for t in batch))  # type: ignore[arg-type]
            yield part, Draws(generator, self.group.rank + world * i, world * rounds)

    def _average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their means over the processes, in one piece."""
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        self._outside(lambda: self.group.sum_(flat))
        means = (flat / self.group.world).split([tensor.numel() for tensor in tensors])
        torch._foreach_copy_(tensors, [mean.view_as(tensor) for mean, tensor in zip(means, tensors, strict=True)])

    def _outside(self, step: Callable[[], Any]) -> None:
        """Do what no graph may hold, between two pieces of one where the phase is captured.

        A collective in a graph is one that nobody watches: were a process gone, the others would wait for ever.
        """
        if self.graphs is None:
            step()
        else:
            self.graphs.outside(step)

    def _length_in_rounds(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """The mean path length of the whole batch, which the first round must know; None where there is but one."""
        if self.rounds == 1:
            return None
        means = [
            g_lengths(self.G, part, self.settings, draws).detach().mean()
            for part, draws in self._parts(batch, generator)
        ]
        self._outside(lambda: generator.manual_seed(generator.initial_seed()))
        return self._of_all(torch.stack(means).mean())

    def _whole(self, mean: Tensor) -> Tensor:
        """The mean over the whole batch, of that over this process's pictures, or over a round's."""
        return self._of_all(mean) if self._whole_length is None else self._whole_length

    def _of_all(self, mean: Tensor) -> Tensor:
        """The mean over the pictures of all processes, of that over this one's."""
        if self.group.world > 1:
            self._average([mean])
        return mean

    def _move(self, stats: Statistics) -> None:
        """Move what follows moments of the batch: w_avg, the mean path length."""
        if W_MEAN in stats:
            self.G.mapping.update_w_avg(stats.pop(W_MEAN)[None], self.settings.w_avg_beta)
        if LENGTH in stats:
            self.pl_mean.lerp_(stats.pop(LENGTH), self.settings.pl_decay)

    # ---- what the phases minimise

    def _g_main(self, batch: Batch, draws: Draws) -> tuple[Tensor, Statistics]:
        return g_main(self.G, batch, self.settings, draws, self._synthesize, self._discriminate, self.source)

    def _g_reg(self, batch: Batch, draws: Draws) -> tuple[Tensor, Statistics]:
        return g_path_length(self.G, batch, self.settings, draws, self.pl_mean, self._whole)

    def _d_main(self, batch: Batch, draws: Draws) -> tuple[Tensor, Statistics]:
        return d_main(self.G, batch, self.settings, draws, self._synthesize, self._discriminate, self.ada)

    def _d_reg(self, batch: Batch, draws: Draws) -> tuple[Tensor, Statistics]:
        return d_r1(batch, self.settings, draws, self._discriminate_eagerly)

    def _synthesize(self, ws: Tensor, draws: Draws) -> Tensor:
        maps = noise_maps(self.G, len(ws), draws)
        return self.G.synthesis(ws, noise=maps) if self.compiled is None else self.compiled.synthesize(ws, maps)

    def _discriminate(self, images: Tensor, c: Tensor | None, draws: Draws, batches: int = 1) -> Tensor:
        if self.compiled is not None:
            return self.compiled.discriminate(self._shown(images, draws), c, batches)
        return self._discriminate_eagerly(images, c, draws, batches)

    def _discriminate_eagerly(self, images: Tensor, c: Tensor | None, draws: Draws, batches: int = 1) -> Tensor:
        return self.D(self._shown(images, draws), c, batches=batches)

    def _shown(self, images: Tensor, draws: Draws) -> Tensor:
        """What D sees of images: blurred (as early in StyleGAN3, arXiv 2106.12423), then augmented."""
        if self.settings.blur_px > 0:
            images = gaussian_blur(images, self.settings.blur_px, reach=BLUR_REACH, edges="reflect")
        return images if self.augment is None else self.augment(images, generator=draws)

    # ---- state besides parameters and buffers

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TrainingStep":
        """Move (or cast) what is no submodule along with the networks."""
        super()._apply(fn, recurse)
        if self.ada is not None:
            self.ada.apply(fn)
        if self.source is not None:
            self.source._apply(fn)
        self._forget_graphs()
        return self

    def get_extra_state(self) -> dict[str, Tensor]:
        """State of the ADA controller, for the checkpoint."""
        return {} if self.ada is None else self.ada.state_dict()

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore the ADA controller; a fork's state may be of a run that had none, or that moved a p now fixed."""
        if self.ada is None or self.augment is None or not state:
            return
        self.ada.load_state_dict(state)
        self.ada.settle(lambda _: None, holds=self.group.is_first)
        if self.ada.target is None:
            self.ada.p.fill_(self.settings.augment_p)
        self.augment.p.copy_(self.ada.p)

    def _optimizer_loaded(self, optimizer: torch.optim.Optimizer) -> None:
        """A state may come from a run with graphs or without, or with other rates: this run decides."""
        for group in optimizer.param_groups:
            group |= {name: value for name, value in optimizer.defaults.items() if name in RATES}
            group["capturable"] = False  # `PhaseGraphs` sets it again
        self._forget_graphs()

    def _forget_graphs(self) -> None:
        """Tensors have moved or optimisers have new state: captured phases would write to the old ones."""
        if self.graphs is not None:
            self.graphs.forget()


def _replace_overflows(parameters: list[nn.Parameter]) -> None:
    """float16 gradients overflow now and then; such elements are replaced (StyleGAN2-ADA) and the step is taken."""
    for parameter in parameters:
        if parameter.grad is not None:
            torch.nan_to_num(parameter.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=parameter.grad)
