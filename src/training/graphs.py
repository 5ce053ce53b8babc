"""CUDA graphs of the training phases, whose thousands of small kernels take as long to launch as to compute.

A phase reads its batch from buffers that never move. Its generator's seed is set before each replay to what the eager
path seeds its generator with, so both draw the same numbers. Gradients are made anew inside the graph (a phase starts
without any), and Adam counts its steps on the device.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..cuda_graphs import EAGER_RUNS, Recorder, Repeated
from .phases import Batch, Statistics

Work = Callable[[Batch, torch.Generator], Statistics]


@dataclass
class _Captured:
    """One phase, its generator, and the names of its statistics."""

    run: Repeated
    generator: torch.Generator
    names: list[str] = field(default_factory=list)


class PhaseGraphs:
    """Runs phases: `eager_runs` times eagerly, then from graphs."""

    def __init__(self, recorder: Recorder, *, eager_runs: int = EAGER_RUNS) -> None:
        self.recorder, self.eager_runs = recorder, eager_runs
        self._held: Batch | None = None
        self._phases: dict[str, _Captured] = {}

    @property
    def captured(self) -> list[str]:
        """Names of the phases that are replayed by now."""
        return [name for name, phase in self._phases.items() if phase.run.captured]

    def forget(self) -> None:
        """Drop all graphs: the phases start eagerly again and are captured anew."""
        self._held = None
        self._phases = {}

    def hold(self, batch: Batch) -> Batch:
        """Copy a batch into the buffers that graphs read, and return these.

        Raises:
            ValueError: for another shape than before, or classes where there were none.
        """
        if self._held is None:
            self._held = Batch(batch.images.clone(), None if batch.c is None else batch.c.clone())
            return self._held
        held = self._held
        shapes = [None if t is None else tuple(t.shape) for t in (*held, *batch)]
        if shapes[:2] != shapes[2:]:
            raise ValueError(f"captured for images and classes {shapes[:2]}, not {shapes[2:]}: trainer.graphs=false")
        held.images.copy_(batch.images)
        if held.c is not None and batch.c is not None:
            held.c.copy_(batch.c)
        return held

    def outside(self, step: Callable[[], object]) -> None:
        """Do `step` outside of any graph, now and whenever the phase whose work calls this runs."""
        self.recorder.outside(step)

    def run(self, name: str, work: Work, optimizer: torch.optim.Optimizer, batch: Batch, seed: int) -> Statistics:
        """Run a phase once: `work` is all of it, as a function of the held batch and a generator.

        Its statistics stay as they are when the phase runs again.
        """
        phase = self._phases.get(name)
        if phase is None:
            generator = torch.Generator(batch.images.device)
            run = Repeated(self.recorder, generator=generator, fresh=optimizer.zero_grad, eager_runs=self.eager_runs)
            phase = self._phases[name] = _Captured(run, generator)
            _count_steps_on_device(optimizer)
        phase.generator.manual_seed(seed)

        def packed() -> Tensor:
            stats = work(batch, phase.generator)
            phase.names = list(stats)
            return torch.stack([value.float() for value in stats.values()])

        values = phase.run(packed)  # it fills in the names
        return dict(zip(phase.names, values.unbind(), strict=True))


def _count_steps_on_device(optimizer: torch.optim.Optimizer) -> None:
    """Let Adam be captured: the count of its steps, and what follows from it, stay on the device."""
    for group in optimizer.param_groups:
        group["capturable"] = all(p.device.type == "cuda" for p in group["params"])
    # its first steps are eager on purpose
    optimizer._warned_capturable_if_run_uncaptured = True  # type: ignore[attr-defined]
