"""The text of a profile: times of the phases, shares of kinds of work, the operations that take longest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

TOP = 20
#: Kinds of work by parts of the names of operations (on a CPU) and kernels (on a GPU), in lower case. The first kind
#: that fits counts, and on a CPU the outermost operation: a convolution inside a FIR filter is FIR. "=": the whole
#: name.
KINDS: dict[str, tuple[str, ...]] = {
    "FIR filter": ("upfirdn2d", "fir_", "depthwise"),
    "epilogue": ("_epilogue", "_masked", "epilogue_kernel", "biasact", "bias_act", "leaky_relu"),
    "optimizer": ("optimizer", "adam", "multi_tensor", "foreach"),
    "average": ("=ema",),
    "data": ("=data", "dataloader", "memcpy htod"),
    "convolution": ("conv", "xmma", "cudnn", "implicit_gemm", "wgrad", "dgrad", "winograd"),
    "matrix product": ("gemm", "::mm", "addmm", "bmm", "baddbmm", "matmul", "cutlass"),
    "sampling": ("grid_sampl", "affine_grid"),
    "random numbers": ("randn", "normal_", "distribution", "::rand", "uniform_"),
}
OTHER = "everything else"
#: Ranges around whole phases: they say when, not what.
RANGES = ("G_main", "G_reg", "D_main", "D_reg")
#: What else is labelled; on a GPU labels appear among the kernels.
LABELS = (*RANGES, "ema", "optimizer", "data", "Optimizer.", "ProfilerStep")


class PhaseRow(NamedTuple):
    """Of one phase: it runs every `interval` iterations and takes `run_ms`."""

    name: str
    interval: int
    run_ms: float

    @property
    def iteration_ms(self) -> float:
        """Its part of an average iteration."""
        return self.run_ms / self.interval


class Operation(NamedTuple):
    """Calls and time, without what it called itself, of one operation or kernel."""

    name: str
    calls: int
    ms: float


@dataclass(frozen=True)
class Report:
    """What a profile tells."""

    facts: Sequence[str]  # lines on machine and run
    phases: Sequence[PhaseRow]  # of `phase_rows`
    shares: Mapping[str, float]  # of `shares`
    operations: Sequence[Operation]  # of `top_operations`
    batch: int  # real images an iteration

    def text(self) -> str:
        """The whole report."""
        total = sum(row.iteration_ms for row in self.phases)
        lines = [*self.facts, "", "Phases, by the clock, without the profiler"]
        lines.append(f"{'':<24}{'every':>8}{'ms a run':>12}{'ms an iteration':>18}{'share':>9}")
        for row in self.phases:
            share = row.iteration_ms / max(total, 1e-9)
            lines.append(f"{row.name:<24}{row.interval:>8}{row.run_ms:>12.2f}{row.iteration_ms:>18.2f}{share:>9.1%}")
        lines.append(f"{'sum':<24}{'':>8}{'':>12}{total:>18.2f}{self.batch / max(total, 1e-9) * 1000:>9.1f} img/s")
        lines += ["", "Kinds of work, shares of the profiled time (one run of each phase at least)"]
        lines += [f"{name:<24}{share:>9.1%}" for name, share in self.shares.items()]
        lines += ["", f"Operations that take longest themselves\n{'ms':>10}{'calls':>9}  name"]
        lines += [f"{op.ms:>10.2f}{op.calls:>9}  {op.name}" for op in self.operations]
        return "\n".join(lines) + "\n"


def phase_rows(times: Mapping[str, Sequence[float]], intervals: Mapping[str, int]) -> list[PhaseRow]:
    """Mean times of the phases, and what an iteration takes besides.

    By name: seconds of each run (`iteration` holds those of whole iterations), and iterations between two runs.
    """
    rows = [
        PhaseRow(name, every, 1000 * sum(times[name]) / len(times[name]))
        for name, every in intervals.items()
        if times.get(name)
    ]
    whole, parts = sum(times["iteration"]), sum(sum(times[row.name]) for row in rows)
    rows.append(PhaseRow("rest (ADA, conversion)", 1, 1000 * max(whole - parts, 0) / len(times["iteration"])))
    return rows


def kind_of(names: Iterable[str]) -> str:
    """The kind of work of an operation, given its name and those of what it was called by, the outermost first."""
    for name in names:
        small = name.lower()
        for kind, parts in KINDS.items():
            if any(small == part[1:] if part[0] == "=" else part in small for part in parts):
                return kind
    return OTHER


def shares(events: Iterable[Any], device: str) -> dict[str, float]:
    """Part of the profiled time of operations (`"cpu"`) or kernels (`"cuda"`) by kind of work, the largest first."""
    times: dict[str, float] = {}
    for event in events:
        if _counts(event, device):
            kind = kind_of(_callers(event) if device == "cpu" else [event.name])
            times[kind] = times.get(kind, 0.0) + _own_us(event, device)
    total = max(sum(times.values()), 1e-9)
    return {kind: us / total for kind, us in sorted(times.items(), key=lambda item: -item[1])}


def top_operations(events: Iterable[Any], device: str) -> list[Operation]:
    """The operations (kernels on CUDA) that take longest; arguments as of `shares`."""
    found: dict[str, tuple[int, float]] = {}
    for event in events:
        if _counts(event, device):
            calls, us = found.get(event.name, (0, 0.0))
            found[event.name] = (calls + 1, us + _own_us(event, device))
    longest = sorted(found.items(), key=lambda item: -item[1][1])[:TOP]
    return [Operation(name[:110], calls, us / 1000) for name, (calls, us) in longest]


def _counts(event: Any, device: str) -> bool:
    annotation = device != "cpu" and event.name.startswith(LABELS)
    return event.device_type.name == device.upper() and not annotation


def _own_us(event: Any, device: str) -> float:
    return float(event.self_cpu_time_total if device == "cpu" else event.time_range.elapsed_us())


def _callers(event: Any) -> list[str]:
    """Names from the outermost operation to the event itself, without the ranges of whole phases."""
    names = []
    while event is not None:
        names.append(event.name)
        event = event.cpu_parent
    return [name for name in reversed(names) if name not in RANGES]
