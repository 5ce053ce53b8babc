"""One training iteration: walk the phases, draw, take the optimiser steps. Knows nothing of Lightning, Hydra, W&B.

A phase is `(name, network, interval, optimiser, loss)`. Lazy regularisation (arXiv 1912.04958, Sec. 3.1) is a phase
that runs every `interval`-th iteration with its loss multiplied by `interval`. Every random number comes from
`seeded_generator(seed, nimg, rank, phase)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..networks import FP32, Discriminator, Generator, Precision, computing_in
from .ada import AdaController
from .augment import AugmentPipe
from .draws import seeded_generator
from .ema import GeneratorEma
from .losses import discriminator_loss, generator_loss, path_lengths, r1_penalty, structure_loss
from .settings import StepSettings


class Batch(NamedTuple):
    """Reals of one iteration: `images` float32 `[N, 3, H, W]` in [-1, 1], one-hot `c` `[N, c_dim]` or None."""

    images: Tensor
    c: Tensor | None


@dataclass(frozen=True)
class Phase:
    """One optimiser step of an iteration; `loss(batch, generator)` returns a scalar and fills the statistics."""

    name: str
    network: str
    interval: int
    optimizer: torch.optim.Optimizer
    loss: Callable[[Batch, torch.Generator], Tensor]


class TrainingStep(nn.Module):
    """Generator, discriminator, their average and everything that changes with them.

    Args:
        G: generator to train.
        D: discriminator to train.
        settings: loss weights, intervals, optimisers, what to freeze.
        batch_size: real images an iteration.
        G_ema: where the average starts; None for a copy of `G`.
        augment: the pipe in front of D, or None.
        source: the frozen generator that the structure loss compares with; needed when its weight is not 0.
        precision: in which the main phases compute.
        regularizer_precision: in which path length and R1 compute.
        seed: of the run.
        rank: of this process.

    Raises:
        UserError: when a setting does not fit the networks.
    """

    pl_mean: Tensor

    def __init__(
        self,
        G: Generator,
        D: Discriminator,
        settings: StepSettings,
        *,
        batch_size: int = 8,
        G_ema: Generator | None = None,
        augment: AugmentPipe | None = None,
        source: Generator | None = None,
        precision: Precision = FP32,
        regularizer_precision: Precision = FP32,
        seed: int = 0,
        rank: int = 0,
    ) -> None:
        super().__init__()
        self.G, self.D, self.settings, self.seed, self.rank = G, D, settings, seed, rank
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
        self._stats: dict[str, Tensor] = {}
        self._trained = {"G": _trained_generator(G, settings), "D": _trained_discriminator(D, settings)}
        _check(G, D, settings, source)
        self.phases = self._build_phases()

    def _build_phases(self) -> list[Phase]:
        s = self.settings
        main = {"G": self._g_main, "D": self._d_main}
        regularizer = {"G": self._g_path_length, "D": self._d_r1}
        weight = {"G": s.pl_weight, "D": s.r1_gamma}
        interval = {"G": s.pl_interval, "D": s.r1_interval}
        lr = {"G": s.lr_g, "D": s.lr_d}
        phases = []
        for network in ("G", "D"):
            # Lazy regularisation takes (k + 1) / k optimiser steps an iteration: Adam is slowed by that ratio.
            ratio = interval[network] / (interval[network] + 1) if weight[network] > 0 else 1.0
            optimizer = torch.optim.Adam(
                self._trained[network],
                lr=lr[network] * ratio,
                betas=(s.beta1**ratio if s.beta1 > 0 else 0.0, s.beta2**ratio),
                eps=s.eps,
                fused=True,
            )
            phases.append(Phase(f"{network}_main", network, 1, optimizer, main[network]))
            if weight[network] > 0:
                phases.append(Phase(f"{network}_reg", network, interval[network], optimizer, regularizer[network]))
        return phases

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The two optimisers by network name."""
        return {phase.network: phase.optimizer for phase in self.phases}

    def run(self, batch: Batch, nimg: int) -> dict[str, Tensor]:
        """Take one iteration.

        Args:
            batch: reals.
            nimg: real images shown before this iteration.

        Returns:
            Statistics as detached scalars: `loss/G`, `loss/D`, … of the phases that ran.
        """
        self._stats = {}
        iteration = nimg // batch.images.shape[0]
        for phase in self.phases:
            if iteration % phase.interval == 0:
                self._run_phase(phase, batch, nimg)
        self.ema.update(self.G, nimg, batch.images.shape[0])
        if self.ada is not None and self.augment is not None and self.ada.end_batch(batch.images.shape[0]):
            self.augment.p.copy_(self.ada.p)
        return self._stats

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TrainingStep":
        """Move (or cast) what is no submodule along with the networks."""
        super()._apply(fn, recurse)
        if self.ada is not None:
            self.ada.apply(fn)
        if self._source[0] is not None:
            self._source[0]._apply(fn)
        return self

    def get_extra_state(self) -> dict[str, Tensor]:
        """State of the ADA controller, for the checkpoint."""
        return {} if self.ada is None else self.ada.state_dict()

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore the ADA controller."""
        if self.ada is not None:
            self.ada.load_state_dict(state)

    def _run_phase(self, phase: Phase, batch: Batch, nimg: int) -> None:
        generator = seeded_generator(self.seed, nimg, self.rank, phase.name, batch.images.device)
        for parameter in self._trained[phase.network]:
            parameter.requires_grad_(True)
        phase.optimizer.zero_grad(set_to_none=True)
        precision = self.precisions[phase.name.split("_")[1]]
        with computing_in(precision, self.G.synthesis, self.D):
            loss = phase.loss(batch, generator)
        (loss * phase.interval if phase.interval > 1 else loss).backward()
        if precision.name == "fp16":
            _replace_overflows(self._trained[phase.network])
        phase.optimizer.step()
        for parameter in self._trained[phase.network]:
            parameter.requires_grad_(False)

    # ---- the four losses

    def _g_main(self, batch: Batch, generator: torch.Generator) -> Tensor:
        n = batch.images.shape[0]
        ws = self._codes(n, batch.c, generator)
        self.G.mapping.update_w_avg(ws[:, 0], self.settings.w_avg_beta)
        level = self.settings.structure_resolution
        source = self._source[0]
        structure: Tensor | None = None
        if self.settings.structure_weight > 0 and source is not None:
            low = self.G.synthesis.run_blocks(ws, stop=level, noise="random", generator=generator)
            with torch.no_grad():
                reference = source.synthesis.run_blocks(ws, stop=level, noise="none")
            assert low.rgb is not None and reference.rgb is not None
            structure = structure_loss(low.rgb, reference.rgb)
            state = self.G.synthesis.run_blocks(ws, 2 * level, None, low, noise="random", generator=generator)
            assert state.rgb is not None
            images = state.rgb
        else:
            images = self.G.synthesis(ws, noise="random", generator=generator)
        logits = self._discriminate(images, batch.c, generator)
        loss = generator_loss(logits)
        self._note("loss/G", loss)
        if structure is not None:
            self._note("loss/structure", structure)
            loss = loss + self.settings.structure_weight * structure
        return loss

    def _g_path_length(self, batch: Batch, generator: torch.Generator) -> Tensor:
        n = max(batch.images.shape[0] // self.settings.pl_batch_shrink, 1)
        c = None if batch.c is None else batch.c[:n]
        ws = self._codes(n, c, generator)
        if not ws.requires_grad:  # the mapping network is frozen
            ws = ws.detach().requires_grad_(True)
        images = self.G.synthesis(ws, noise="random", generator=generator)
        noise = torch.randn(images.shape, device=images.device, generator=generator)
        lengths = path_lengths(images, ws, noise)
        mean = self.pl_mean.lerp(lengths.mean(), self.settings.pl_decay)
        self.pl_mean.copy_(mean.detach())
        penalty = (lengths - mean).square().mean()
        self._note("loss/path_length", penalty)
        return self.settings.pl_weight * penalty

    def _d_main(self, batch: Batch, generator: torch.Generator) -> Tensor:
        with torch.no_grad():
            ws = self._codes(batch.images.shape[0], batch.c, generator)
            fakes = self.G.synthesis(ws, noise="random", generator=generator)
        fake_logits = self._discriminate(fakes, batch.c, generator)
        real_logits = self._discriminate(batch.images, batch.c, generator)
        if self.ada is not None:
            self.ada.observe(real_logits.detach())
        loss = discriminator_loss(real_logits, fake_logits)
        self._note("loss/D", loss)
        self._note("logits/real", real_logits.mean())
        self._note("logits/fake", fake_logits.mean())
        return loss

    def _d_r1(self, batch: Batch, generator: torch.Generator) -> Tensor:
        images = batch.images.detach().requires_grad_(True)
        penalty = r1_penalty(self._discriminate(images, batch.c, generator), images).mean()
        self._note("loss/r1", penalty)
        return 0.5 * self.settings.r1_gamma * penalty

    # ---- pieces

    def _codes(self, n: int, c: Tensor | None, generator: torch.Generator) -> Tensor:
        """Style codes `[n, L, w_dim]` with style mixing (arXiv 1812.04948, Sec. 3.1)."""
        device = self.pl_mean.device
        mapping, num_ws = self.G.mapping, self.G.num_ws
        z = torch.randn([2, n, self.G.z_dim], device=device, generator=generator)
        chance, place = torch.rand([2], device=device, generator=generator)
        if self.settings.style_mixing_prob == 0:
            return mapping(z[0], c)
        both = None if c is None else torch.cat([c, c])
        first, second = mapping.map(z.flatten(0, 1), both).chunk(2)
        # the first `cutoff` codes come from the first latent, the rest from the second; no mixing: all of them
        cutoff = 1 + torch.floor(place * (num_ws - 1))
        mixed = (chance < self.settings.style_mixing_prob) & (torch.arange(num_ws, device=device) >= cutoff)
        return torch.where(mixed[None, :, None], second[:, None], first[:, None])

    def _discriminate(self, images: Tensor, c: Tensor | None, generator: torch.Generator) -> Tensor:
        if self.augment is not None:
            images = self.augment(images, generator=generator)
        return self.D(images, c)

    def _note(self, name: str, value: Tensor) -> None:
        self._stats[name] = value.detach()


def _replace_overflows(parameters: list[nn.Parameter]) -> None:
    """float16 gradients overflow now and then; such elements are replaced (StyleGAN2-ADA) and the step is taken."""
    for parameter in parameters:
        if parameter.grad is not None:
            torch.nan_to_num(parameter.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=parameter.grad)


def _trained_generator(G: Generator, settings: StepSettings) -> list[nn.Parameter]:
    """FreezeG: leave out the mapping network, the synthesis blocks up to a resolution."""
    frozen: set[nn.Parameter] = set()
    if settings.freeze_mapping:
        frozen.update(G.mapping.parameters())
    for r in G.synthesis.resolutions:
        if r <= settings.freeze_g_resolution:
            frozen.update(G.synthesis.block(r).parameters())
    G.requires_grad_(False)
    return [p for p in G.parameters() if p not in frozen]


def _trained_discriminator(D: Discriminator, settings: StepSettings) -> list[nn.Parameter]:
    """FreezeD (arXiv 2002.10964): leave out the `freeze_d` layers nearest to the image."""
    layers = [m for r in D.block_resolutions for m in D.get_submodule(f"b{r}").children()]
    if settings.freeze_d > len(layers):
        raise UserError(f"loss.freeze_d={settings.freeze_d}: this discriminator has {len(layers)} layers to freeze")
    frozen = {p for layer in layers[: settings.freeze_d] for p in layer.parameters()}
    D.requires_grad_(False)
    return [p for p in D.parameters() if p not in frozen]


def _check(G: Generator, D: Discriminator, settings: StepSettings, source: Generator | None) -> None:
    if G.resolution != D.resolution or G.c_dim != D.c_dim:
        raise UserError(
            f"generator ({G.resolution} px, {G.c_dim} classes) and discriminator ({D.resolution} px, {D.c_dim}) "
            "do not belong together"
        )
    for name, value in (
        ("loss.freeze_g_resolution", settings.freeze_g_resolution),
        ("loss.structure_resolution", settings.structure_resolution if settings.structure_weight > 0 else 0),
    ):
        if value and (value not in G.synthesis.resolutions or value >= G.resolution):
            raise UserError(f"{name}={value}: must be one of {G.synthesis.resolutions[:-1]}")
    if settings.structure_weight > 0 and source is None:
        raise UserError("loss.structure_weight needs a pretrained network to compare with: give pretrained=...")
    if settings.structure_weight > 0 and G.synthesis.architecture != "skip":
        raise UserError(
            f"loss.structure_weight compares the RGB of a low resolution, which a {G.synthesis.architecture} generator "
            "does not have: set it to 0"
        )
