"""What the tables of this folder share: contenders timed in alternation, statistics of the rounds, options, files.

A contender is one side of a table (ours in one precision, or a peer) and has parts (phases, batch sizes). In each round
every part of every contender is timed once, contenders in rotating order. What is quoted are medians of times, and the
median, smallest and largest of the rounds' ratios, the peer's time over ours: above 1 ours is faster.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .flops import count_flops
from .results import environment, print_table, write_results

Times = dict[str, dict[str, float]]  # seconds by contender and part, of one round
Clock = Callable[[], float]
MIB = 2**20


@dataclass(frozen=True)
class Part:
    """Something to time: a call, and how many images it makes or takes.

    `count` does the same work where operations cannot be counted in `run` (a CUDA graph's).
    """

    run: Callable[[], object]
    images: int = 1
    count: Callable[[], object] | None = None


@dataclass
class Contender:
    """One side of a table.

    Attributes:
        name: as in the table.
        parts: what is timed, by name; contenders are compared in the parts that both have.
        ours: whether it is this project's code.
        precision: whose matrix product its operations are compared with.
        notes: what a reader of its numbers must know.
    """

    name: str
    parts: dict[str, Part]
    ours: bool = True
    precision: str = "fp32"
    notes: list[str] = field(default_factory=list)


Builder = Callable[[], Contender]


@dataclass
class Measured:
    """What the rounds gave: seconds; by contender memory in MiB (CUDA) and operations (`--mfu`) of each part."""

    contenders: list[Contender]
    times: list[Times]
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    flops: dict[str, dict[str, float]] = field(default_factory=dict)
    ceilings: list[dict[str, float]] = field(default_factory=list)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def elapsed(run: Callable[[], object], clock: Clock, device: torch.device, repeats: int = 1) -> float:
    """Seconds of one call, the mean of `repeats` calls in a row."""
    synchronize(device)
    start = clock()
    for _ in range(repeats):
        run()
    synchronize(device)
    return (clock() - start) / repeats


def timed_rounds(
    contenders: Sequence[Contender],
    rounds: int,
    clock: Clock,
    *,
    device: torch.device | str = "cpu",
    repeats: int = 1,
    after_round: Callable[[], None] = lambda: None,
) -> list[Times]:
    """Time every part of every contender once a round; the contenders' order rotates from round to round."""
    device = torch.device(device)
    parts = list(dict.fromkeys(name for contender in contenders for name in contender.parts))
    rows: list[Times] = []
    for i in range(rounds):
        turn = i % len(contenders)
        order = [*contenders[turn:], *contenders[:turn]]
        times: Times = {contender.name: {} for contender in contenders}
        for part in parts:
            for contender in order:
                if part in contender.parts:
                    times[contender.name][part] = elapsed(contender.parts[part].run, clock, device, repeats)
        rows.append(times)
        after_round()
    return rows


def measure(builders: Sequence[Builder], args: argparse.Namespace, clock: Clock | None = None) -> Measured:
    """Build and warm up each contender, then time them all."""
    device = torch.device(args.device)
    contenders, memory, flops = [], {}, {}
    for build in builders:
        before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
        contender = build()
        for _ in range(args.warmup):
            for part in contender.parts.values():
                part.run()
        synchronize(device)
        if device.type == "cuda":
            memory[contender.name] = _peaks(contender, before, device)
        if args.mfu and contender.ours:
            flops[contender.name] = {
                name: count_flops(part.count or part.run) for name, part in contender.parts.items()
            }
        contenders.append(contender)
    if not contenders:
        raise SystemExit("nothing to time: give --ours or a peer")
    clock = clock or (time.process_time if args.cpu_seconds else time.perf_counter)
    formats = sorted({contender.precision for contender in contenders if contender.ours}) if args.mfu else []
    ceilings: list[dict[str, float]] = []

    def after_round() -> None:
        if formats:
            ceilings.append({name: matrix_product_rate(name, device, clock) for name in formats})

    times = timed_rounds(contenders, args.rounds, clock, device=device, repeats=args.repeats, after_round=after_round)
    return Measured(contenders, times, memory, flops, ceilings)


def _peaks(contender: Contender, before: int, device: torch.device) -> dict[str, float]:
    """Peak MiB of each part: what the contender keeps (weights, optimiser state) and what the part needs on top."""
    kept = torch.cuda.memory_allocated(device) - before
    peaks = {}
    for name, part in contender.parts.items():
        resident = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        part.run()
        synchronize(device)
        peaks[name] = (kept + torch.cuda.max_memory_allocated(device) - resident) / MIB
    return peaks


def matrix_product_rate(name: str, device: torch.device, clock: Clock) -> float:
    """Operations a second of a square matrix product in a number format: the ceiling that MFU is a share of."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    n, repeats = (8192, 10) if device.type == "cuda" else (1024, 3)
    a = torch.randn([n, n], device=device).to(dtype)
    b = torch.randn([n, n], device=device).to(dtype)
    product = lambda: a @ b  # noqa: E731
    product()
    return 2.0 * n**3 / max(elapsed(product, clock, device, repeats), 1e-9)


def with_totals(times: Sequence[Times], totals: Mapping[str, Mapping[str, float]]) -> list[Times]:
    """Each round's times with weighted sums of parts added, `{"iteration": {"G_main": 1, "G_reg": 1 / 4}}`."""
    result = []
    for row in times:
        result.append({name: dict(parts) for name, parts in row.items()})
        for parts in result[-1].values():
            for total, weights in totals.items():
                if weights.keys() <= parts.keys():
                    parts[total] = sum(parts[part] * weight for part, weight in weights.items())
    return result


def ratio_statistics(ratios: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


def table_rows(
    measured: Measured, totals: Mapping[str, Mapping[str, float]] | None = None, total_images: int = 1
) -> list[dict[str, Any]]:
    """The table: a line for each part and contender, ours once for each peer that has the part.

    Args:
        measured: what the rounds gave.
        totals: weighted sums of parts to add, as for `with_totals`.
        total_images: of such a sum.
    """
    totals = totals or {}
    times = with_totals(measured.times, totals)
    contenders = measured.contenders
    parts = list(dict.fromkeys(part for contender in contenders for part in times[0][contender.name]))
    rows = []
    for part in parts:
        peers = [c for c in contenders if not c.ours and part in times[0][c.name]]
        for contender in contenders:
            if part not in times[0][contender.name]:
                continue
            row = _line(measured, times, contender, part, totals, total_images)
            if not contender.ours or not peers:
                rows.append(row)
            for peer in peers if contender.ours else []:
                ratios = [t[peer.name][part] / t[contender.name][part] for t in times]
                rows.append({**row, "against": peer.name, **ratio_statistics(ratios)})
    return rows


def _line(
    measured: Measured,
    times: Sequence[Times],
    contender: Contender,
    part: str,
    totals: Mapping[str, Mapping[str, float]],
    total_images: int,
) -> dict[str, Any]:
    """Time, rate, operations and memory of one contender in one part."""
    name = contender.name
    seconds = statistics.median(t[name][part] for t in times)
    images = contender.parts[part].images if part in contender.parts else total_images
    row: dict[str, Any] = {"part": part, "contender": name, "ms": 1000 * seconds, "images_per_sec": images / seconds}
    flops = measured.flops.get(name, {})
    if flops:
        weights = totals.get(part, {part: 1.0})
        work = sum(flops[p] * weight for p, weight in weights.items())
        ceiling = statistics.median(c[contender.precision] for c in measured.ceilings)
        row |= {"gflop": work / 1e9, "mfu": work / seconds / ceiling}
    memory = measured.memory.get(name, {})
    if memory:
        row["peak_mib"] = memory[part] if part in memory else max(memory[p] for p in totals[part])
    return row


def report(
    table: str,
    measured: Measured,
    args: argparse.Namespace,
    *,
    totals: Mapping[str, Mapping[str, float]] | None = None,
    total_images: int = 1,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Print the table and write it where the options say; returns what is written as JSON."""
    hidden = ("out", "ada", "stylegan3", "rosinality")
    settings = {key: value for key, value in vars(args).items() if key not in hidden}
    result = {
        "table": table,
        "settings": settings,
        "environment": environment(args.device),
        "notes": {c.name: c.notes for c in measured.contenders if c.notes},
        **(extra or {}),
        "rows": table_rows(measured, totals, total_images),
        "rounds": with_totals(measured.times, totals or {}),
    }
    print_table(result)
    if args.out:
        write_results(result, args.out)
    return result
