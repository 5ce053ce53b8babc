"""Speed of a training iteration beside other implementations.

    python -m experiments.speed.training --preset 64s --ada STYLEGAN2_ADA_PYTORCH --ours fp32 bf16 --out OUT

One round times each phase once on each side, in rotating order: G main and D main, path length and R1, optimiser steps
included. An iteration is G main + path length / 4 + D main + R1 / 16. Without `--shipped` there is no augmentation and
no average of weights, and regularisers are in float32 on our side; with it all of it is as train.py does it: ADA's pipe
at probability `--p` (NVIDIA's sides have theirs), the average, regularisers in their own format, CUDA graphs on a GPU.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from src.augment.pipe import AugmentPipe
from src.cuda_graphs import CudaRecorder
from src.networks import FP32, regularizer_precision
from src.training.graphs import PhaseGraphs
from src.training.settings import StepSettings
from src.training.step import Batch, TrainingStep

from .common import Builder, Contender, Part, measure, report
from .options import add_options, prepare
from .peer_training import INTERVALS, PIPE, training_phases
from .peers import Peer, peers_of
from .shapes import PRESETS, Shape, Variant, clamp_of, our_discriminator, our_generator

TOTALS = {"iteration": {phase: 1 / interval for phase, interval in INTERVALS.items()}}
AVERAGE = "average"


def our_contender(variant: Variant, shape: Shape, batch: int, args: argparse.Namespace) -> Contender:
    """Each phase of `TrainingStep`."""
    clamp = clamp_of(variant.precision)
    G = our_generator(shape, args.device, conv_clamp=clamp)
    D = our_discriminator(shape, args.device, conv_clamp=clamp)
    precision = variant.precision_on(args.device, shape.resolution)
    regularizers = regularizer_precision(precision, args.device) if args.shipped else FP32
    step = TrainingStep(
        G,
        D,
        StepSettings(ada_target=None, augment_p=args.p if args.shipped else 0.0),
        batch_size=batch,
        augment=AugmentPipe.preset(PIPE) if args.shipped else None,
        precision=precision,
        regularizer_precision=regularizers,
    ).to(args.device)
    size = [batch, 3, shape.resolution, shape.resolution]
    reals = Batch(torch.randn(size, device=args.device), None)
    # the step sets the precision of its phases itself: the variant gives the policy alone
    with variant.active(shape, args.device):  # a graph is captured here
        phases = graphed_phases(step, reals) if args.graphs else eager_phases(step, reals)
    counted = eager_phases(step, reals)
    if args.shipped:
        phases[AVERAGE] = counted[AVERAGE] = lambda: step.ema.update(step.G, 10**6, batch)
    parts = {
        name: Part(variant.wrap(run, shape, args.device), batch, variant.wrap(counted[name], shape, args.device))
        for name, run in phases.items()
    }
    name = variant.name + (" graphs" if args.graphs else "")
    return Contender(name, parts, precision=variant.precision)


def eager_phases(step: TrainingStep, batch: Batch) -> dict[str, Callable[[], None]]:
    """The phases op by op, whatever `step.graphs` is."""

    def runner(phase: Any) -> Callable[[], None]:
        def run() -> None:
            graphs, step.graphs = step.graphs, None
            try:
                step._run_phase(phase, batch, 0)
            finally:
                step.graphs = graphs

        return run

    return {phase.name: runner(phase) for phase in step.phases}


def graphed_phases(step: TrainingStep, batch: Batch) -> dict[str, Callable[[], None]]:
    """The phases as CUDA graphs, by name, each a call that replays one (the warm-up has captured it)."""
    if batch.images.device.type != "cuda":
        raise SystemExit("--graphs needs --device cuda")
    step.graphs = PhaseGraphs(CudaRecorder(batch.images.device, otherwise="leave --graphs out"), eager_runs=1)
    held = step.graphs.hold(batch)

    def runner(phase: Any) -> Callable[[], None]:
        return lambda: step._run_phase(phase, held, 0)

    return {phase.name: runner(phase) for phase in step.phases}


def peer_contender(peer: Peer, batch: int, p: float | None) -> Contender:
    """A peer's phases; with `p` its augmentation and the average of its weights."""
    parts = {name: Part(run, batch) for name, run in training_phases(peer, batch, p).items()}
    return Contender(peer.name, parts, ours=False, precision=peer.precision, notes=peer.notes)


def builders(args: argparse.Namespace) -> list[Builder]:
    """The contenders that the options ask for."""
    variants, shape = prepare(args), PRESETS[args.preset]
    batch = args.batch = args.batch or shape.batch_on(args.device)
    ours: list[Builder] = [partial(our_contender, v, shape, batch, args) for v in variants]
    args.graphs = args.graphs or (args.shipped and torch.device(args.device).type == "cuda")
    p = args.p if args.shipped else None
    peers: list[Builder] = [partial(peer_contender, peer, batch, p) for peer in peers_of(args, shape)]
    return ours + peers


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, peers=("ada", "stylegan3", "rosinality"))
    parser.add_argument("--batch", type=int, help="images an iteration; the preset's")
    parser.add_argument("--graphs", action="store_true", help="our phases as CUDA graphs")
    parser.add_argument("--shipped", action="store_true", help="as train.py: ADA, average, regularisers, graphs")
    parser.add_argument("--p", type=float, default=0.4, help="probability of augmentation with --shipped")
    args = parser.parse_args(argv)
    measured = measure(builders(args), args)
    totals = {"iteration": TOTALS["iteration"] | ({AVERAGE: 1} if args.shipped else {})}
    return report("training", measured, args, totals=totals, total_images=args.batch)


if __name__ == "__main__":
    main()
