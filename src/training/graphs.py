"""CUDA graphs of the training phases: each phase is captured once and replayed, instead of launched op by op.

At the sizes of this project launching the thousands of small kernels of an iteration takes as long as computing them.
A graph launches them all at once. It repeats exactly what was captured, at the same addresses, so

* a phase reads its batch from buffers that never move, and changes everything in place;
* nothing is read back to the host, and no shape or branch depends on data;
* random numbers come from a generator that the graph knows: its seed is set before each replay to what the eager path
  seeds its generator with, so both draw the same numbers;
* gradients are made anew inside the graph (a phase starts without any), and Adam counts its steps on the device;
* what no graph may hold (waiting for other processes) is done between two pieces, each a graph of its own.

The first runs of a phase are eager: they are real iterations, in which libraries initialise themselves, constants are
made and optimisers get their state. Then the phase is captured, which executes nothing, and replayed from there on.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ..errors import UserError
from .phases import Batch, Statistics

EAGER_RUNS = 3
Work = Callable[[Batch, torch.Generator], Statistics]


class Recorder(Protocol):
    """What captures and replays: CUDA, or a stand-in for it in tests."""

    def eager(self, work: Callable[[], Tensor]) -> Tensor:
        """Run work before its capture."""

    def capture(self, work: Callable[[], Tensor], generator: torch.Generator) -> tuple[Callable[[], None], Tensor]:
        """Capture work without executing it; returns what replays it, and the tensor in which its result appears."""

    def cut(self, step: Callable[[], object]) -> None:
        """End the piece that is being captured, have `step` done after it by each replay, and begin another."""


class CudaRecorder:
    """Captures with `torch.cuda.CUDAGraph`; all graphs share one pool of memory, as none needs another's results.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device | str) -> None:
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        self._cut: Callable[[Callable[[], object]], None]

    def eager(self, work: Callable[[], Tensor]) -> Tensor:
        """Run work on the stream that captures later, in order with the current stream."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def capture(self, work: Callable[[], Tensor], generator: torch.Generator) -> tuple[Callable[[], None], Tensor]:
        """Capture work; replays run on the stream that is current then.

        Raises:
            UserError: when CUDA refuses something in it.
        """
        steps: list[Callable[[], object]] = []
        try:
            with ExitStack() as capturing:

                def begin() -> None:
                    graph = torch.cuda.CUDAGraph()
                    graph.register_generator_state(generator)
                    # thread_local: loaders may pin memory in threads of their own meanwhile
                    capturing.enter_context(
                        torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local")
                    )
                    steps.append(graph.replay)

                def cut(step: Callable[[], object]) -> None:
                    capturing.close()
                    steps.append(step)
                    begin()

                self._cut = cut
                begin()
                result = work()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"a phase of training cannot be captured ({reason}): set trainer.graphs=false") from error

        def replay() -> None:
            for step in steps:
                step()

        return replay, result

    def cut(self, step: Callable[[], object]) -> None:
        """As `Recorder.cut`, while `capture` runs."""
        self._cut(step)


@dataclass
class _Captured:
    """One phase: its generator, how often it ran, and once captured what replays it."""

    generator: torch.Generator
    runs: int = 0
    names: list[str] = field(default_factory=list)
    replay: Callable[[], None] | None = None
    result: Tensor | None = None


class PhaseGraphs:
    """Runs phases: eagerly at first, then from graphs.

    Args:
        recorder: what captures.
        eager_runs: runs of a phase before its capture.
    """

    def __init__(self, recorder: Recorder, *, eager_runs: int = EAGER_RUNS) -> None:
        self.recorder, self.eager_runs = recorder, eager_runs
        self._held: Batch | None = None
        self._phases: dict[str, _Captured] = {}
        self._is_capturing = False

    @property
    def captured(self) -> list[str]:
        """Names of the phases that are replayed by now."""
        return [name for name, phase in self._phases.items() if phase.replay is not None]

    def forget(self) -> None:
        """Drop all graphs: the phases start eagerly again and are captured anew."""
        self._held = None
        self._phases = {}

    def hold(self, batch: Batch) -> Batch:
        """Copy a batch into the buffers that graphs read.

        Args:
            batch: of the same shape each time.

        Returns:
            The buffers.

        Raises:
            ValueError: for another shape, or classes where there were none.
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
        """Do `step`, now and whenever the phase runs, outside of any graph; the work of a phase calls this."""
        if self._is_capturing:
            self.recorder.cut(step)
        else:
            step()

    def run(self, name: str, work: Work, optimizer: torch.optim.Optimizer, batch: Batch, seed: int) -> Statistics:
        """Run a phase once.

        Args:
            name: of the phase.
            work: all of it, as a function of the held batch and a generator.
            optimizer: that it steps.
            batch: of `hold`.
            seed: of the random numbers of this run.

        Returns:
            Its statistics; they stay as they are when the phase runs again.
        """
        phase = self._phases.get(name)
        if phase is None:
            phase = self._phases[name] = _Captured(torch.Generator(batch.images.device))
            _count_steps_on_device(optimizer)
        phase.generator.manual_seed(seed)

        def packed() -> Tensor:
            stats = work(batch, phase.generator)
            phase.names = list(stats)
            return torch.stack([value.float() for value in stats.values()])

        if phase.replay is None:
            phase.runs += 1
            if phase.runs <= self.eager_runs:
                return _unpack(self.recorder.eager(packed), phase)
            optimizer.zero_grad(set_to_none=True)
            self._is_capturing = True
            phase.replay, phase.result = self.recorder.capture(packed, phase.generator)
            self._is_capturing = False
            optimizer.zero_grad(set_to_none=True)  # those of the graph: it alone needs them
        assert phase.result is not None
        phase.replay()
        return _unpack(phase.result.clone(), phase)


def _unpack(values: Tensor, phase: _Captured) -> Statistics:
    return dict(zip(phase.names, values.unbind(), strict=True))


def _count_steps_on_device(optimizer: torch.optim.Optimizer) -> None:
    """Let Adam be captured: the count of its steps, and what follows from it, stay on the device."""
    for group in optimizer.param_groups:
        group["capturable"] = all(p.device.type == "cuda" for p in group["params"])
    # its first steps are eager on purpose
    optimizer._warned_capturable_if_run_uncaptured = True  # type: ignore[attr-defined]
