"""The optimisation of a projection: a batch of pictures whose steps are taken together, each with a clock of its own.

All that belongs to a picture is a row of a tensor, and a step reads nothing back, so that on a CUDA device one graph
launches it. There the host looks at the clocks once in a while; on a processor after each step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from ..cuda_graphs import Recorder, Repeated
from ..device import send
from ..networks import Generator, Precision, computing_in
from .noise_maps import normalize_, not_noise
from .perceptual import Distance
from .schedule import ProjectionSettings, descent_start, learning_rate, noise_scale, noise_unit

STRIDE = 16  # steps on a CUDA device from one look to the next
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class Frame:
    """What all pictures of a projection share.

    `w_avg` is the mean of W `[w_dim]`, `w_std` the standard deviation of a component; `recorder` captures a step, None
    takes steps op by op.
    """

    def __init__(
        self,
        G: Generator,
        settings: ProjectionSettings,
        distance: Distance,
        w_avg: Tensor,
        w_std: Tensor,
        recorder: Recorder | None = None,
    ) -> None:
        self.G, self.settings, self.distance = G, settings, distance
        self.w_avg, self.w_std, self.recorder = w_avg, w_std, recorder
        self.num_codes = G.num_ws if settings.space == "w+" else 1
        unit, clocks = noise_unit(settings, G.w_dim, G.num_ws), range(settings.steps + 1)
        #: By clock (the last is that of a finished picture): learning rate, scale of the noise. By steps taken: what
        #: Adam's running means are divided by.
        tables = [
            [learning_rate(clock, settings) for clock in clocks],
            [unit * noise_scale(clock, settings) for clock in clocks],
            [1 - BETA1 ** (taken + 1) for taken in clocks],
            [1 - BETA2 ** (taken + 1) for taken in clocks],
        ]
        self.rates, self.scales, self.first, self.second = send(torch.tensor(tables), w_avg.device).unbind()

    def render(self, codes: Tensor, noise: str | list[Tensor]) -> Tensor:
        """Images `[N, 3, H, W]` of codes `[N, 1 or L, w_dim]`."""
        with computing_in(Precision(self.settings.precision), self.G.synthesis):
            return self.G.synthesis(codes.expand(-1, self.G.num_ws, -1), noise=noise)


@dataclass(frozen=True)
class Found:
    """A picture at the end of its way: codes `[1 or L, w_dim]`, noise maps `[1, r, r]`, steps taken."""

    codes: Tensor
    maps: list[Tensor]
    steps: int


class Descent:
    """Pictures on their way.

    They are `described` by the frame's distance. The first codes are `[n, 1 or L, w_dim]`, the first noise maps `[n, 1,
    r, r]` a convolution, or none where they are not optimised; `generators` are the pictures' own, on the host, of the
    noise on codes.
    """

    def __init__(
        self,
        frame: Frame,
        described: list[Tensor],
        codes: Tensor,
        maps: list[Tensor],
        generators: Sequence[torch.Generator],
    ) -> None:
        n, device = len(codes), codes.device
        self.frame, self.stride = frame, 1 if frame.recorder is None else STRIDE
        self._generators, self._described = list(generators), list(described)
        self._variables = [v.detach().clone().requires_grad_(True) for v in (codes, *maps)]
        self._means, self._squares = ([torch.zeros_like(v) for v in self._variables] for _ in range(2))
        self._clock, self._taken = (torch.zeros([n], dtype=torch.int64, device=device) for _ in range(2))
        window = 2 * (frame.settings.patience or 0)
        self._history = torch.zeros([n, window], dtype=torch.float64, device=device)  # of distances, the newest last
        self._noise = torch.zeros([self.stride, *codes.shape], device=device)  # of the steps up to the next look
        self._turn = torch.zeros([1], dtype=torch.int64, device=device)  # which of them is next
        self._places, self._clocks = list(range(n)), [0] * n
        self._repeated = self._new_graph()

    def run(self, bar: tqdm) -> list[Found]:
        """Go on until every picture is done; what was found of each, in order."""
        settings, found = self.frame.settings, {}
        while self._places:
            left = settings.steps - min(self._clocks)
            self.advance(min(self.stride, left))
            before, (self._clocks, taken) = sum(self._clocks), self._look(min(self.stride, left))
            bar.update(sum(self._clocks) - before)
            done = [i for i, clock in enumerate(self._clocks) if clock >= settings.steps]
            for i in done:
                codes, *maps = (v.detach()[i] for v in self._variables)
                found[self._places[i]] = Found(codes, maps, taken[i])
            if done:
                self._keep([i for i in range(len(self._places)) if i not in done])
        return [found[place] for place in sorted(found)]

    def advance(self, steps: int) -> Tensor:
        """Take so many steps (at most `stride`); the pictures' distances before the last of them, `[n]`."""
        shape = [steps, *self._noise.shape[2:]]
        drawn = torch.stack([torch.randn(shape, generator=g) for g in self._generators], dim=1)
        self._noise[:steps].copy_(send(drawn, self._noise.device))
        self._turn.zero_()
        for _ in range(steps):
            distances = self._step() if self._repeated is None else self._repeated(self._step)
        return distances

    def _step(self) -> Tensor:
        """One step of each picture; returns their distances `[n]`. The same work each time, all of it in place."""
        frame, settings = self.frame, self.frame.settings
        self._let_go()
        codes, *maps = self._variables
        noise = self._noise.index_select(0, self._turn)[0]
        scales = frame.scales.index_select(0, self._clock)[:, None, None]
        images = frame.render(codes + noise * frame.w_std * scales, maps or "const")
        distances = frame.distance.compare(images, self._described)
        far = ((codes - frame.w_avg) / frame.w_std).square().mean(dim=(1, 2))
        losses = distances + settings.code_weight * far
        if maps:
            losses = losses + settings.noise_weight * not_noise(maps)
        losses.sum().backward()  # a sum, not a mean: a picture's gradient does not depend on how many there are
        with torch.no_grad():
            self._adam()
            normalize_(maps)
            self._tick(distances)
        return distances.detach()

    def _adam(self) -> None:
        """Adam (arXiv 1412.6980, Algorithm 1) with a learning rate for each picture."""
        frame = self.frame
        first, second = (table.index_select(0, self._taken) for table in (frame.first, frame.second))
        rates, roots = frame.rates.index_select(0, self._clock) / first, second.sqrt()
        for variable, mean, square in zip(self._variables, self._means, self._squares, strict=True):
            shape, grad = [-1, *[1] * (variable.ndim - 1)], variable.grad
            assert grad is not None
            mean.lerp_(grad, 1 - BETA1)
            square.mul_(BETA2).addcmul_(grad, grad, value=1 - BETA2)
            variable.sub_(rates.view(shape) * mean / (square.sqrt() / roots.view(shape) + EPS))

    def _tick(self, distances: Tensor) -> None:
        """Move the clocks on by a step, or on a plateau to the final descent."""
        settings, clock = self.frame.settings, self._clock
        moving = clock < settings.steps
        clock.add_(moving)
        self._taken.add_(moving)
        self._turn.add_(1)
        if settings.patience is not None:
            self._history.copy_(torch.cat([self._history[:, 1:], distances[:, None].double()], dim=1))
            earlier, recent = self._history.unflatten(1, (2, settings.patience)).sum(dim=2).unbind(1)
            known = (self._taken >= 2 * settings.patience) & (clock < descent_start(settings))
            clock.masked_fill_(known & (recent > (1 - settings.plateau) * earlier), descent_start(settings))

    def _look(self, steps: int) -> tuple[list[int], list[int]]:
        """The clocks, and the steps that each picture has taken; a wait where the pictures decide."""
        if self.frame.settings.patience is None:
            clocks = [clock + steps for clock in self._clocks]
            return clocks, clocks
        clocks, taken = torch.stack([self._clock, self._taken]).tolist()
        return clocks, taken

    def _keep(self, rows: list[int]) -> None:
        """Go on with some of the pictures."""
        chosen = send(torch.tensor(rows, dtype=torch.int64), self._clock.device)
        self._variables = [v.detach()[chosen].requires_grad_(True) for v in self._variables]
        self._means, self._squares, self._described = (
            [t[chosen] for t in tensors] for tensors in (self._means, self._squares, self._described)
        )
        self._clock, self._taken, self._history = (t[chosen] for t in (self._clock, self._taken, self._history))
        self._noise = self._noise[:, chosen]
        self._places, self._clocks = ([values[i] for i in rows] for values in (self._places, self._clocks))
        self._generators = [self._generators[i] for i in rows]
        self._repeated = self._new_graph()

    def _new_graph(self) -> Repeated | None:
        """Tensors have moved: a graph of the old ones would go on with them."""
        recorder = self.frame.recorder
        return None if recorder is None else Repeated(recorder, fresh=self._let_go)

    def _let_go(self) -> None:
        for variable in self._variables:
            variable.grad = None
