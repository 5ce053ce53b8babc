"""CUDA graphs: work that is the same each time is captured once and replayed, instead of launched op by op.

A graph launches thousands of small kernels at once. It repeats exactly what was captured, at the same addresses: such
work changes everything in place, reads nothing back to the host, and has no shape or branch that depends on data. What
it reads lies in tensors that never move, and its random numbers come from a generator that the graph knows. What no
graph may hold, such as waiting for other processes, is done between two pieces of the work, each a graph of its own.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import torch
from torch import Tensor

from .errors import UserError, lacking_memory

EAGER_RUNS = 3


class Recorder(Protocol):
    """What captures and replays: CUDA, or a stand-in for it in tests."""

    def eager(self, work: Callable[[], Tensor]) -> Tensor:
        """Run work before its capture."""

    def capture(
        self, work: Callable[[], Tensor], generator: torch.Generator | None
    ) -> tuple[Callable[[], None], Tensor]:
        """Capture work without executing it; returns what replays it, and the tensor in which its result appears."""

    def outside(self, step: Callable[[], object]) -> None:
        """Do `step`, which no graph may hold: now, or, called by work that is being captured, at each replay."""


class CudaRecorder:
    """Captures with `torch.cuda.CUDAGraph`; all graphs share one pool of memory, as none needs another's results.

    `otherwise` is what a user can do where CUDA refuses to capture.
    """

    def __init__(self, device: torch.device | str, *, otherwise: str) -> None:
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        self.otherwise = otherwise
        self._cut: Callable[[Callable[[], object]], None] | None = None  # while work is being captured

    def eager(self, work: Callable[[], Tensor]) -> Tensor:
        """Run work on the stream that captures later, in order with the current stream."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def capture(
        self, work: Callable[[], Tensor], generator: torch.Generator | None
    ) -> tuple[Callable[[], None], Tensor]:
        """Capture work; replays run on the stream that is current then."""
        steps: list[Callable[[], object]] = []
        try:
            with ExitStack() as capturing:

                def begin() -> None:
                    graph = torch.cuda.CUDAGraph()
                    if generator is not None:
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
            if lacking_memory(error):
                raise
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"this work cannot be captured in a CUDA graph ({reason}): {self.otherwise}") from error
        finally:
            self._cut = None

        def replay() -> None:
            for step in steps:
                step()

        return replay, result

    def outside(self, step: Callable[[], object]) -> None:
        """As `Recorder` says: the piece that is being captured ends, and another begins."""
        if self._cut is None:
            step()
        else:
            self._cut(step)


class Repeated:
    """Work that is run many times: op by op at first, then from a graph.

    The first runs are real ones, in which libraries initialise themselves, constants are made and states get their
    tensors. Then the work is captured, which executes nothing, and replayed from there on.

    Args:
        recorder: what captures.
        generator: from which the work draws; None for work that draws nothing.
        fresh: lets go of tensors that the graph is to make by itself (gradients); called about the capture.
        eager_runs: runs before the capture.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        generator: torch.Generator | None = None,
        fresh: Callable[[], object] = lambda: None,
        eager_runs: int = EAGER_RUNS,
    ) -> None:
        self.generator = generator
        self._recorder, self._fresh, self._eager_runs = recorder, fresh, eager_runs
        self._runs = 0
        self._captured: tuple[Callable[[], None], Tensor] | None = None

    @property
    def captured(self) -> bool:
        """Whether it is replayed by now."""
        return self._captured is not None

    def __call__(self, work: Callable[[], Tensor]) -> Tensor:
        """Run once, the same work each time; its result stays as it is when the work runs again."""
        if self._captured is None:
            self._runs += 1
            if self._runs <= self._eager_runs:
                return self._recorder.eager(work)
            self._fresh()
            self._captured = self._recorder.capture(work, self.generator)
            self._fresh()  # those of the graph: it alone needs them
        replay, result = self._captured
        replay()
        return result.clone()


class RepeatedOn:
    """A function of tensors, called many times: op by op at first, then from a graph that reads tensors of its own.

    Calls with other shapes than the first one's go op by op. `function` is the same work each time, as `Repeated` asks.
    """

    def __init__(self, recorder: Recorder, function: Callable[..., Tensor]) -> None:
        self.function, self._repeated = function, Repeated(recorder)
        self._held: list[Tensor] | None = None

    @property
    def captured(self) -> bool:
        """Whether it is replayed by now."""
        return self._repeated.captured

    def __call__(self, *given: Tensor) -> Tensor:
        """Call once; the result stays as it is when it is called again."""
        if self._held is None:
            self._held = [tensor.clone() for tensor in given]
        if [t.shape for t in given] != [t.shape for t in self._held]:
            return self.function(*given)
        held = self._held
        for own, tensor in zip(held, given, strict=True):
            own.copy_(tensor)
        return self._repeated(lambda: self.function(*held))
